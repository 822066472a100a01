---- a user that nobody may be
function smtp.do_mail(sender)
  if smtp.sess.auth.user == "joe" then return 550, "5.7.1 no" end --> maybe-nil
end
---- through a local name
function smtp.do_mail(sender)
  local auth = smtp.sess.auth
  syslog.info("login " .. auth.user) --> maybe-nil
end
---- a version of TLS on a plain connection
function smtp.do_rcpt(rcpt)
  if smtp.sess.tls.version == "TLSv1" then return 550, "5.7.1 too old" end --> maybe-nil
end
---- the method of a field that may be nil
function smtp.do_mail(sender)
  if smtp.sess.helo:lower() == "localhost" then return 550, "5.7.1 no" end --> maybe-nil
end
---- a header that may be missing
function smtp.do_headers(h)
  local s = header.get("Subject"):lower() --> maybe-nil
  if s:find("viagra", 1, true) then return 550, "5.7.1 no" end
end
---- a header joined to a text
function smtp.do_headers(h)
  header.set("Subject", "[EXTERNAL] " .. header.get("Subject")) --> maybe-nil
end
---- the length of a header
function smtp.do_headers(h)
  if #header.get("To") > 1000 then return 550, "5.7.1 no" end --> maybe-nil
end
---- a header in a variable
function smtp.do_dot()
  local from = header.get("From")
  local to = header.get("To")
  if from and to:find(from, 1, true) then return 550, "5.7.1 no" end --> maybe-nil
end
---- a macro
function smtp.do_mail()
  if smtp.macro("{client_port}"):find("^1") then return 550, "5.7.1 no" end --> maybe-nil
end
---- a macro compared
function smtp.do_connect()
  if smtp.macro("{client_connections}") > 10 then return 450, "4.7.1 later" end --> maybe-nil|wrong-type
end
---- a domain of an address without one
function smtp.do_rcpt(rcpt)
  if rcpt:match("@(.*)"):lower() == "example.com" then return end --> maybe-nil
end
---- a domain in a variable
function smtp.do_rcpt(rcpt)
  local domain = rcpt:match("@(.+)$")
  if domain:lower() == "example.com" then return end --> maybe-nil
end
---- a capture of several
function smtp.do_rcpt(rcpt)
  local user, domain = rcpt:match("^(.*)@(.*)$")
  syslog.info(user .. " at " .. domain) --> maybe-nil
end
---- string.match
function smtp.do_mail(sender)
  local d = string.match(sender, "@(.*)$")
  if d:find("%.invalid$") then return 550, "5.7.1 no" end --> maybe-nil
end
---- the number of records that could not be found out
function smtp.do_mail(sender)
  local domain = sender:match("@(.*)$")
  if domain and #dns.mx(domain) == 0 then return 550, "5.1.8 no mx" end --> maybe-nil
end
---- a loop over what could not be found out
function smtp.do_helo(name)
  for _, ip in ipairs(dns.a(name)) do --> maybe-nil
    if ip == smtp.sess.ip then return end
  end
end
---- the first of the records
function smtp.do_helo(name)
  if dns.a(name)[1] == smtp.sess.ip then return end --> maybe-nil
end
---- the first of a list that may be empty
function smtp.do_mail(sender)
  local list, err = dns.mx("example.com")
  if not list then return 451, "4.4.3 " .. err end
  if list[1].host == "." then return 550, "5.1.8 no" end --> maybe-nil
end
---- an error looked at for the wrong case
function smtp.do_helo(name)
  local list, err = dns.a(name)
  if list then return 451, "4.4.3 " .. err end --> maybe-nil
end
---- results of txt
function smtp.do_mail(sender)
  local txt = dns.txt("example.com")
  for i = 1, #txt do syslog.info(txt[i]) end --> maybe-nil
end
---- the size of a message
function smtp.do_mail(sender, params)
  if smtp.tran.size > 1000000 then return 552, "5.3.4 too big" end --> maybe-nil
end
---- a number that may be none
function smtp.do_mail(sender, params)
  if tonumber(params.SIZE) > 1000000 then return 552, "5.3.4 too big" end --> maybe-nil
end
---- a number from a header
function smtp.do_headers()
  local score = tonumber(header.get("X-Spam-Score"))
  if score > 5 then return 550, "5.7.1 spam" end --> maybe-nil
end
---- a parameter that was not sent
function smtp.do_mail(sender, params)
  if params.BODY:upper() == "8BITMIME" then return end --> maybe-nil
end
---- a file that is not there
function smtp.do_connect(ip)
  local text = io.open("/etc/mail/list"):read("a") --> maybe-nil
  if text:find(ip, 1, true) then return 550, "5.7.1 no" end
end
---- a file in a variable
function smtp.do_connect(ip)
  local f = io.open("/etc/mail/list")
  for line in f:lines() do --> maybe-nil
    if line == ip then return 550, "5.7.1 no" end
  end
end
---- an empty file
function smtp.do_connect(ip)
  local f = assert(io.open("/etc/mail/list"))
  local first = f:read("l"):lower() --> maybe-nil
  f:close()
  if first == ip then return 550, "5.7.1 no" end
end
---- an environment variable
local PATH = os.getenv("LISTS") .. "/bad" --> maybe-nil
function smtp.do_connect() syslog.info(PATH) end
---- a list that may be empty
function smtp.do_headers()
  local from = header.addr("From")[1].domain --> maybe-nil
  if from == "example.com" then return 550, "5.7.1 no" end
end
---- a maybe-nil to a function that wants a text
function smtp.do_mail()
  smtp.add_rcpt(smtp.sess.auth and smtp.sess.auth.sender) --> maybe-nil
end
---- a header to a list
function smtp.do_headers()
  syslog.info(header.get("Message-Id")) --> maybe-nil
end
---- a helper that is given it
local function domain_of(address)
  return address:lower():match("@(.*)$")
end
function smtp.do_headers()
  local d = domain_of(header.get("Reply-To")) --> maybe-nil:3
  if d == "example.net" then return 550, "5.7.1 no" end
end
---- the wrong branch
function smtp.do_mail()
  if not smtp.sess.auth then
    syslog.info("refused " .. smtp.sess.auth.user) --> maybe-nil
  end
end
---- asked for another one
function smtp.do_mail()
  if smtp.sess.tls then
    syslog.info(smtp.sess.auth.user .. " with TLS") --> maybe-nil
  end
end
---- after the block that asked
function smtp.do_mail()
  if smtp.sess.auth then
    syslog.info("a login")
  end
  return 550, "5.7.1 " .. smtp.sess.auth.user --> maybe-nil
end
---- or in the place of and
function smtp.do_mail()
  if smtp.sess.auth or smtp.sess.auth.user == "joe" then return end --> maybe-nil
end
---- asked, then assigned anew
function smtp.do_headers()
  local v = header.get("X-One")
  if v then
    v = header.get("X-Two")
    syslog.info(v:lower()) --> maybe-nil
  end
end
---- found or not
function smtp.do_mail(sender)
  local at = sender:find("@", 1, true)
  local domain = sender:sub(at + 1) --> maybe-nil
  syslog.info(domain)
end
---- the queue id before Postfix has one
function smtp.do_mail()
  syslog.info("queue id " .. smtp.tran.queue_id) --> maybe-nil
end
---- the text of a verdict
function smtp.do_data()
  for _, r in ipairs(smtp.tran.rcpts) do
    syslog.info(r.addr .. ": " .. r.text) --> maybe-nil
  end
end
---- a verified name
function smtp.do_connect(ip)
  local name = dns.fcrdns(ip)
  if name:find("dyn", 1, true) then return 550, "5.7.1 no" end --> maybe-nil|wrong-type
end
---- in a closure
function smtp.do_headers()
  local subject = header.get("Subject")
  local function has(word) return subject:find(word, 1, true) end --> maybe-nil
  if has("spam") then return 550, "5.7.1 spam" end
end
---- while
function smtp.do_headers()
  local i = 1
  while header.get("Received", i):find("example", 1, true) do --> maybe-nil
    i = i + 1
  end
end
---- asked for in a callback whose answer is for one recipient
function smtp.do_rcpt()
  if not smtp.sess.auth then return 550, "5.7.1 log in" end
end
function smtp.do_headers()
  syslog.info(smtp.sess.auth.user) --> maybe-nil
end
---- asked for, and let through all the same
function smtp.do_mail()
  if not smtp.sess.auth then return smtp.code.ok end
end
function smtp.do_rcpt()
  syslog.info(smtp.sess.auth.user) --> maybe-nil
end
---- an own function that asks for something else
local function is_bounce() return smtp.tran.sender == "" end
function smtp.do_rcpt()
  if is_bounce() then syslog.info(smtp.sess.auth.user) end --> maybe-nil
end
