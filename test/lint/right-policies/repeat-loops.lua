-- repeat, numeric loops, and what they leave.
function smtp.do_headers(headers)
  local n = 0
  local value
  repeat
    n = n + 1
    value = header.get("Received", n)
    if value and value:find("example%.invalid") then return 550, "5.7.1 no" end
  until not value or n > 100

  local last
  for i = #headers, 1, -1 do
    local name = headers[i]:match("^([^:]+):")
    if name and name:lower() == "received" then
      last = i
      break
    end
  end
  if last then syslog.debug("the first Received is line " .. last) end

  local i = 1
  while true do
    local line = headers[i]
    if not line then break end
    if #line > 2000 then return 550, "5.6.0 a long line" end
    i = i + 1
  end

  local pos = 1
  local text = table.concat(headers, "\n")
  while true do
    local s, e = text:find("\n", pos, true)
    if not s then break end
    pos = e + 1
  end
  return nil
end
