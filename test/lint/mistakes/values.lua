---- a field by name in the list of headers
function smtp.do_headers(h)
  if h["Subject"] then return 550, "5.7.1 no" end --> unknown-field
end
---- the same with a dot
function smtp.do_headers(headers)
  if headers.subject then return 550, "5.7.1 no" end --> unknown-field
end
---- the name in a variable
function smtp.do_headers(headers)
  local name = "X-Spam"
  if headers[name] then return 550, "5.7.1 no" end --> unknown-field
end
---- names and values of a list
function smtp.do_headers(headers)
  for name, value in pairs(headers) do
    if name == "Subject" then syslog.info(value) end --> wrong-type
  end
end
---- a field of a mailbox
function smtp.do_headers()
  for _, m in ipairs(header.addr "From") do
    syslog.info(m.domian) --> unknown-field
  end
end
---- a field of a record
function smtp.do_helo(name)
  for _, mx in ipairs(must(dns.mx(name))) do
    syslog.info(mx.nmae) --> unknown-field
  end
end
---- a field of a recipient
function smtp.do_data()
  local rcpts = smtp.tran.rcpts
  for i = 1, #rcpts do
    if rcpts[i].adr == "x@example.com" then return 550, "5.7.1 no" end --> unknown-field
  end
end
---- a line as a table
function smtp.do_headers(headers)
  for _, h in ipairs(headers) do
    if h.name == "Subject" then return 550, "5.7.1 no" end --> unknown-field
  end
end
---- a parameter in lower case
function smtp.do_mail(sender, params)
  if params.size then return 550, "5.7.1 no" end --> unknown-field
end
---- a text compared with a number
function smtp.do_mail(sender, params)
  if params.SIZE and params.SIZE > 1000 then return 552, "5.3.4 too big" end --> wrong-type
end
---- a number compared with a text
function smtp.do_connect()
  if smtp.sess.port == "25" then return end --> wrong-type
end
---- a code compared with a text
function smtp.do_data()
  for _, r in ipairs(smtp.tran.rcpts) do
    if r.code == "550" then return 550, "5.7.1 no" end --> wrong-type
  end
end
---- found is a number
function smtp.do_rcpt(rcpt)
  if rcpt:find("all@", 1, true) == true then return 550, "5.7.1 no" end --> wrong-type
end
---- not found is nil
function smtp.do_rcpt(rcpt)
  if rcpt:find("@", 1, true) == false then return 550, "5.7.1 no" end --> wrong-type
end
---- listed is a text
function smtp.do_connect(ip)
  if dns.listed(ip, "zen.example.org") == true then return 550, "5.7.1 no" end --> wrong-type
end
---- a word that is none
function smtp.do_connect(ip)
  if smtp.sess.family == "ipv6" then return 550, "5.7.1 no" end --> wrong-type
end
---- the null sender
function smtp.do_mail(sender)
  if sender == nil then return 550, "5.7.1 no bounces" end --> never-nil
end
---- a client without a name
function smtp.do_connect(ip, ptr)
  if not ptr then return 550, "5.7.1 no name" end --> never-nil
end
---- the same by a field
function smtp.do_mail()
  if not smtp.sess.ptr then return 550, "5.7.1 no name" end --> never-nil
end
---- an empty list is true
function smtp.do_helo(name)
  if not dns.a(name) then return 550, "5.7.1 no such host" end --> always-true
end
---- an empty list of mailboxes
function smtp.do_headers()
  if not header.addr("From") then return 550, "5.7.1 no From" end --> always-true
end
---- a field of the API
function smtp.do_connect()
  smtp.sess.ip = "192.0.2.1" --> read-only-field
end
---- an address of a recipient
function smtp.do_data()
  for i = 1, #smtp.tran.rcpts do
    smtp.tran.rcpts[i].addr = "archive@example.com" --> read-only-field
  end
end
---- the sender
function smtp.do_mail()
  smtp.tran.sender = "x@example.com" --> read-only-field
end
---- a header like a field
function smtp.do_headers()
  header.Subject = "changed" --> read-only-field
end
---- one more recipient
function smtp.do_data()
  local rcpts = smtp.tran.rcpts
  rcpts[#rcpts + 1] = { addr = "archive@example.com" } --> read-only-field
end
---- all bits
function smtp.do_mail()
  if (smtp.tran.size or 0) > 0xFFFFFFFF then return 552, "5.3.4 too big" end --> integer-overflow
end
---- all bits in a variable
local MAX = 0xFFFFFFFF --> integer-overflow
function smtp.do_mail()
  if (smtp.tran.size or 0) > MAX then return 552, "5.3.4 too big" end
end
---- the highest bit
function smtp.do_chunk(chunk, size)
  if size > 1 << 31 then return 552, "5.3.4 too big" end --> integer-overflow
end
---- a float as bits
local n = 2^31 | 0 --> integer-overflow
syslog.info(n)
---- after 2038
local expires = os.time() + 20 * 365 * 86400 --> integer-overflow
syslog.info(expires)
---- milliseconds
syslog.info("now " .. os.time() * 1000) --> integer-overflow
---- a long numeral
syslog.info(string.format("%d", 3000000000)) --> integer-overflow
---- a value too few
function smtp.do_rcpt(rcpt)
  syslog.info(string.format("%s from %s", rcpt)) --> bad-format
end
---- a number that is none
function smtp.do_rcpt(rcpt)
  syslog.info(string.format("%d recipients to %s", smtp.tran.rcpts, rcpt)) --> bad-format
end
---- no conversion
function smtp.do_rcpt(rcpt)
  syslog.info(string.format("100% of %s", rcpt)) --> bad-format
end
---- null
function smtp.do_mail(sender)
  if smtp.sess.auth == null then return 550, "5.7.1 no" end --> unknown-global
end
---- a number from too many bits
local mask = tonumber("0xFFFFFFFF") --> integer-overflow
syslog.info(mask)
---- half of a length
function smtp.do_rcpt(rcpt)
  syslog.info(rcpt:sub(1, #rcpt / 2)) --> wrong-arguments
end
---- a fraction as a whole number
function smtp.do_chunk(chunk, size)
  syslog.info(string.format("%d KiB", size / 1024)) --> bad-format
end
---- a field that is always there
function smtp.do_mail()
  if smtp.sess.ip == nil then return 550, "5.7.1 who are you?" end --> never-nil
end
---- a list with a default
function smtp.do_mail(sender)
  for _, mx in ipairs(dns.mx("example.com") or {}) do
    if mx.name == "localhost" then return 550, "5.7.1 no" end --> unknown-field
  end
end
---- recipients as texts
function smtp.do_dot()
  syslog.info(table.concat(smtp.tran.rcpts, ", ")) --> wrong-arguments
end
---- one comparison for two
function smtp.do_rcpt(rcpt)
  if rcpt == "a@example.com" or "b@example.com" then return 550, "5.7.1 no" end --> always-true
end
