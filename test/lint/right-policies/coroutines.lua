-- MIME parts one after the other, by a coroutine.
local function lines_of(text)
  return coroutine.wrap(function()
    for line in (text .. "\n"):gmatch("(.-)\r?\n") do coroutine.yield(line) end
  end)
end

local function parts(text)
  return coroutine.wrap(function()
    local name, value
    for line in lines_of(text) do
      if line == "" then break end
      local new, rest = line:match("^([%w%-]+):%s*(.*)$")
      if new then
        if name then coroutine.yield(name, value) end
        name, value = new:lower(), rest
      elseif value then
        value = value .. " " .. line:gsub("^%s+", "")
      end
    end
    if name then coroutine.yield(name, value) end
  end)
end

function smtp.do_dot(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("a")
  file:close()
  local seen = {}
  for name, value in parts(text) do
    seen[name] = (seen[name] or 0) + 1
    if name == "subject" and #value > 500 then return 550, "5.6.0 a subject is shorter" end
  end
  if (seen.from or 0) ~= 1 then return 550, "5.6.0 one From, please" end
end
