local site = require "site"
test.clock(1800000000)

test.case("who comes again after the delay passes, and is known then", function()
  site.only("greylist", "delay = 120")
  test.reply(site.rcpt(), 451, "4.7.1 greylisted, try again in 120 seconds")
  test.advance(60)
  test.reply(site.rcpt(), 451, "4.7.1 greylisted, try again in 60 seconds")
  test.advance(60)
  test.accepted(site.rcpt())
  test.reply(site.rcpt "bert@example.com", 451)
end)

test.case("our own mail, and that for some recipients, does not wait", function()
  site.only("greylist", 'networks = { "192.0.2.0/24" }, except = { "postmaster@example.com", "example.net" }')
  test.accepted(site.rcpt(nil, { ip = "192.0.2.9" }))
  test.accepted(site.rcpt(nil, { auth = "joe" }))
  test.accepted(site.rcpt "Postmaster@example.com")
  test.accepted(site.rcpt "anybody@example.net")
  test.reply(site.rcpt "anybody@sub.example.net", 451)
end)

test.case("gently: clients with a name do not wait, unless a list has them", function()
  site.only("greylist", 'gentle = true, lists = { "bl.example" }')
  test.accepted(site.rcpt())
  test.reply(site.rcpt(nil, { ptr = "" }), 451)
  test.dns { ["7.100.51.198.bl.example A"] = "127.0.0.2" }
  test.reply(site.rcpt(), 451)
  test.dns { ["8.100.51.198.bl.example A"] = "timeout" }
  test.reply(site.rcpt(nil, { ip = "198.51.100.8" }), 451, "Service unavailable", "the list is down: --on-error")
end)

test.case("with SPF all servers of a domain are one", function()
  site.only("greylist", "spf = true")
  test.dns { ["example.org TXT"] = "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 -all" }
  test.reply(site.rcpt(), 451)
  test.advance(300)
  test.accepted(site.rcpt(nil, { ip = "203.0.113.9" }))
  test.reply(site.rcpt(nil, { ip = "192.0.2.9" }), 451, "greylisted", "SPF fails there")
end)

test.case("while the store is away --on-error decides, or on_error", function()
  test.kv "unavailable"
  site.only "greylist"
  test.reply(site.rcpt(), 451, "Service unavailable")
  site.only("greylist", 'on_error = "continue"')
  local reply, s = site.rcpt()
  test.accepted(reply)
  test.match(s:log(), "policy.greylist: .*unavailable.*on_error = continue")
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.greylist" { dealy = 3 }', "policy.lua:3: policy.greylist: unknown key 'dealy' (did you mean 'delay'?)")
  test.match(site.complaint 'require "policy.greylist" { delay = "3" }', "policy.lua:3: policy.greylist: delay must be a number, not a string")
  test.match(site.complaint 'require "policy.greylist" { delay = 300, window = 200 }', "policy.lua:3: .*less than window")
  test.match(site.complaint 'require "policy.greylist" { networks = { "10.0.0.0/33" } }', "policy.lua:3: .*'10.0.0.0/33' is no network")
  test.match(site.complaint 'require "policy.greylist" { on_error = "ignore" }', "policy.lua:3: .*on_error must be")
end)
