-- Headers and body are not answered; a refusal there comes at the end of the message.
for _, word in ipairs({ "reject", "defer", "close" }) do
  local wanted = { reject = { "550", "5.7.1", "No such thing" }, defer = { "451", "4.7.1", "Not now" }, close = { "421", "4.7.0", "Go away" } }
  for _, place in ipairs({ "headers", "body" }) do
    local conn = open_session()
    done("mail", mt.mailfrom(conn, "<sender@a.example>"))
    done("rcpt", mt.rcptto(conn, "<one@b.example>"))
    done("data", mt.data(conn))
    done("header", mt.header(conn, "X-Answer", place == "headers" and " " .. word or " none"))
    done("eoh", mt.eoh(conn))
    done("body", mt.bodystring(conn, place == "body" and word or "Hello\r\n"))
    done("eom", mt.eom(conn))
    replied(conn, word .. " at " .. place, SMFIR_REPLYCODE)
    expect(word .. " at " .. place, mt.eom_check(conn, MT_SMTPREPLY, table.unpack(wanted[word])))
    send_message(conn, "<next@b.example>")
    said(conn, "to next@b.example id nil lines 3")
    done("disconnect", mt.disconnect(conn))
  end
end
