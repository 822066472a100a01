---- connections counted
local connections = 0
function smtp.do_connect()
  connections = connections + 1 --> session-counter
  if connections > 100 then return 421, "4.7.0 too many" end
end
---- by address
local count = {}
function smtp.do_connect(ip)
  count[ip] = (count[ip] or 0) + 1 --> session-counter
  if count[ip] > 10 then return 421, "4.7.0 too many" end
end
---- by the field
local per_ip = {}
function smtp.do_mail()
  local ip = smtp.sess.ip
  per_ip[ip] = (per_ip[ip] or 0) + 1 --> session-counter
  if per_ip[ip] > 10 then return 450, "4.7.1 slow down" end
end
---- by sender
sent = {}
function smtp.do_mail(sender)
  local who = sender:lower()
  sent[who] = (sent[who] or 0) + 1 --> session-counter
  if sent[who] > 50 then return 450, "4.7.1 slow down" end
end
---- greylisting in memory
local seen = {}
function smtp.do_rcpt(rcpt)
  local key = smtp.sess.ip .. " " .. smtp.tran.sender .. " " .. rcpt
  if not seen[key] then
    seen[key] = os.time() --> session-counter
    return 451, "4.7.1 come back later"
  end
end
---- by login
local logins = {}
function smtp.do_mail()
  local user = smtp.sess.auth and smtp.sess.auth.user
  if not user then return end
  logins[user] = (logins[user] or 0) + 1 --> session-counter
  if logins[user] > 100 then return 450, "4.7.1 later" end
end
---- messages of a day
local messages = 0
function smtp.do_mail()
  messages = messages + 1 --> session-counter
  if messages > 1000 then return 450, "4.7.1 too many mails today" end
end
---- at the end of the session
local total = 0
function smtp.close()
  total = total + 1 --> session-counter
  syslog.info("clients so far: " .. total)
end
---- a sum kept in between
local hits = {}
function smtp.do_connect(ip)
  local n = (hits[ip] or 0) + 1
  hits[ip] = n --> session-counter
  if n > 5 then return 421, "4.7.0 too many" end
end
---- the last message of a sender
local last_seen = {}
function smtp.do_mail(sender)
  local now = os.time()
  if last_seen[sender] and now - last_seen[sender] < 60 then return 450, "4.7.1 slow down" end
  last_seen[sender] = now --> session-counter
end
---- a field that counts
local stats = { total = 0 }
function smtp.do_connect()
  stats.total = stats.total + 1 --> session-counter
  if stats.total > 100 then return 421, "4.7.0 busy" end
end
---- an address that is banned
local banned = {}
function smtp.do_connect(ip)
  if banned[ip] then return 550, "5.7.1 banned" end
end
function smtp.do_rcpt(rcpt)
  if rcpt:find("^spamtrap@") then
    banned[smtp.sess.ip] = true --> session-counter
    return 550, "5.7.1 a trap"
  end
end
