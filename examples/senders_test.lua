-- Tests of senders.lua:    smtpf-milter test examples/senders_test.lua

local SENDERS = "hash:/etc/postfix/sender_access"
local RECIPIENTS = "ldap:/etc/postfix/recipients.cf"

-- The reply to MAIL, and to RCPT, with these entries.
local function replies(sender, recipient, entries)
  test.env { SMTPF_SENDERS = SENDERS, SMTPF_RECIPIENTS = RECIPIENTS }
  test.map(SENDERS, entries.senders or {})
  test.map(RECIPIENTS, entries.recipients or {})
  local s = test.session { ip = "198.51.100.7", helo = "mx.example.org", on_error = entries.on_error }
  local mail = s:mail(sender)
  local rcpt = recipient and s:rcpt(recipient)
  return mail.lines[1], rcpt and rcpt.lines[1]
end

local TABLE = {
  ["spam@bad.example"] = "REJECT",
  ["bad.example"] = "550 5.7.1 no mail from there",
  [".bad.example"] = "REJECT not from below",
  ["friend@bad.example"] = "OK",
  ["later.example"] = "DEFER",
  ["soon.example"] = "451 4.3.2 in an hour",
  ["root@"] = "reject no root",
  ["<>"] = "450 no bounces",
  ["odd.example"] = "FROBNICATE",
}

test.case("the most specific key of a sender counts", function()
  for sender, expected in pairs {
    ["spam@bad.example"] = "550 5.7.1 access denied",
    ["SPAM+x@Bad.Example"] = "550 5.7.1 access denied",
    ["other@bad.example"] = "550 5.7.1 no mail from there",
    ["other@a.b.bad.example"] = "550 5.7.1 not from below",
    ["a@later.example"] = "450 4.7.1 come back later",
    ["a@soon.example"] = "451 4.3.2 in an hour",
    ["root@good.example"] = "550 5.7.1 no root",
    [""] = "450 4.7.1 no bounces",
  } do
    test.equal(replies(sender, nil, { senders = TABLE }), expected, sender)
  end
end)

test.case("who is in no line, or is let in, may go on", function()
  for _, sender in ipairs { "friend@bad.example", "friend+x@bad.example", "a@good.example", "a@notbad.example" } do
    local mail, rcpt = replies(sender, "b@example.com", { senders = TABLE })
    test.match(mail, "^250 ", sender)
    test.match(rcpt, "^250 ", sender)
  end
end)

test.case("recipients have a table of their own", function()
  local mail, rcpt = replies("a@good.example", "gone@example.com", { recipients = { ["gone@example.com"] = "REJECT moved" } })
  test.match(mail, "^250 ")
  test.equal(rcpt, "550 5.7.1 moved")
end)

test.case("an unknown action, and a server that does not answer, are no way in", function()
  test.match(replies("a@odd.example", nil, { senders = TABLE, on_error = "tempfail" }), "^451 ")
  local mail, rcpt =
    replies("a@good.example", "b@example.com", { recipients = test.fails "timeout", on_error = "tempfail" })
  test.match(mail, "^250 ")
  test.match(rcpt, "^451 ")
end)
