-- Tells the postmaster of a login that sends mail from a country from which it has not sent before.
--
--     smtpf-milter --script examples/notify.lua --geo /var/lib/GeoIP/GeoLite2-Country.mmdb --smarthost 127.0.0.1:25
--
-- The countries of a login are kept in the store of the server (--store). Mail goes on whatever becomes of the note.

-- Configuration ------------------------------------------------------------

local POSTMASTER = "postmaster@example.com"
local FROM = "Mail filter <filter@example.com>"
local REMEMBERED = 90 * 86400 -- Seconds for which a country is known, from the first mail on.

-- Callbacks ----------------------------------------------------------------

local function note(user, country)
  return smtp.send {
    to = POSTMASTER,
    message = {
      headers = { From = FROM, To = POSTMASTER, Subject = ("Login %s from %s"):format(user, country) },
      text = ("%s has logged in at %s and sends mail as <%s>.\n"):format(user, smtp.sess.ip, smtp.tran.sender),
    },
    timeout = 5,
  }
end

function smtp.do_mail()
  local auth = smtp.sess.auth
  if not auth then return end
  local country, err = geo.country(smtp.sess.ip)
  if err then syslog.warning("no country: " .. err) end
  if not country then return end
  local key = ("country:%s:%s"):format(auth.user, country)
  local is_new = kv.add(key, true, REMEMBERED)
  local is_first = kv.add("country:" .. auth.user, true)
  if not is_new or is_first then return end
  local sent, reply = note(auth.user, country)
  if sent then return end
  syslog.warning(("no note of %s from %s: %s"):format(auth.user, country, reply))
  kv.del(key) -- The next mail tries again.
end
