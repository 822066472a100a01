test.case("impersonation: a stranger with the name of one of us is marked", function()
  local _, s = send { headers = { "From: Anna Muster <x@sender.example>", "Subject: hi" } }
  test.match(s:delivered().header.subject, "[SUSPICIOUS] ")
  _, s = send { headers = { "From: Anna Muster <anna.muster@private.example>", "Subject: hi" } }
  test.equal(s:delivered().header.subject:find("SUSPICIOUS", 1, true), nil)
end)
