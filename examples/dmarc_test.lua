-- Tests of dmarc.lua:    smtpf-milter test examples/dmarc_test.lua

test.policy "dmarc.lua"
test.dns {
  ["strict.example TXT"] = "v=spf1 ip4:192.0.2.0/24 -all",
  ["_dmarc.strict.example TXT"] = "v=DMARC1; p=reject",
  ["_dmarc.soft.example TXT"] = "v=DMARC1; p=quarantine",
  ["_dmarc.slow.example TXT"] = "timeout",
}

local function send(from, client)
  local s = test.session(client or { ip = "203.0.113.9", on_error = "tempfail" })
  s:mail "bounces@strict.example"
  s:rcpt "anna@example.net"
  return s:message { headers = { "From: " .. from, "Subject: hi" }, body = "hello\r\n" }, s
end

-- The value that an edit has put into the header of this name.
local function added(s, name)
  for _, edit in ipairs(s:edits()) do
    if edit.kind == "insert_header" and edit.name == name then return edit.value end
  end
end

test.case("what the domain sends itself passes, and says so", function()
  local reply, s = send("jane@strict.example", { ip = "192.0.2.7" })
  test.accepted(reply)
  test.match(added(s, "Authentication-Results"), "spf=pass smtp%.mailfrom=strict%.example")
  test.match(added(s, "Authentication-Results"), "dmarc=pass header%.from=strict%.example")
end)

test.case("what it does not send is refused, where it asks for that", function()
  test.reply(send "jane@strict.example", 550, "5.7.1 strict.example asks not to take this message (DMARC)")
  local reply, s = send "jane@soft.example"
  test.accepted(reply)
  test.equal(s:edits()[2].reason, "DMARC of soft.example")
  test.accepted(send "jane@other.example")
end)

test.case("a From without one author is refused", function()
  test.reply(send "jane@strict.example, joe@other.example", 550)
end)

test.case("what could not be found out is put off", function()
  test.reply(send "jane@slow.example", 451)
end)

test.case("our own mail is not checked", function()
  test.accepted(send("jane@strict.example", { ip = "127.0.0.1" }))
  test.accepted(send("jane@strict.example", { ip = "203.0.113.9", auth = "jane" }))
end)
