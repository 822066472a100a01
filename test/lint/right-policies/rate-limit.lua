-- Messages of a client in an hour, in a file that all sessions write.
local DIRECTORY = os.getenv("RATE_DIR") or "/tmp"
local LIMIT, WINDOW = 100, 3600

local function path_of(ip)
  return string.format("%s/rate-%s", DIRECTORY, ip:gsub("[^%x]", "_"))
end

local function count(path, now)
  local times = {}
  local file = io.open(path)
  if file then
    for line in file:lines() do
      local time = tonumber(line)
      if time and now - time < WINDOW then times[#times + 1] = line end
    end
    file:close()
  end
  times[#times + 1] = tostring(now)
  local out = io.open(path, "w")
  if out then
    out:write(table.concat(times, "\n"), "\n")
    out:close()
  end
  return #times
end

function smtp.do_mail()
  local ip = smtp.sess.ip
  if ip == "" then return end
  local messages = count(path_of(ip), os.time())
  if messages > LIMIT then
    return 450, string.format("4.7.1 %d messages in an hour, at most %d", messages, LIMIT)
  end
end
