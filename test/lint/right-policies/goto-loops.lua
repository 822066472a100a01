-- continue, by goto.
local function trim(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

function smtp.do_headers(headers)
  local found = {}
  for i, line in ipairs(headers) do
    local name, value = line:match("^([^:]+):(.*)$")
    if not name then goto continue end
    name, value = name:lower(), trim(value)
    if value == "" then goto continue end
    if found[name] then
      syslog.notice(string.format("%s again, in line %d: %s", name, i, value:upper()))
      goto continue
    end
    found[name] = value
    ::continue::
  end
  local tries = 0
  ::again::
  tries = tries + 1
  if not header.get("X-Seen") and tries < 3 then
    header.add("X-Seen", "yes")
    goto again
  end
end
