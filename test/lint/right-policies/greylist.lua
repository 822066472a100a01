-- Greylisting with a file for each triplet, which all sessions see.
local DIRECTORY = os.getenv("GREYLIST") or "/tmp"
local DELAY, LIFETIME = 300, 35 * 86400

local function file_of(ip, sender, rcpt)
  local network = ip:match("^(%d+%.%d+%.%d+)%.%d+$") or ip
  local key = table.concat({ network, sender:lower(), rcpt:lower() }, "|")
  return DIRECTORY .. "/" .. key:gsub("[^%w@.|-]", function(c) return string.format("%%%02x", c:byte()) end)
end

local function read_time(path)
  local file = io.open(path)
  if not file then return nil end
  local time = file:read("n")
  file:close()
  return time
end

local function write_time(path)
  local file, err = io.open(path, "w")
  if not file then error(err) end
  file:write(os.time(), "\n")
  file:close()
end

function smtp.do_rcpt(rcpt)
  if smtp.sess.auth then return end
  local path = file_of(smtp.sess.ip, smtp.tran.sender, rcpt)
  local first = read_time(path)
  if not first or os.time() - first > LIFETIME then
    local ok, err = pcall(write_time, path)
    if not ok then
      syslog.error("greylist: " .. tostring(err))
      return
    end
    return smtp.code.again, "4.7.1 greylisted, come back in five minutes"
  end
  if os.time() - first < DELAY then
    return 451, string.format("4.7.1 come back in %d seconds", DELAY - (os.time() - first))
  end
end
