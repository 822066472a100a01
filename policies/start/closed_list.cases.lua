test.case("closed_list: strangers do not write to everybody", function()
  test.reply(attempt(STRANGER, "all@example.com"), 550, "this list is closed")
  test.accepted(attempt("anna@example.com", "all@example.com", { auth = "anna" }))
end)
