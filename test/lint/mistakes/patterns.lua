---- a dash between letters
function smtp.do_connect(ip, ptr)
  if ptr:find("my-company.com$") then return end --> odd-pattern
end
---- a header name
function smtp.do_headers(h)
  for _, line in ipairs(h) do
    if line:match("^X-Spam: yes") then return 550, "5.7.1 spam" end --> odd-pattern
  end
end
---- a dash at the end
function smtp.do_mail(sender)
  if sender:find("^bounce-") then return end --> odd-pattern
end
---- a date
function smtp.do_headers()
  local d = header.get("Date")
  if d and d:match("%d%d%d%d-%d%d-%d%d") then return 550, "5.7.1 no" end --> odd-pattern
end
---- a dot in a domain
function smtp.do_rcpt(rcpt)
  if rcpt:find("@example.com$") then return end --> odd-pattern
end
---- dots in an address
function smtp.do_connect(ip)
  if ip:find("^192.168.") then return end --> odd-pattern
end
---- a whole address
function smtp.do_connect(ip)
  if ip:match("^127.0.0.1$") then return end --> odd-pattern
end
---- a file ending
function smtp.do_headers()
  local name = header.get("X-Name") or ""
  if name:find(".exe$") then return 550, "5.7.1 no" end --> odd-pattern
end
---- an alternative
function smtp.do_headers()
  local s = header.get("Subject") or ""
  if s:find("viagra|cialis") then return 550, "5.7.1 spam" end --> odd-pattern
end
---- alternatives in brackets
function smtp.do_mail(sender)
  if sender:match("%.(ru|cn)$") then return 550, "5.7.1 no" end --> odd-pattern
end
---- a digit of regular expressions
function smtp.do_helo(name)
  if name:find("\\d+\\.\\d+") then return 550, "5.7.1 no" end --> odd-pattern
end
---- counted
function smtp.do_helo(name)
  if name:find("^[0-9]{1,3}%.") then return 550, "5.7.1 no" end --> odd-pattern
end
---- a group that is none
function smtp.do_helo(name)
  if name:find("(?:dyn)%.") then return 550, "5.7.1 no" end --> odd-pattern
end
---- an optional group
function smtp.do_helo(name)
  if name:find("^(www%.)?example%.com$") then return 550, "5.7.1 no" end --> odd-pattern
end
---- an escape without meaning
function smtp.do_helo(name)
  if name:find("%yes") then return 550, "5.7.1 no" end --> odd-pattern
end
---- an anchor in gmatch
function smtp.do_headers(h)
  for _, line in ipairs(h) do
    for name in line:gmatch("^([^:]+)") do syslog.info(name) end --> odd-pattern
  end
end
---- a set without its end
function smtp.do_helo(name)
  if name:find("[a-z") then return 550, "5.7.1 no" end --> bad-pattern
end
---- a capture without its end
function smtp.do_helo(name)
  local first = name:match("^(%w+")  --> bad-pattern
  syslog.info(first or "")
end
---- a percent sign at the end
function smtp.do_rcpt(rcpt)
  if rcpt:find("100%") then return 550, "5.7.1 no" end --> bad-pattern
end
---- the wrong place for plain
function smtp.do_rcpt(rcpt)
  if rcpt:find("a.b", true) then return 550, "5.7.1 no" end --> bad-pattern
end
---- a replacement
function smtp.do_headers()
  local s = header.get("Subject") or ""
  header.set("Subject", (s:gsub("sale", "50% off"))) --> bad-pattern
end
---- a capture that is not there
function smtp.do_headers()
  local s = header.get("Subject") or ""
  header.set("Subject", (s:gsub("(%w+)", "%2"))) --> bad-pattern
end
---- a reference of regular expressions
function smtp.do_headers()
  local s = header.get("Subject") or ""
  header.set("Subject", (s:gsub("^Re: (.*)", "$1"))) --> bad-pattern
end
---- two dashes
function smtp.do_headers(h)
  for _, line in ipairs(h) do
    if line:find("^--") then return 550, "5.7.1 no" end --> odd-pattern
  end
end
---- a word of regular expressions
function smtp.do_headers()
  if (header.get("Subject") or ""):match("\\bfree\\b") then return 550, "5.7.1 no" end --> odd-pattern
end
---- a word in brackets
function smtp.do_headers()
  if (header.get("Subject") or ""):find("[SPAM]") then return 550, "5.7.1 no" end --> odd-pattern
end
---- a plus address
function smtp.do_rcpt(rcpt)
  if rcpt:find("^user+tag@") then return 550, "5.7.1 no" end --> odd-pattern
end
