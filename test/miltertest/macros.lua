-- The queue id: known from the event on with which it comes, and forgotten with the message.
local conn = open_session()
done("macro", mt.macro(conn, SMFIC_MAIL, "i", "Q1"))
send_message(conn, "<one@b.example>")
said(conn, "to one@b.example id Q1 lines 3")

send_message(conn, "<two@b.example>")
said(conn, "to two@b.example id nil lines 3")

done("mail", mt.mailfrom(conn, "<sender@a.example>"))
done("macro", mt.macro(conn, SMFIC_RCPT, "i", "Q3"))
done("rcpt", mt.rcptto(conn, "<three@b.example>"))
done("data", mt.data(conn))
done("header", mt.header(conn, "Subject", " hello"))
done("eoh", mt.eoh(conn))
done("body", mt.bodystring(conn, "Hello\r\n"))
done("eom", mt.eom(conn))
said(conn, "to three@b.example id Q3 lines 3")
done("disconnect", mt.disconnect(conn))
