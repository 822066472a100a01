-- RSET at several places; each time the next message begins with nothing.
local conn = open_session()

done("mail", mt.mailfrom(conn, "<sender@a.example>"))
done("abort after mail", mt.abort(conn))

done("mail", mt.mailfrom(conn, "<sender@a.example>"))
done("rcpt", mt.rcptto(conn, "<gone@b.example>"))
done("abort after rcpt", mt.abort(conn))

done("mail", mt.mailfrom(conn, "<sender@a.example>"))
done("rcpt", mt.rcptto(conn, "<gone@b.example>"))
done("data", mt.data(conn))
done("header", mt.header(conn, "X-Answer", " reject"))
done("abort after header", mt.abort(conn))

done("mail", mt.mailfrom(conn, "<sender@a.example>"))
done("rcpt", mt.rcptto(conn, "<gone@b.example>"))
done("data", mt.data(conn))
done("eoh", mt.eoh(conn))
done("body", mt.bodystring(conn, "reject\r\n"))
done("abort after body", mt.abort(conn))

send_message(conn, "<last@b.example>")
said(conn, "to last@b.example id nil lines 3")
done("disconnect", mt.disconnect(conn))
