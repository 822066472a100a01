local site = require "site"

local OURS = [[domains = { ["example.com"] = "mail.internal.example", ["example.net"] = { "one.example", "two.example" } }]]

test.case("a recipient that the server behind does not know is refused, and what it says is for the log", function()
  site.only("callahead", OURS)
  test.callahead { ["anna@example.com"] = true, ["gone@example.com"] = "550 5.1.1 exch07.internal: unknown" }
  test.accepted(site.rcpt "anna@example.com")
  local reply, s = site.rcpt "gone@example.com"
  test.reply(reply, 550, "^5.1.1 no such user here$")
  test.match(s:log(), "policy.callahead: <gone@example.com>: .*exch07")
end)

test.case("other domains are not asked about", function()
  site.only("callahead", OURS)
  test.callahead { ["*"] = false }
  test.accepted(site.rcpt "anna@example.org")
  test.reply(site.rcpt "Anna@EXAMPLE.net", 550)
end)

test.case("a server that does not answer is no answer", function()
  test.callahead { ["*"] = test.fails "timeout" }
  site.only("callahead", OURS)
  test.reply(site.rcpt "anna@example.com", 451, "Service unavailable")
  test.accepted(site.rcpt("anna@example.com", { on_error = "continue" }))
  site.only("callahead", OURS .. ', on_error = "tempfail"')
  test.reply(site.rcpt("anna@example.com", { on_error = "continue" }), 451)
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.callahead" {}', "policy.lua:3: policy.callahead: domains must be given")
  test.match(site.complaint 'require "policy.callahead" { domains = { "a" }, host = "x" }', "policy.lua:3: .*unknown key 'host'")
  test.match(site.complaint 'require "policy.callahead" { domains = { "a" } }', "policy.lua:3: .*domains: 1 must be a server")
end)
