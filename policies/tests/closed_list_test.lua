local site = require "site"

local LISTS = [[
  lists = {
    ["all@example.com"] = true,
    ["news@example.com"] = { "press@partner.example", "friend.example" },
    ["board@example.com"] = { senders = { "ceo@example.com" }, inside = false },
  },
  domains = { "example.com", "mail.example.com" }, networks = { "192.0.2.0/24" },
]]
local CLOSED = "5.7.2 this list is closed: you may not send to it"

test.case("strangers may not write to it, by any of its names", function()
  site.only("closed_list", LISTS)
  for _, address in ipairs { "all@example.com", "ALL@Example.COM", "all+x@example.com", "all@mail.example.com", "all", "all@[192.0.2.1]" } do
    test.reply(site.rcpt(address), 550, CLOSED, address)
    test.reply(site.rcpt(address, nil, ""), 550, CLOSED, address)
  end
  test.accepted(site.rcpt "anna@example.com")
  test.accepted(site.rcpt "all@example.net")
end)

test.case("who is inside may", function()
  site.only("closed_list", LISTS)
  test.accepted(site.rcpt("all@example.com", { auth = "anna" }))
  test.accepted(site.rcpt("all@example.com", { ip = "192.0.2.9" }))
  test.reply(site.rcpt("board@example.com", { auth = "anna" }), 550, CLOSED)
  test.accepted(site.rcpt("board@example.com", { auth = "anna" }, "ceo@example.com"))
end)

test.case("a sender that is named may, where SPF says that it is this one", function()
  site.only("closed_list", LISTS)
  test.dns { ["partner.example TXT"] = "v=spf1 ip4:198.51.100.0/24 -all", ["friend.example TXT"] = "v=spf1 -all", ["slow.example TXT"] = "timeout" }
  test.accepted(site.rcpt("news@example.com", nil, "Press@partner.example"))
  test.reply(site.rcpt("news@example.com", nil, "other@partner.example"), 550, CLOSED)
  test.reply(site.rcpt("news@example.com", { ip = "203.0.113.1" }, "press@partner.example"), 550, CLOSED)
  test.reply(site.rcpt("news@example.com", nil, "a@friend.example"), 550, CLOSED)
  test.dns { ["friend.example TXT"] = "timeout" }
  test.reply(site.rcpt("news@example.com", nil, "b@friend.example"), 451)
  site.only("closed_list", LISTS .. "spf = false")
  test.accepted(site.rcpt("news@example.com", nil, "a@friend.example"))
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.closed_list" {}', "policy.lua:3: policy.closed_list: lists must be given")
  test.match(site.complaint 'require "policy.closed_list" { lists = { "all@example.com" } }', "policy.lua:3: .*'1' is no address")
  test.match(site.complaint 'require "policy.closed_list" { lists = { ["a@b"] = { sender = {} } } }', "policy.lua:3: .*a@b: unknown key 'sender' %(did you mean 'senders'%?%)")
  test.match(site.complaint 'require "policy.closed_list" { lists = { ["a@b"] = { 7 } } }', "policy.lua:3: .*a@b must be a list of addresses")
end)
