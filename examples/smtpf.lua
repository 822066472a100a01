-- A tour of the smtpf Lua API: every callback, when it is called and with what, each logged. Accepts all mail.
--
--     smtpf-milter --script examples/smtpf.lua --on-error tempfail --syslog stderr
--
-- Every SMTP session runs this file from its first line in a Lua context of its own: nothing is seen of other sessions,
-- global variables last until the client is gone, and an edit counts from the next connection on. To write a policy,
-- copy the file to /etc/mail/smtpf.lua, delete the callbacks that you do not need (the MTA is then not even asked to
-- wait for them), and return a reply where mail should be refused:
--
--     return smtp.code.reject, "5.7.1 not today"       refuse, for good
--     return smtp.code.again, "4.7.1 in an hour"       refuse, the client tries again later
--
-- Returning nothing, 0 or smtp.code.ok lets the mail go on to the next callback.

-- Configuration ------------------------------------------------------------

local IDENT = "smtpf" -- The name in front of each log line.
local FACILITY = syslog.LOG_MAIL

-----------------------------------------------------------------------------

syslog.openlog(IDENT, syslog.LOG_PID, FACILITY)

-- The session's id is put in front of each message by itself; '%' has no meaning in one.
local function log(...)
  syslog.info(string.format(...))
end

-- What came from the network is quoted, so that an odd byte or a blank can be seen.
local function quoted(text)
  return text and string.format("%q", text):gsub("\n", "n") or "nil"
end

local function quoted_list(array)
  local quotes = {}
  for i, text in ipairs(array) do
    quotes[i] = quoted(text)
  end
  return "{" .. table.concat(quotes, ", ") .. "}"
end

-- A client has connected. `ip` is "192.0.2.7" or "2001:db8::1", the path of a unix socket, or "" if not known; `ptr` is
-- the name that the MTA has verified for it, or "".
function smtp.do_connect(ip, ptr)
  log("connect ip=%s ptr=%s", quoted(ip), quoted(ptr))
  return smtp.code.ok
end

-- HELO or EHLO. A client may say it more than once, for instance again after STARTTLS. smtp.sess.helo is set from here
-- on.
function smtp.do_helo(helo_arg)
  log("helo %s", quoted(helo_arg))
  return smtp.code.ok
end

-- MAIL FROM: a transaction, that is a message, begins. `sender` comes without angle brackets and is "" for bounces.
-- `parameters` holds "SIZE=1000", "BODY=8BITMIME" and so on as the client wrote them; parameters.SIZE is "1000".
function smtp.do_mail(sender, parameters)
  log("mail %s %s tran=%s", quoted(sender), quoted_list(parameters), smtp.tran.id)
  return smtp.code.ok
end

-- RCPT TO: once for each recipient. A refusal here concerns this recipient alone.
function smtp.do_rcpt(recipient, parameters)
  log("rcpt %s %s sender=%s", quoted(recipient), quoted_list(parameters), quoted(smtp.tran.sender))
  return smtp.code.ok
end

-- DATA: all recipients have been named, and at least one was accepted.
function smtp.do_data()
  log("data helo=%s sender=%s", quoted(smtp.sess.helo), quoted(smtp.tran.sender))
  return smtp.code.ok
end

-- All headers in the message's order, "Name: value" each. A folded header keeps its line ends, "\r\n".
function smtp.do_headers(headers)
  log("headers %d", #headers)
  for i, header in ipairs(headers) do
    log("header %d %s", i, quoted(header))
  end
  return smtp.code.ok
end

-- The body piece by piece, up to 64 KiB each, cut anywhere: a line may end in the next piece.
function smtp.do_chunk(chunk, size)
  log("chunk of %d bytes", size)
  return smtp.code.ok
end

-- The whole message is there, in a file that is removed when this callback has returned: headers, an empty line and the
-- body, lines ending in "\r\n". This is the last chance to refuse the message, for all its recipients.
function smtp.do_dot(path)
  local file, reason = io.open(path, "rb")
  if not file then
    syslog.error("dot: " .. reason)
    return smtp.code.again, "4.3.0 cannot read the message now, try again later"
  end
  local size = file:seek("end")
  file:close()
  log("dot %s of %d bytes", path, size)
  return smtp.code.ok
end

-- The transaction has ended, whatever ended it: the message is through, was refused, or the client gave it up. The
-- fields of smtp.tran can be read for the last time. What is returned has no effect.
function smtp.rset()
  log("rset tran=%s sender=%s", smtp.tran.id, quoted(smtp.tran.sender))
end

-- The client is gone. What is returned has no effect.
function smtp.close()
  log("close helo=%s", quoted(smtp.sess.helo))
  syslog.closelog()
end
