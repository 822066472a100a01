-- Tests of smtpf.lua:    smtpf-milter test
--
-- They play SMTP clients before an imitated mail server. Nothing here asks the network: docs/testing.md says more.

local STRANGER = "joe@sender.example"

-- A client of the internet, unless these fields say something else.
local function client(fields)
  local all = { ip = "198.51.100.7", ptr = "mx.sender.example", helo = "mx.sender.example", on_error = "tempfail" }
  for key, value in pairs(fields or {}) do all[key] = value end
  return all
end

-- The reply to RCPT, and the session.
local function attempt(from, to, fields)
  local s = test.session(client(fields))
  s:mail(from)
  return s:rcpt(to), s
end

-- The reply to a message to Anna, and the session. Who is greylisted comes again.
local function send(message, fields, to)
  local reply, s = attempt(fields and fields.auth and "anna@example.com" or STRANGER, to or "anna@example.com", fields)
  if reply.code == 451 then
    test.advance(300)
    _, s = attempt(STRANGER, to or "anna@example.com", fields)
  end
  return s:message(message), s
end

