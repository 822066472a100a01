local site = require "site"

test.dns {
  ["strict.example TXT"] = "v=spf1 ip4:192.0.2.0/24 -all",
  ["_dmarc.strict.example TXT"] = "v=DMARC1; p=reject",
  ["_dmarc.soft.example TXT"] = "v=DMARC1; p=quarantine",
  ["_dmarc.slow.example TXT"] = "timeout",
}

local function from(author, client)
  return site.send({ headers = { "From: " .. author, "Subject: hi" }, body = "hello\r\n" }, client, "b@strict.example")
end

test.case("mail that a domain does not send is refused or held, where it asks for that", function()
  site.only "dmarc"
  test.reply(from "jane@strict.example", 550, "5.7.1 not sent by strict.example (DMARC)")
  test.equal(from("jane@soft.example").action, "quarantine")
  test.equal(from("jane@other.example").action, "accept")
  test.reply(from "a@strict.example, b@other.example", 550, "not the address of one author")
  local reply, s = from("jane@strict.example", { ip = "192.0.2.7" })
  test.accepted(reply)
  test.match(s:delivered().header["authentication-results"], "dmarc=pass")
end)

test.case("our own mail is not checked", function()
  site.only("dmarc", 'networks = { "203.0.113.0/24" }')
  test.accepted(from("jane@strict.example", { ip = "203.0.113.7" }))
  test.accepted(from("jane@strict.example", { auth = "jane" }))
end)

test.case("less may be done than is asked for", function()
  site.only("dmarc", 'enforce = "quarantine"')
  test.equal(from("jane@strict.example").action, "quarantine")
  test.equal(from("a@strict.example, b@other.example").action, "quarantine")
  site.only("dmarc", 'enforce = "tag", authserv = "mx.site.example"')
  local reply, s = from "jane@strict.example"
  test.equal(reply.action, "accept")
  test.match(s:delivered().header["authentication-results"], "^mx.site.example;")
end)

test.case("the site may know better of some domains", function()
  site.only("dmarc", 'domains = { ["strict.example"] = "none", ["other.example"] = "reject" }')
  test.equal(from("jane@strict.example").action, "accept")
  test.reply(from "jane@other.example", 550, "not sent by other.example")
  test.reply(from "jane@strict.example, boss@bank.example", 550, "not the address of one author", "one of two is no author")
end)

test.case("what could not be found out is put off", function()
  site.only "dmarc"
  test.reply(from "jane@slow.example", 451)
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.dmarc" { enforce = "drop" }', "policy.lua:3: .*enforce must be 'reject', 'quarantine', 'tag', not 'drop'")
  test.match(site.complaint 'require "policy.dmarc" { domains = { ["a.example"] = "drop" } }', "policy.lua:3: .*a.example must be")
  test.match(site.complaint 'require "policy.dmarc" { sealer = {} }', "did you mean 'sealers'")
end)
