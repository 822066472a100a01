-- Slow answers for odd clients.
local delay = 0

local function slow_down(seconds)
  delay = math.min(delay + seconds, 2)
  if delay > 0 then smtp.delay(delay / 1000) end
end

function smtp.do_connect(ip, ptr)
  if ptr == "" then slow_down(1) end
  local name, err = dns.fcrdns(ip)
  if name then
    syslog.info(name:lower() .. " is " .. ip)
  elseif name == false then
    slow_down(1)
  else
    syslog.notice("no name found out: " .. err)
  end
end

function smtp.do_unknown(line)
  slow_down(0.5)
  local word = line:match("^(%a+)") or line
  if word:upper() == "VRFY" then return 502, "5.5.1 not here" end
end
