-- What the scripts beside it share. miltertest says nothing of a script's errors: each expectation names itself first.

function expect(what, condition)
  if not condition then
    mt.echo("FAILED: " .. what)
    error(what)
  end
end

local name_of = {}
for _, name in ipairs({ "CONTINUE", "ACCEPT", "REJECT", "TEMPFAIL", "DISCARD", "REPLYCODE", "SKIP" }) do
  name_of[_G["SMFIR_" .. name] or 0] = name
end

-- The last reply is this one.
function replied(conn, what, wanted)
  local got = mt.getreply(conn)
  expect(what .. ": " .. (name_of[got] or tostring(got)) .. " instead of " .. (name_of[wanted] or "?"), got == wanted)
end

-- The call was not refused by miltertest itself.
function done(what, problem)
  expect(what .. ": " .. tostring(problem), problem == nil)
end

function open()
  local conn = mt.connect("inet:" .. port .. "@127.0.0.1")
  expect("connect", conn ~= nil)
  return conn
end

-- A connection on which HELO has been said.
function open_session()
  local conn = open()
  done("conninfo", mt.conninfo(conn, "client.example", "192.0.2.7"))
  replied(conn, "connect", SMFIR_CONTINUE)
  done("helo", mt.helo(conn, "client.example"))
  replied(conn, "helo", SMFIR_CONTINUE)
  return conn
end

-- A message to the end; do_dot says what it has seen.
function send_message(conn, recipient)
  done("mail", mt.mailfrom(conn, "<sender@a.example>", "SIZE=42"))
  replied(conn, "mail", SMFIR_CONTINUE)
  done("rcpt", mt.rcptto(conn, recipient))
  replied(conn, "rcpt", SMFIR_CONTINUE)
  done("data", mt.data(conn))
  done("header", mt.header(conn, "Subject", " hello"))
  done("eoh", mt.eoh(conn))
  done("body", mt.bodystring(conn, "Hello\r\n"))
  done("eom", mt.eom(conn))
  replied(conn, "eom", SMFIR_REPLYCODE)
end

function said(conn, text)
  expect("reply 550 5.0.0 " .. text, mt.eom_check(conn, MT_SMTPREPLY, "550", "5.0.0", text))
end
