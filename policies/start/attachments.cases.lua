test.case("attachments: programs are refused, pictures are not", function()
  local function attached(name)
    return { headers = { "From: " .. STRANGER, "Content-Type: image/png; name=" .. name }, body = "AAAA\r\n" }
  end
  test.reply(send(attached "invoice.exe"), 550, "attachments of type .exe are not accepted here")
  test.accepted(send(attached "invoice.png"))
end)
