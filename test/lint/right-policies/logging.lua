-- A structured log.
local LEVELS = { debug = syslog.LOG_DEBUG, info = syslog.LOG_INFO, warn = syslog.LOG_WARNING }

syslog.openlog("audit", syslog.LOG_PID | syslog.LOG_CONS, syslog.LOG_LOCAL3)

local function quote(value)
  if value == nil then return "-" end
  if type(value) == "number" then return tostring(value) end
  return '"' .. tostring(value):gsub('[%c"\\]', function(c) return string.format("\\x%02x", c:byte()) end) .. '"'
end

local function emit(level, fields)
  local keys = {}
  for key in pairs(fields) do keys[#keys + 1] = key end
  table.sort(keys)
  local out = {}
  for i, key in ipairs(keys) do out[i] = key .. "=" .. quote(fields[key]) end
  syslog.syslog(LEVELS[level] or syslog.LOG_INFO, table.concat(out, " "))
end

function smtp.do_connect(ip, ptr)
  emit("debug", { event = "connect", ip = ip, ptr = ptr, port = smtp.sess.port, daemon = smtp.sess.daemon })
end

function smtp.do_data()
  local tls = smtp.sess.tls
  emit("info", {
    event = "data",
    helo = smtp.sess.helo,
    user = smtp.sess.auth and smtp.sess.auth.user,
    tls = tls and tls.version .. "/" .. (tls.cipher or "?"),
    rcpts = #smtp.tran.rcpts,
    queue = smtp.tran.queue_id,
  })
end

function smtp.rset()
  emit("info", { event = "end", id = smtp.tran.id, sender = smtp.tran.sender, size = smtp.tran.size })
end

function smtp.close()
  emit("debug", { event = "close", helo = smtp.sess.helo })
end
