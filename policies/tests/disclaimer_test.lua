local site = require "site"

local OURS = [[domains = { ["example.com"] = "Example Ltd.\n", ["example.net"] = { text = "Net\n", html = "<p>Net</p>" } }]]

local function body_of(from, recipient, client)
  local message = { headers = { "From: " .. from, "Subject: s" }, body = "Hello\r\n" }
  local reply, s = site.send(message, client or { auth = "anna" }, from, recipient)
  test.accepted(reply)
  return s:delivered().body
end

test.case("what our users send out has the text of their domain", function()
  site.only("disclaimer", OURS)
  test.match(body_of("anna@example.com", "joe@example.org"), "^Hello\r\n.*Example Ltd.\r\n$")
  test.match(body_of("anna@EXAMPLE.net", "joe@example.org"), "Net\r\n$")
end)

test.case("mail from outside, of other domains, and that stays here has none", function()
  site.only("disclaimer", OURS)
  test.equal(body_of("anna@example.com", "joe@example.org", {}), "Hello\r\n")
  test.equal(body_of("anna@other.example", "joe@example.org"), "Hello\r\n")
  test.equal(body_of("anna@example.com", "bert@example.net"), "Hello\r\n")
  site.only("disclaimer", OURS .. ", internal = true")
  test.match(body_of("anna@example.com", "bert@example.net"), "Example Ltd.")
end)

test.case("a reply that has it gets no second one, and signed mail none", function()
  site.only("disclaimer", OURS)
  local once = body_of("anna@example.com", "joe@example.org")
  local reply, s = site.send({ headers = { "From: anna@example.com", "Subject: s" }, body = "> " .. once:gsub("\r\n(.)", "\r\n> %1") }, { auth = "anna" }, "anna@example.com", "joe@example.org")
  test.accepted(reply)
  local _, count = s:delivered().body:gsub("Example Ltd", "")
  test.equal(count, 1)
  local signed = { headers = { "From: anna@example.com", "MIME-Version: 1.0", "Content-Type: multipart/signed; boundary=b" }, body = "--b\r\n\r\nx\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\ns\r\n--b--\r\n" }
  reply, s = site.send(signed, { auth = "anna" }, "anna@example.com", "joe@example.org")
  test.accepted(reply)
  test.equal(s:delivered().body, signed.body)
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.disclaimer" { text = "x" }', "policy.lua:3: policy.disclaimer: unknown key 'text'")
  test.match(site.complaint 'require "policy.disclaimer" { domains = { ["a.example"] = { txt = "x" } } }', "policy.lua:3: .*a.example must be a text")
  test.match(site.complaint 'require "policy.disclaimer" { domains = { ["a.example"] = { text = "x", htm = "" } } }', "policy.lua:3: .*unknown key 'htm' %(did you mean 'html'%?%)")
end)
