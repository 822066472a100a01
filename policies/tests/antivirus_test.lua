local site = require "site"

test.case("a message with a virus is refused, or held", function()
  test.clamd "Eicar-%1"
  site.only "antivirus"
  local reply, s = site.send "hi"
  test.reply(reply, 550, "5.7.1 this message holds Eicar-%1")
  test.match(s:log(), "policy.antivirus: found Eicar-%1")
  site.only("antivirus", 'action = "quarantine"')
  test.equal(site.send("hi").action, "quarantine")
  test.clamd(false)
  test.equal(site.send("hi").action, "accept")
end)

test.case("without an answer --on-error decides, or on_error", function()
  test.clamd(test.fails "unavailable")
  site.only "antivirus"
  test.reply(site.send "hi", 451)
  site.only("antivirus", 'on_error = "continue"')
  test.accepted(site.send "hi")
  site.only("antivirus", 'on_error = "reject"')
  test.reply(site.send "hi", 550)
end)

test.case("a message that is too large has not been looked through", function()
  test.clamd(test.fails "limit")
  site.only "antivirus"
  test.reply(site.send "hi", 451)
  site.only("antivirus", 'too_large = "pass"')
  local reply, s = site.send "hi"
  test.accepted(reply)
  test.match(s:log(), "policy.antivirus: not looked through: limit")
  test.clamd(test.fails "timeout")
  test.reply(site.send "hi", 451)
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.antivirus" { action = "delete" }', "policy.lua:3: .*action must be 'refuse', 'quarantine', not 'delete'")
  test.match(site.complaint 'require "policy.antivirus" { tool_arge = "pass" }', "did you mean 'too_large'")
end)
