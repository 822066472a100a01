-- A line in the log, put together in a buffer.
local Buffer = {}
Buffer.__index = Buffer
Buffer.__tostring = function(self) return table.concat(self, " ") end
Buffer.__len = function(self) return rawlen(self) end

function Buffer.new(...)
  return setmetatable({ ... }, Buffer)
end

function Buffer:add(format, ...)
  self[#self + 1] = select("#", ...) > 0 and string.format(format, ...) or format
  return self
end

local line

function smtp.do_connect(ip, ptr)
  line = Buffer.new("client"):add("%s[%s]", ptr == "" and "unknown" or ptr, ip)
end

function smtp.do_mail(sender, params)
  line:add("from=<%s>", sender)
  for i, param in ipairs(params) do line:add("param%d=%s", i, param) end
  local size = tonumber(params.SIZE)
  if size then line:add("size=%d", size) end
end

function smtp.close()
  line:add("helo=%s", smtp.sess.helo or "none")
  syslog.info(tostring(line))
end
