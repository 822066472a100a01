-- Tests of closed-list.lua:    smtpf-milter test examples/closed-list_test.lua

local CLOSED = "5.7.2 this list is closed: you may not send to it"
local OUTSIDE = "198.51.100.7"

-- The answers to each recipient of one message.
local function send(ip, sender, ...)
  local s = test.session { ip = ip, helo = "mx.example.net" }
  test.accepted(s:mail(sender))
  local answers = {}
  for i, recipient in ipairs { ... } do
    answers[i] = s:rcpt(recipient)
  end
  return answers, s
end

local function is_open(list, ip, sender)
  test.accepted(send(ip, sender, list)[1], string.format("<%s> from %s", sender, ip))
end

local function is_closed(list, ip, sender)
  test.reply(send(ip, sender, list)[1], 550, CLOSED, string.format("<%s> from %s", sender, ip))
end

test.case("a list takes mail from its networks, whoever writes", function()
  for _, ip in ipairs { "192.0.2.7", "192.0.2.0", "192.0.2.255", "127.0.0.1", "127.255.255.255", "::1", "2001:db8::7" } do
    is_open("all-staff@example.com", ip, "stranger@example.org")
    is_open("all-staff@example.com", ip, "")
  end
  for _, ip in ipairs {
    OUTSIDE,
    "192.0.3.0",
    "192.0.1.255",
    "126.0.0.1",
    "128.0.0.1",
    "::2",
    "2001:db8:1::7",
    "2001:db7:ffff:ffff::7",
    "::",
    "192.1.2.7",
    -- IPv4 and IPv6 with the same first bits.
    "32.1.13.184",
    "c000:200::1",
    "7f00::1",
  } do
    is_closed("all-staff@example.com", ip, "stranger@example.org")
  end
  is_open("all-staff@example.com", "::ffff:192.0.2.7", "stranger@example.org")
  is_closed("all-staff@example.com", "::ffff:192.0.3.7", "stranger@example.org")
end)

test.case("mail of this host has no address, and is not inside", function()
  is_closed("all-staff@example.com", "/run/mail.sock", "stranger@example.org")
  is_closed("all-staff@example.com", "/::1", "stranger@example.org")
  is_open("all-staff@example.com", "/run/mail.sock", "ceo@example.net")
end)

test.case("a list takes mail from its senders, wherever they are", function()
  for _, sender in ipairs {
    "ceo@example.net",
    "CEO+travel@Example.NET.",
    '"ceo"@example.net',
    "anyone@Partner.example",
    "anyone@partner.example.",
    "someone+else@partner.example",
  } do
    is_open("all-staff@example.com", OUTSIDE, sender)
  end
  for _, sender in ipairs {
    "",
    "postmaster",
    "someone@example.com",
    "ceo@example.com",
    "xceo@example.net",
    "ceo@mail.example.net",
    "ceo@example.net@example.org",
    "anyone@not.partner.example",
    "anyone@partner.example.org",
    '"x@partner.example"@example.org',
    "marketing@example.com",
  } do
    is_closed("all-staff@example.com", OUTSIDE, sender)
  end
end)

test.case("a list with both = true wants the sender and the network", function()
  is_open("customers@example.com", "192.0.2.7", "marketing@example.com")
  is_open("customers@example.com", "2001:db8:0:ffff::7", "Marketing@MAIL.example.com")
  is_closed("customers@example.com", OUTSIDE, "marketing@example.com")
  is_closed("customers@example.com", "192.0.2.7", "sales@example.com")
  is_closed("customers@example.com", "192.0.2.7", "")
  is_closed("customers@example.com", "127.0.0.1", "marketing@example.com")
end)

local SPELLINGS = {
  "all-staff@example.com",
  "All-Staff@EXAMPLE.com",
  "all-staff@example.com.",
  "all-staff@mail.example.com",
  "all-staff@localhost",
  "all-staff@mx.example",
  "all-staff@[192.0.2.1]",
  "all-staff",
  "all-staff+monday@example.com",
  "all-staff+@example.com",
  '"all-staff"@example.com',
  '"all-\\staff"@example.com',
  "all\\-staff@example.com",
  '"all"-staff@example.com',
  "all-staff(hello)@example.com",
  "all-staff@example.com (hello)",
  "all-staff @ example.com",
  "all-staff%example.com@mail.example.com",
  '"all-staff@example.com"@example.com',
  "example.com!all-staff@example.com",
}

test.case("a list is known in every spelling that reaches it", function()
  local answers = send(OUTSIDE, "stranger@example.org", table.unpack(SPELLINGS))
  for i, answer in ipairs(answers) do
    test.reply(answer, 550, CLOSED, SPELLINGS[i])
  end
end)

test.case("other recipients of the message are untouched", function()
  local others = {
    "all@example.com",
    "all-staff@example.org",
    "all-staffs@example.com",
    "+all-staff@example.com",
    "all-staff%example.org@example.com",
    "example.org!all-staff@example.com",
    "postmaster",
    "!",
    "%@example.com",
    ("("):rep(1000) .. "@example.com",
  }
  local answers, s = send(OUTSIDE, "stranger@example.org", "all-staff@example.com", table.unpack(others))
  test.refused(answers[1], 550)
  for i, other in ipairs(others) do
    test.accepted(answers[i + 1], other)
  end
  test.accepted(s:message { headers = { "Subject: hello" }, body = "hello\r\n" })
  test.equal(#s:delivered().recipients, #others)
end)

test.case("each message of a session has its own sender", function()
  local s = test.session { ip = OUTSIDE, helo = "mx.example.net" }
  s:mail "ceo@example.net"
  test.accepted(s:rcpt "all-staff@example.com")
  s:rset()
  s:mail "stranger@example.org"
  test.refused(s:rcpt "all-staff@example.com", 550)
end)

test.case("a refusal is in the log, with the case that the client wrote; nothing else is", function()
  local _, s = send(OUTSIDE, "Stranger@example.org", "All-Staff+x@example.com", "someone@example.com")
  test.equal(s:log(), { "<Stranger@example.org> may not send to <All-Staff+x@example.com>" })
end)
