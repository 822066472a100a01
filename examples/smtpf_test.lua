-- Tests of smtpf.lua, the tour of the API:    smtpf-milter test examples/smtpf_test.lua

test.case("every callback is logged with what it was given, and nothing is refused", function()
  local s = test.session { ip = "2001:db8::7", ptr = "mx.example.net", helo = "mx.example.net" }
  test.accepted(s.greeting)
  test.accepted(s:mail("", "SIZE=1000", "BODY=8BITMIME"))
  test.accepted(s:rcpt("100%@example.com", "NOTIFY=NEVER"))
  test.reply(s:data(), 354)
  local taken = s:message('Subject: caf\xe9\r\n\tau "lait"\r\n\r\none\r\n\0\xff\r\n')
  test.accepted(taken)
  test.equal(taken.action, "accept")
  test.accepted(s:quit())

  local log = s:log()
  for i, line in ipairs(log) do
    log[i] = line:gsub("^dot /%S+", "dot FILE")
  end
  test.equal(log, {
    'connect ip="2001:db8::7" ptr="mx.example.net"',
    'helo "mx.example.net"',
    'mail "" {"SIZE=1000", "BODY=8BITMIME"} tran=s1.1',
    'rcpt "100%@example.com" {"NOTIFY=NEVER"} sender=""',
    'data helo="mx.example.net" sender=""',
    "headers 1",
    'header 1 "Subject: caf\xe9\\13\\n\\9au \\"lait\\""',
    "chunk of 9 bytes",
    "dot FILE of 38 bytes",
    'rset tran=s1.1 sender=""',
    'close helo="mx.example.net"',
  })
end)

test.case("each callback lets the mail go on by itself", function()
  local s = test.session { helo = "mx.example.net" }
  s:mail "someone@example.org"
  s:rcpt "one@example.com"
  s:rcpt "two@example.com"
  s:message { headers = { From = "someone@example.org", Subject = "hello" }, body = "hello\r\n" }
  s:quit()
  for _, call in ipairs(s:calls()) do
    test.equal(call.result, "continue", call.name)
  end
  test.equal(s:delivered().recipients, { "one@example.com", "two@example.com" })
  test.equal(s:edits(), {})
end)

test.case("a transaction that is given up ends with rset", function()
  local s = test.session { helo = "mx.example.net" }
  s:mail "someone@example.org"
  s:rset()
  test.match(s:log(), 'rset tran=s1.1 sender="someone@example.org"')
end)

test.case("a client that says nothing is logged too", function()
  local s = test.session { ip = "192.0.2.7" }
  s:drop()
  test.equal(s:log(), { 'connect ip="192.0.2.7" ptr=""', "close helo=nil" })
end)

test.case("without the message file the client is told to come back", function()
  local s = test.session { helo = "mx.example.net" }
  s:mail "someone@example.org"
  s:rcpt "one@example.com"
  test.unreadable "*.eml"
  test.reply(s:message "Subject: hello\n\nhello\n", 451, "4.3.0 cannot read the message now, try again later")
  test.match(s:log(), "^dot: .*No such file")
end)
