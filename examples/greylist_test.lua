test.policy "greylist.lua"
test.clock(1800000000)

local function attempt(client, rcpt)
  local s = test.session(client or { ip = "198.51.100.7" })
  s:mail "joe@example.net"
  return s:rcpt(rcpt or "anna@example.com"), s
end

test.case("who comes again after the delay passes, and is known then", function()
  test.reply(attempt(), 451, "4.7.1 greylisted, try again in 300 seconds")
  test.advance(100)
  test.reply(attempt(), 451, "4.7.1 greylisted, try again in 200 seconds")
  test.advance(200)
  test.accepted(attempt())
  test.accepted(attempt())
  test.reply(attempt(nil, "bert@example.com"), 451, "4.7.1 greylisted, try again in 300 seconds")
end)

test.case("a recipient that is named again is no further attempt", function()
  local _, s = attempt()
  test.advance(301)
  test.reply(s:rcpt "anna@example.com", 451)
end)

test.case("our own networks are not greylisted", function()
  test.accepted(attempt { ip = "192.0.2.7" })
end)

test.case("a login has so many recipients, and so many sessions", function()
  local login = { ip = "198.51.100.7", auth = "joe" }
  local s = test.session(login)
  s:mail "joe@example.com"
  for i = 1, 200 do test.accepted(s:rcpt("r" .. i .. "@example.net")) end
  test.reply(s:rcpt "more@example.net", 451, "4.7.1 too many recipients, try again in 1 minutes")
  test.advance(18)
  test.accepted(s:rcpt "more@example.net")
  for _ = 2, 10 do test.accepted(test.session(login):mail "joe@example.com") end
  test.reply(test.session(login):mail "joe@example.com", 421, "4.7.0 too many sessions at a time")
end)

test.case("without an answer of the store --on-error decides", function()
  test.kv "unavailable"
  local s = test.session { ip = "198.51.100.7", on_error = "tempfail" }
  s:mail "joe@example.net"
  test.reply(s:rcpt "anna@example.com", 451)
end)
