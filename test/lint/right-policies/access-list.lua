-- Clients by address, from a file that need not be there.
local PATH = os.getenv("ACCESS_LIST") or "/nonexistent/access"

local function load_list(path)
  local list = {}
  local file, reason = io.open(path, "r")
  if not file then
    syslog.warning("no access list: " .. reason)
    return list
  end
  for line in file:lines() do
    local ip, action = line:match("^%s*([%x.:]+)%s+(%u+)%s*$")
    if ip then list[ip] = action end
  end
  file:close()
  return list
end

local list = load_list(PATH)

function smtp.do_connect(ip, ptr)
  local action = list[ip]
  if action == "REJECT" then return smtp.code.reject, "5.7.1 access denied" end
  if action == "OK" or ptr:find("%.example%.com$") then return smtp.code.accept end
end
