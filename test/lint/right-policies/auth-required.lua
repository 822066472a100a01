-- Submission: only who has logged in, and only with an own address.
local DOMAIN = "example.com"

function smtp.do_mail(sender)
  local auth = smtp.sess.auth
  if not auth then return 530, "5.7.0 authentication required" end
  local user = auth.user:lower()
  if not user:find("@", 1, true) then user = user .. "@" .. DOMAIN end
  if sender ~= "" and sender:lower() ~= user then
    return 553, "5.7.1 " .. user .. " may not send as " .. sender
  end
  if auth.mech == "PLAIN" and not smtp.sess.tls then
    syslog.warning("plain password without TLS: " .. auth.user)
  end
end
