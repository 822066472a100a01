test.case("ratelimit: a login sends to 200 recipients in an hour", function()
  local s = test.session(client { auth = "joe" })
  test.accepted(s:mail "joe@example.com")
  for i = 1, 200 do test.accepted(s:rcpt("r" .. i .. "@receiver.example")) end
  test.reply(s:rcpt "more@receiver.example", 451, "too much mail")
end)
