-- A connection that only goes, in mid-message; the next one is served.
local conn = open_session()
done("mail", mt.mailfrom(conn, "<sender@a.example>"))
done("rcpt", mt.rcptto(conn, "<gone@b.example>"))
done("disconnect", mt.disconnect(conn, false))

conn = open_session()
send_message(conn, "<one@b.example>")
said(conn, "to one@b.example id nil lines 3")
done("disconnect", mt.disconnect(conn))
