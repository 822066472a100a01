local site = require "site"

local OURS = [[people = { ["Anna Muster"] = { "anna@home.example" } }, domains = { "example.com" }]]

-- Subject as delivered, or what became of the message.
local function from(author, client, ...)
  local message = { headers = { "From: " .. author, "Subject: s", ... }, body = "x\r\n" }
  local reply, s = site.send(message, client)
  if reply.code ~= 250 then return reply.lines[1] end
  return reply.action == "quarantine" and "held" or s:delivered().header.subject, s
end

test.case("the name of one of us with the address of a stranger is marked", function()
  site.only("impersonation", OURS)
  for _, author in ipairs {
    "Anna Muster <joe@example.org>",
    '"Muster, Anna" <joe@example.org>',
    "=?utf-8?q?=C3=81nna_M=C3=BAster?= <joe@example.org>",
    "=?utf-8?b?0JBubtCwIE11c3Rlcg==?= <joe@example.org>", -- Cyrillic А and а.
    "ANNA  MUSTER <joe@example.org>",
    "Anna\u{202f}Muster <joe@example.org>",
    "Anna\u{2800}Muster <joe@example.org>",
    "Anna\u{2028}Muster <joe@example.org>",
    "A\u{200b}nna\u{3164}Muster <joe@example.org>",
    "Muster, Anna <joe@example.org>",
    "=?utf-8?q?M=C3=BAster?=, Anna <joe@example.org>",
    "Anna Muster: joe@example.org;",
    "Anna Muster:;, <joe@example.org>",
    "Anna Muster, joe@example.org",
    "Anna Muster:;",
    "\u{202e}retsuM annA <joe@example.org>",
  } do
    test.equal(from(author), "[SUSPICIOUS] s", author)
  end
  test.equal(from("Joe <joe@example.org>", nil, "Reply-To: Anna Muster <x@evil.example>"), "[SUSPICIOUS] s")
  local _, s = from "Anna Muster <joe@example.org>"
  test.equal(s:delivered().header["x-impersonation"], "From shows the name of a person of ours")
end)

test.case("our domain in a name is marked", function()
  site.only("impersonation", OURS)
  test.equal(from '"anna@example.com" <joe@example.org>', "[SUSPICIOUS] s")
  test.equal(from '"Help desk (example.com)" <joe@example.org>', "[SUSPICIOUS] s")
  test.equal(from '"notexample.com" <joe@example.org>', "s")
  test.equal(from '"example.community" <joe@example.org>', "s")
end)

test.case("a domain that looks like ours is marked, as mail programs show it", function()
  site.only("impersonation", OURS)
  for _, domain in ipairs { "exämple.com", "xn--exmple-cua.com", "XN--xample-9uf.com" } do
    test.equal(from("Joe <joe@" .. domain .. ">"), "[SUSPICIOUS] s", domain)
  end
  for _, label in ipairs { "xn--", "xn---", "xn--a", "xn--99999999", "xn--" .. ("z"):rep(55), "xn--a-b-c-", "xn--ls8h" } do
    test.equal(from("Joe <joe@" .. label .. ".com>"), "s", label)
  end
  site.only("impersonation", 'domains = { "apple.com" }')
  test.equal(from "Joe <joe@xn--pple-43d.com>", "[SUSPICIOUS] s") -- A Cyrillic а.
end)

test.case("what would take long to look at is marked", function()
  site.only("impersonation", OURS .. ', action = "refuse"')
  local many = {}
  for i = 1, 2000 do many[i] = "Anna Muster" .. i .. " <a" .. i .. "@x.example>" end
  test.equal(from(table.concat(many, ", ")), "550 5.7.1 From shows too many addresses")
  test.equal(from('"' .. ("name "):rep(10000) .. '" <joe@example.org>'), "550 5.7.1 From shows a name without end")
  test.equal(from('"' .. ("name "):rep(10000) .. '": joe@example.org;'), "550 5.7.1 From shows a name without end")
end)

test.case("who may use the name, and who is inside, is not marked", function()
  site.only("impersonation", OURS)
  test.equal(from "Anna Muster <anna@home.example>", "s")
  test.equal(from "Anna Muster <anna@example.com>", "s")
  test.equal(from "Muster, Anna <anna@home.example>", "s")
  test.equal(from "Anna Muster: anna@home.example;", "s")
  test.equal(from "Anna Mustermann <joe@example.org>", "s")
  test.equal(from "Anna Muster <anna@home.example>, Joe <joe@example.org>", "s")
  test.equal(from("Anna Muster <joe@example.org>", { auth = "anna" }), "s")
end)

test.case("it may be held or refused", function()
  site.only("impersonation", OURS .. ', action = "quarantine"')
  test.equal(from "Anna Muster <joe@example.org>", "held")
  site.only("impersonation", OURS .. ', action = "refuse"')
  test.equal(from "Anna Muster <joe@example.org>", "550 5.7.1 From shows the name of a person of ours")
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.impersonation" {}', "policy.lua:3: .*people or domains must be given")
  test.match(site.complaint 'require "policy.impersonation" { people = { "Anna" } }', "policy.lua:3: .*must be a first and a last name")
  test.match(site.complaint 'require "policy.impersonation" { persons = {} }', "policy.lua:3: .*unknown key 'persons'")
end)
