-- One message, every event.
local conn = open_session()
send_message(conn, "<one@b.example>")
said(conn, "to one@b.example id nil lines 3")
done("disconnect", mt.disconnect(conn))
