local site = require "site"

local function subject_of(message, client)
  local reply, s = site.send(message, client)
  test.accepted(reply)
  return s:delivered().header.subject, s:delivered()
end

test.case("mail from outside is marked, once, and our own is not", function()
  site.only "external_tag"
  local subject, delivered = subject_of "A day"
  test.equal(subject, "[EXTERNAL] A day")
  test.equal(delivered.header["x-external"], "yes")
  test.equal(subject_of "Re: [external] A day", "Re: [external] A day")
  test.equal(subject_of "AW: Re:  [EXTERNAL] A day", "AW: Re:  [EXTERNAL] A day")
  test.equal(subject_of "Pay at once [EXTERNAL]", "[EXTERNAL] Pay at once [EXTERNAL]", "a tag of the sender's own")
  test.equal(subject_of("A day", { auth = "anna" }), "A day")
  test.equal(subject_of("A day", { ip = "127.0.0.1" }), "A day")
  test.equal(subject_of { headers = { "From: joe@example.org" }, body = "x\r\n" }, "[EXTERNAL] ")
end)

test.case("the text that the author has signed or encrypted is left as it is", function()
  site.only("external_tag", 'banner = "From outside.\\n"')
  for _, type in ipairs { 'multipart/signed; boundary="b"', "Multipart/Encrypted; boundary=b", "application/pkcs7-mime", "application/x-pkcs7-mime" } do
    local message = { headers = { "From: joe@example.org", "Subject: s", "MIME-Version: 1.0", "Content-Type: " .. type }, body = "--b\r\n\r\nx\r\n--b--\r\n" }
    local subject, delivered = subject_of(message)
    test.equal(subject, "[EXTERNAL] s", type)
    test.equal(delivered.body, message.body, type)
  end
end)

test.case("a banner stands on top, once", function()
  site.only("external_tag", 'subject = false, header = false, banner = "This mail comes from outside.\\n"')
  local subject, delivered = subject_of "A day"
  test.equal(subject, "A day")
  test.match(delivered.body, "^This mail comes from outside.\r\n.*Hello")
  test.equal(delivered.header["x-external"], nil)
end)

test.case("a header that a client puts in itself is not kept", function()
  site.only("external_tag", 'header = "X-External: no, or is it"')
  local _, delivered = subject_of { headers = { "From: joe@example.org", "X-External: no" }, body = "x\r\n" }
  test.equal(delivered.header["x-external"], "no, or is it")
  local count = 0
  for _, line in ipairs(delivered.headers) do
    if line:lower():find "^x%-external:" then count = count + 1 end
  end
  test.equal(count, 1)
end)

test.case("mail of a partner is not marked, where it is his", function()
  site.only("external_tag", 'partners = { "example.org" }')
  test.equal(subject_of "A day", "[EXTERNAL] A day")
  test.dns { ["example.org TXT"] = "v=spf1 ip4:198.51.100.0/24 -all", ["_dmarc.example.org TXT"] = "v=DMARC1; p=none" }
  test.equal(subject_of "A day", "A day")
  test.equal(subject_of("A day", { ip = "203.0.113.1" }), "[EXTERNAL] A day")
  test.dns { ["_dmarc.example.org TXT"] = "timeout" }
  test.reply(site.send "A day", 451)
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.external_tag" { header = "X-External" }', "policy.lua:3: .*must be a line such as")
  test.match(site.complaint 'require "policy.external_tag" { subject = true }', "policy.lua:3: .*subject must be a text, or false")
  test.match(site.complaint 'require "policy.external_tag" { tag = "x" }', "policy.lua:3: .*unknown key 'tag'")
end)
