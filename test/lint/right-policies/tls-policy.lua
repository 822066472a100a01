-- Domains that we talk to only in a secret language.
local REQUIRED = { ["bank.example"] = "TLSv1.2", ["secret.example"] = "TLSv1.3" }

local function version_number(version)
  local major, minor = version:match("^TLSv(%d+)%.?(%d*)$")
  if not major then return 0 end
  return tonumber(major) * 10 + (tonumber(minor) or 0)
end

function smtp.do_mail(sender)
  local domain = sender:match("@([^@]+)$")
  local required = domain and REQUIRED[domain:lower()]
  if not required then return end
  if not smtp.sess.tls then return 530, "5.7.0 STARTTLS first" end
  if version_number(smtp.sess.tls.version) < version_number(required) then
    return 550, "5.7.0 " .. required .. " at least, not " .. smtp.sess.tls.version
  end
  if smtp.sess.tls.verified and smtp.sess.tls.subject then
    syslog.info("client certificate of " .. smtp.sess.tls.subject)
  end
end
