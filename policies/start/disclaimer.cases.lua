test.case("disclaimer: what our users send out has it", function()
  local message = { headers = { "From: anna@example.com", "Subject: hi" }, body = "Hello\r\n" }
  local _, s = send(message, { auth = "anna" }, "joe@receiver.example")
  test.match(s:delivered().body, "Example Ltd.")
end)
