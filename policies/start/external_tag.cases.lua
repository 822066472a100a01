test.case("external_tag: mail from outside is marked, our own is not", function()
  local _, s = send { headers = { "From: " .. STRANGER, "Subject: hi" } }
  test.match(s:delivered().header.subject, "[EXTERNAL] ")
  _, s = send({ headers = { "From: anna@example.com", "Subject: hi" } }, { auth = "anna" })
  test.equal(s:delivered().header.subject, "hi")
end)
