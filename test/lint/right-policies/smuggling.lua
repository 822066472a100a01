-- Bare line ends, and a message inside another.
local previous = ""
local problem

function smtp.do_mail()
  previous, problem = "", nil
end

function smtp.do_chunk(chunk)
  if problem then return smtp.code.skip end
  local text = previous .. chunk
  if text:find("[^\r]\n") or text:find("\r[^\n]") then problem = "bare line ends" end
  local at = text:find("\r\n.\r\n", 1, true)
  if at then problem = string.format("an end of message at %d", at) end
  previous = text:sub(-5)
end

function smtp.do_dot()
  if problem ~= nil then return 550, "5.6.0 " .. problem end
end
