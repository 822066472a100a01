local site = require "site"

test.case("the first verdict wins, in order, and the script's own function is asked first", function()
  site.use(
    [[
    { rcpt = function(rcpt) if rcpt:find "^one" then return 550, "5.7.1 one" end end },
    { rcpt = function(rcpt) if rcpt:find "^[ot]" then return 451, "two" end return 250 end },
    { rcpt = function() syslog.info "three" return 0 end },
  ]],
    'function smtp.do_rcpt(rcpt) if rcpt:find "^own" then return 553, "own" end end'
  )
  test.reply(site.rcpt "own@example.com", 553, "own")
  test.reply(site.rcpt "one@example.com", 550, "5.7.1 one")
  local reply, s = site.rcpt "two@example.com"
  test.reply(reply, 451, "4.0.0 two")
  test.equal(s:log(), {})
  reply, s = site.rcpt "anna@example.com"
  test.accepted(reply)
  test.equal(s:log(), { "three" })
end)

test.case("the log has the function that decided", function()
  site.use('require "policy.greylist" {}, { rcpt = function() return 550, "no" end }', "function smtp.do_mail(s)\n  if s == '' then return 550, 'no' end\nend")
  test.match(site.rcpt().where, "/policies/policy/greylist.lua:%d+$")
  test.match(site.rcpt("a@b.example", { auth = "joe" }).where, "/policy.lua:4$")
  test.match(test.session(site.client()):mail("").where, "/policy.lua:1$")
  test.equal(test.session(site.client()):mail("a@b.example").where, "")
end)

test.case("the other name of a callback is asked too, and all results are handed on", function()
  site.use("{ rcpt = function() end }", 'function smtp.rcpt() return 550, "no", "5.1.1" end')
  test.reply(site.rcpt(), 550, "5.1.1 no")
end)

test.case("changes add up", function()
  site.use [[
    { mail = function() header.add("X-One", "1") end, dot = function() header.add("X-Two", "2") end },
    { dot = function(path) header.add("X-Three", path:sub(1, 1)) end },
  ]]
  local reply, s = site.send "hi"
  test.accepted(reply)
  local delivered = s:delivered().header
  test.equal({ delivered["x-one"], delivered["x-two"], delivered["x-three"] }, { "1", "2", "/" })
end)

test.case("one that fails does not keep the others from refusing", function()
  site.use [[
    { rcpt = function() error "oops" end },
    { rcpt = function(rcpt) if rcpt:find "^bad" then return 550, "5.1.1 bad" end return smtp.code.accept end },
  ]]
  test.reply(site.rcpt "bad@example.com", 550, "bad")
  local reply = site.rcpt "good@example.com"
  test.reply(reply, 451, "Service unavailable", "--on-error tempfail, whatever is let in after it")
  test.match(reply.failed, "policy.lua:2: oops")
  test.accepted(site.rcpt("good@example.com", { on_error = "continue" }))
end)

test.case("what a failure does may be said for each", function()
  local function with(word)
    site.use(string.format('{ name = "frail", rcpt = function() error "oops" end, on_error = "%s" }', word))
    return site.rcpt(nil, { on_error = "continue" })
  end
  local reply, s = with "continue"
  test.accepted(reply)
  test.match(s:log(), "frail: .*oops %(on_error = continue%)")
  test.reply(with "tempfail", 451)
  reply, s = with "reject"
  test.reply(reply, 550)
  test.match(s:log(), "frail: .*oops %(on_error = reject%)")
end)

test.case("what waits may wait", function()
  test.dns { ["7.100.51.198.bl.example A"] = "127.0.0.2" }
  site.use [[
    { rcpt = function() if dns.a "example.org" == nil then error "no" end end },
    { rcpt = function() if dns.listed(smtp.sess.ip, "bl.example") then return 550, "5.7.1 listed" end end },
  ]]
  test.reply(site.rcpt(), 550, "5.7.1 listed")
end)

test.case("rset and close are told to all", function()
  site.use(
    [[
    { rset = function() syslog.info "one" return 550 end },
    { rset = function() syslog.info "two" end, close = function() syslog.info "closed" end },
  ]],
    'function smtp.rset() syslog.info "own" end'
  )
  local _, s = site.rcpt()
  s:quit()
  test.equal(s:log(), { "own", "one", "two", "closed" })
end)

test.case("what is no policy is told of", function()
  test.match(site.complaint 'require "policy.greylist"', "item 1 is a function: write require \"policy.NAME\" {} with its braces")
  test.match(site.complaint "{ rctp = function() end }", "policy.lua:3: policy.use: item 1 has an unknown callback 'rctp' (did you mean 'rcpt'?)")
  test.match(site.complaint "7", "item 1 is a number, not a policy")
  test.match(site.complaint "{ rcpt = 7 }", "item 1: rcpt must be a function")
  test.match(site.complaint 'rcpt = function() end', "'rcpt' is no item")
  test.match(site.complaint '{}, nil, { mail = function() end }', "item 2 is a nil")
end)

test.case("a function that is defined after it would be lost, so it must be the last statement", function()
  test.policy(test.file("policy.lua", 'require "policy.use" { require "policy.greylist" {} }\nfunction smtp.do_rcpt() end'))
  local s = test.session { on_error = "tempfail" }
  test.match(s:mail("a@b.example").failed, "policy.lua:1: policy.use: write `return")
end)

test.case("a site's own policy of the same name counts", function()
  test.file("policy/greylist.lua", 'return function() return { rcpt = function() return 550, "5.7.1 ours" end } end')
  site.only("greylist", "whatever = 1")
  test.reply(site.rcpt(), 550, "5.7.1 ours")
end)
