-- Attachments by name, without the whole message in memory.
local BAD = { exe = true, scr = true, js = true, vbs = true, lnk = true }

local function unfold(lines)
  local out = {}
  for _, line in ipairs(lines) do
    if line:find("^[ \t]") and #out > 0 then
      out[#out] = out[#out] .. line
    else
      out[#out + 1] = line
    end
  end
  return out
end

local function names_in(lines)
  return coroutine.wrap(function()
    for _, line in ipairs(unfold(lines)) do
      if line:lower():find("^content%-") then
        for key, value in line:gmatch('(%w*name)%*?=%s*"?([^";]+)"?') do
          if key:lower():find("name$") then coroutine.yield(value) end
        end
      end
    end
  end)
end

local function check(lines)
  for name in names_in(lines) do
    local ending = name:match("%.(%w+)%s*$")
    if ending and BAD[ending:lower()] then return name end
  end
end

function smtp.do_dot(path)
  local file, why = io.open(path, "rb")
  if not file then return smtp.code.again, "4.3.0 " .. why end
  local lines, in_headers = {}, true
  for line in file:lines() do
    line = line:gsub("\r$", "")
    if in_headers and line == "" then
      in_headers = false
    elseif line:find("^%-%-") then
      in_headers, lines = true, {}
    elseif in_headers then
      lines[#lines + 1] = line
      local bad = check(lines)
      if bad then
        file:close()
        return 550, "5.7.1 no attachments such as " .. bad
      end
    end
  end
  file:close()
end
