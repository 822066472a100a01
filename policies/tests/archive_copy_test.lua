local site = require "site"

local OURS = [[domains = { ["example.com"] = "archive@example.com", ["example.net"] = "archive@example.com", ["example.org"] = "other@vault.example" }]]

local function recipients(sender, ...)
  local reply, s = site.send("hi", nil, sender, ...)
  test.accepted(reply)
  return s:delivered().recipients, s
end

test.case("one copy for each archive", function()
  site.only("archive_copy", OURS)
  test.equal(recipients("joe@a.example", "anna@example.com", "bert@example.NET"), { "anna@example.com", "bert@example.net", "archive@example.com" })
  test.equal(recipients("anna@example.com", "x@a.example", "y@example.org"), { "x@a.example", "y@example.org", "archive@example.com", "other@vault.example" })
  test.equal(recipients("", "x@a.example"), { "x@a.example" })
  test.equal(recipients("joe@a.example", "archive@example.com"), { "archive@example.com" })
end)

test.case("the sender is told nothing of it", function()
  site.only("archive_copy", OURS)
  local _, s = recipients("joe@a.example", "anna@example.com")
  test.match(s:edits()[1].params or "", "NOTIFY=NEVER")
end)

test.case("recipients that were refused do not count", function()
  site.use('{ rcpt = function(r) if r:find "^no" then return 550, "no" end end }, require "policy.archive_copy" {' .. OURS .. "}")
  test.equal(recipients("joe@a.example", "no@example.com", "x@a.example"), { "x@a.example" })
end)

test.case("one direction alone", function()
  site.only("archive_copy", OURS .. ', of = "incoming"')
  test.equal(recipients("anna@example.com", "x@a.example"), { "x@a.example" })
  site.only("archive_copy", OURS .. ', of = "outgoing"')
  test.equal(recipients("anna@example.com", "y@example.org"), { "y@example.org", "archive@example.com" })
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.archive_copy" { domains = { ["a.example"] = "vault" } }', "policy.lua:3: .*a.example must be the address of an archive")
  test.match(site.complaint 'require "policy.archive_copy" { domains = {}, of = "in" }', "policy.lua:3: .*of must be")
end)
