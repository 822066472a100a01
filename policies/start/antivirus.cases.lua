test.case("antivirus: what ClamAV finds is refused, and nothing passes unseen", function()
  test.clamd "Eicar-Test-Signature"
  test.reply(send { headers = { "From: " .. STRANGER } }, 550, "this message holds Eicar-Test-Signature")
  test.clamd(test.fails "unavailable")
  test.reply(send { headers = { "From: " .. STRANGER } }, 451)
end)
