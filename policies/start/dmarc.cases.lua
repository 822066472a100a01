test.case("dmarc: mail in the name of a domain that forbids it is refused", function()
  test.dns { ["_dmarc.bank.example TXT"] = "v=DMARC1; p=reject" }
  test.reply(send { headers = { "From: help@bank.example", "Subject: hi" } }, 550, "not sent by bank.example")
  test.accepted(send { headers = { "From: " .. STRANGER, "Subject: hi" } })
end)
