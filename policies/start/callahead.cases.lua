test.case("callahead: whom the server with the mailboxes does not know is refused", function()
  test.callahead { ["gone@example.com"] = "550 5.1.1 who?", ["*"] = true }
  test.reply(attempt(STRANGER, "gone@example.com"), 550, "5.1.1 no such user here")
  test.callahead { ["*"] = test.fails "timeout" }
  test.reply(attempt(STRANGER, "anna@example.com"), 451)
end)
