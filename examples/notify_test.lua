test.policy "notify.lua"
test.geo { ["192.0.2.1"] = "DE", ["192.0.2.2"] = "NL", ["10.0.0.1"] = false }

local function mail(ip, user)
  local s = test.session { ip = ip, auth = user or "joe" }
  test.accepted(s:mail "joe@example.com")
  return s
end

test.case("the first country is that of the login, each other one is told", function()
  test.send(true)
  mail "192.0.2.1"
  mail "192.0.2.1"
  test.equal(#test.sent(), 0)
  mail "192.0.2.2"
  mail "192.0.2.2"
  test.equal(#test.sent(), 1)
  local note = test.sent()[1]
  test.equal(note.from, "")
  test.equal(note.to[1], "postmaster@example.com")
  test.match(note.message, "Subject: Login joe from NL\r\n")
  test.match(note.message, "192%.0%.2%.2")
end)

test.case("who does not log in, and where nobody knows, is nobody's affair", function()
  test.send(true)
  local s = test.session { ip = "192.0.2.2" }
  test.accepted(s:mail "joe@example.com")
  mail "10.0.0.1"
  mail "10.0.0.1"
  test.equal(#test.sent(), 0)
end)

test.case("a login cannot write headers", function()
  test.send(true)
  mail("192.0.2.1", "x\r\nBcc: evil@example.net")
  mail("192.0.2.2", "x\r\nBcc: evil@example.net")
  test.match(test.sent()[1].message, "Subject: Login x Bcc: evil@example.net from NL\r\n")
end)

test.case("a note that was not taken is sent with the next mail", function()
  mail "192.0.2.1"
  test.send(test.fails "timeout")
  local s = mail "192.0.2.2"
  test.match(table.concat(s:log(), "\n"), "no note of joe from NL: timeout")
  test.send(true)
  mail "192.0.2.2"
  test.equal(#test.sent(), 2)
end)

test.case("mail goes on without a file", function()
  test.geo { ["192.0.2.1"] = test.fails "unavailable" }
  local s = mail "192.0.2.1"
  test.match(table.concat(s:log(), "\n"), "no country: unavailable")
end)
