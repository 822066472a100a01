local site = require "site"
test.clock(1800000000)

local JOE = { auth = "joe" }

test.case("a login has so many recipients, and is told of once in the log", function()
  site.only("ratelimit", 'per_login = { "3/h", "10/d" }')
  for i = 1, 3 do test.accepted(site.rcpt("r" .. i .. "@example.net", JOE)) end
  local reply, s = site.rcpt("r4@example.net", JOE)
  test.reply(reply, 451, "4.7.1 too much mail, try again in 20 minutes")
  test.equal(s:log(), { "policy.ratelimit: login:joe has reached 3/h" })
  test.equal(#test.events "policy.ratelimit", 1)
  reply, s = site.rcpt("r4@example.net", JOE)
  test.reply(reply, 451)
  test.equal(s:log(), {})
  test.accepted(site.rcpt("r4@example.net", { auth = "ann" }))
  test.accepted(site.rcpt("r4@example.net"), "nobody has logged in")
  test.advance(1200)
  test.accepted(site.rcpt("r4@example.net", JOE))
end)

test.case("some logins have rates of their own", function()
  site.only("ratelimit", 'per_login = "1/h", logins = { news = "2/h", admin = false }')
  for _, user in ipairs { "news", "News" } do test.accepted(site.rcpt("a@example.net", { auth = user })) end
  test.reply(site.rcpt("a@example.net", { auth = "news" }), 451)
  for _ = 1, 5 do test.accepted(site.rcpt("a@example.net", { auth = "admin" })) end
end)

test.case("messages are counted instead of recipients", function()
  site.only("ratelimit", 'per_login = "1/h", count = "messages"')
  local s = test.session(site.client(JOE))
  test.accepted(s:mail "joe@example.com")
  for i = 1, 5 do test.accepted(s:rcpt("r" .. i .. "@example.net")) end
  s:rset()
  test.reply(s:mail "joe@example.com", 451)
end)

test.case("clients are counted by their network, ours are not", function()
  site.only("ratelimit", 'per_login = false, per_client = "2/m", networks = { "192.0.2.0/24" }')
  for i = 1, 2 do test.accepted(site.rcpt(nil, { ip = "198.51.100." .. i })) end
  test.reply(site.rcpt(nil, { ip = "198.51.100.3" }), 451)
  for _ = 1, 5 do test.accepted(site.rcpt(nil, { ip = "192.0.2.1" })) end
  for _ = 1, 5 do test.accepted(site.rcpt(nil, JOE)) end
end)

test.case("a login has so many sessions at a time", function()
  site.only("ratelimit", "sessions = 2")
  local one = test.session(site.client(JOE))
  test.accepted(one:mail "joe@example.com")
  test.accepted(test.session(site.client(JOE)):mail "joe@example.com")
  test.reply(test.session(site.client(JOE)):mail "joe@example.com", 421, "4.7.0 too many sessions at a time")
  one:quit()
  test.accepted(test.session(site.client(JOE)):mail "joe@example.com")
end)

test.case("while the store is away --on-error decides", function()
  test.kv "unavailable"
  site.only "ratelimit"
  test.reply(site.rcpt(nil, JOE), 451, "Service unavailable")
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.ratelimit" { per_login = "200 an hour" }', "policy.lua:3: .*'200 an hour' is no rate such as '200/h'")
  test.match(site.complaint 'require "policy.ratelimit" { count = "mails" }', "policy.lua:3: .*count must be 'recipients', 'messages', not 'mails'")
  test.match(site.complaint 'require "policy.ratelimit" { per_user = "200/h" }', "policy.lua:3: .*unknown key 'per_user'")
end)
