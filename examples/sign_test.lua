-- Tests of sign.lua:    smtpf-milter test examples/sign_test.lua
test.policy "sign.lua"

local MESSAGE = {
  headers = { "From: Jane <jane@example.com>", "To: bob@example.net", "Subject: A day" },
  body = "Hello\r\n",
}

local function send(user, message)
  test.dns { ["example.com TXT"] = "v=spf1 -all", ["_dmarc.example.com TXT"] = "v=DMARC1; p=none" }
  local s = test.session { ip = "198.51.100.7", helo = "mx.example.net", macros = { j = "mx.example.org" } }
  if user then s:auth(user) end
  s:mail "jane@example.com"
  s:rcpt "bob@example.net"
  local result = s:message(message or MESSAGE)
  return result, s:delivered()
end

test.case("mail of a user is signed for the domain of its author", function()
  local result, delivered = send "jane"
  test.accepted(result)
  test.match(delivered.header["dkim-signature"], "d=example.com; s=2026a;")
  test.equal(delivered.header.subject, "A day")
end)

test.case("a key that cannot be read holds it up", function()
  test.signing_key("/etc/mail/keys/example.com.2026a.pem", test.fails "unavailable")
  local s = test.session { ip = "198.51.100.7", helo = "mx.example.net", on_error = "tempfail" }
  s:auth "jane"
  s:mail "jane@example.com"
  s:rcpt "bob@example.net"
  test.reply(s:message(MESSAGE), 451)
end)

test.case("mail of others is tagged and sealed", function()
  local result, delivered = send()
  test.accepted(result)
  test.equal(delivered.header.subject, "[EXTERNAL] A day")
  test.match(delivered.header["arc-seal"], "d=example.com")
  test.match(delivered.header["arc-authentication-results"], "i=1; mx.example.org;")
  test.equal(delivered.header["dkim-signature"], nil)
  test.equal(result.notes, {})
end)
