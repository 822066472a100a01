---- lowered text and capitals
function smtp.do_rcpt(rcpt)
  if rcpt:lower() == "All@Example.com" then return 554, "5.7.1 no" end --> letter-case
end
---- in a variable
function smtp.do_rcpt(rcpt)
  local address = string.lower(rcpt)
  if address ~= "Postmaster@example.com" then return 554, "5.7.1 no" end --> letter-case
end
---- upper case
function smtp.do_helo(name)
  if name:upper() == "localhost" then return 550, "5.7.1 no" end --> letter-case
end
---- keys of a table
local CLOSED = {
  ["all@example.com"] = true,
  ["Staff@Example.com"] = true, --> letter-case
}
function smtp.do_rcpt(rcpt)
  if CLOSED[rcpt:lower()] then return 554, "5.7.1 no" end
end
---- looked for as it stands
function smtp.do_headers()
  local subject = (header.get("Subject") or ""):lower()
  if subject:find("Viagra", 1, true) then return 550, "5.7.1 no" end --> letter-case
end
---- a pattern
function smtp.do_helo(name)
  if name:lower():match("^Mail%.") then return 550, "5.7.1 no" end --> letter-case
end
---- a domain of the API
function smtp.do_headers()
  for _, from in ipairs(header.addr("From")) do
    if from.domain == "Example.com" then return 550, "5.7.1 no" end --> letter-case
  end
end
---- a dot for a colon
function smtp.do_chunk(chunk)
  if chunk.find("x") then return smtp.code.skip end --> dot-call
end
---- a dot at a result
function smtp.do_rcpt(rcpt)
  local low = rcpt:lower()
  if low.match("^all@") then return 550, "5.7.1 no" end --> dot-call
end
---- a file with a dot
function smtp.do_connect()
  local f = assert(io.open("/etc/hosts"))
  local text = f.read("a") --> dot-call
  syslog.info(text)
end
---- a colon at a library of Lua
function smtp.do_rcpt(rcpt)
  syslog.info(string:format("to %s", rcpt)) --> dot-call
end
---- a colon at the API
function smtp.do_dot()
  smtp:add_rcpt("archive@example.com") --> wrong-arguments
end
---- a colon at headers
function smtp.do_headers()
  if header:get("Subject") then return 550, "5.7.1 no" end --> wrong-arguments
end
---- a text above 7 bits
function smtp.do_mail()
  return 550, "5.7.1 Zugang verweigert, bitte prüfen" --> reply-bytes
end
---- put together
function smtp.do_mail(sender)
  return 550, "5.7.1 désolé, " .. sender --> reply-bytes
end
---- from a table of texts
local TEXT = { "5.7.1 go away", "naïve" } --> reply-bytes
function smtp.do_mail(sender)
  return 550, TEXT
end
