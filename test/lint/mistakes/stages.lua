---- HELO at connect
function smtp.do_connect(ip, ptr)
  if smtp.sess.helo == ptr then return end --> too-early
end
---- a sender at HELO
function smtp.do_helo(name)
  if smtp.tran.sender == "" then return 550, "5.7.1 no" end --> too-early
end
---- a login at connect
function smtp.do_connect()
  if smtp.sess.auth then return end --> too-early
end
---- a login at HELO
function smtp.do_helo()
  if smtp.sess.auth and smtp.sess.auth.user == "joe" then return end --> too-early
end
---- TLS at connect
function smtp.do_connect()
  if not smtp.sess.tls then return 550, "5.7.0 TLS only" end --> too-early
end
---- recipients at MAIL
function smtp.do_mail()
  if #smtp.tran.rcpts > 10 then return 452, "4.5.3 too many" end --> too-early
end
---- headers at RCPT
function smtp.do_rcpt()
  local subject = header.get("Subject") --> too-early
  if subject == "x" then return 550, "5.7.1 no" end
end
---- mailboxes at DATA
function smtp.do_data()
  for _, m in ipairs(header.addr("From")) do --> too-early
    if m.domain == "example.com" then return 550, "5.7.1 no" end
  end
end
---- a body before there is one
function smtp.do_mail()
  body.replace("empty\r\n") --> too-early
end
---- an edit at connect
function smtp.do_connect()
  header.add("X-Seen", "yes") --> too-early
end
---- a recipient at HELO
function smtp.do_helo()
  smtp.add_rcpt("archive@example.com") --> too-early
end
---- an edit when all is over
function smtp.close()
  smtp.quarantine("late") --> too-early
end
---- an edit after the message
function smtp.rset()
  header.add("X-Seen", "yes") --> too-early
end
---- the transaction at close
function smtp.close()
  syslog.info("last sender " .. smtp.tran.sender) --> too-early
end
---- the client in the main chunk
local ip = smtp.sess.ip --> too-early
function smtp.do_mail() syslog.info(ip or "?") end
---- in a helper
local function is_known() return smtp.sess.helo == "mx.example.com" end --> too-early
function smtp.do_connect() if is_known() then return end end
---- a header set before the headers
function smtp.do_mail()
  header.set("Subject", "x") --> too-early
end
