test.case("archive_copy: the archive gets a copy", function()
  local _, s = send { headers = { "From: " .. STRANGER, "Subject: hi" } }
  test.match(s:delivered().recipients, "archive@example.com")
end)
