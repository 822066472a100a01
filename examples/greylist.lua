-- Asks who is not known to come again, and bounds how much one login may send.
--
--     smtpf-milter --script examples/greylist.lua --on-error tempfail
--
-- What is known is kept in the store of the server (--store), for all its workers, over restarts. While the store does not
-- answer, must() makes an error of that, and --on-error says what becomes of mail.

-- Configuration ------------------------------------------------------------

local DELAY = 300 -- Seconds until who is not known may pass.
local OURS = net.list { "127.0.0.0/8", "::1", "192.0.2.0/24" } -- Never greylisted.
local PER_LOGIN = { "200/h", "1000/d" } -- Recipients.
local SESSIONS = 10 -- Of one login, at a time.

-- Callbacks ----------------------------------------------------------------

function smtp.do_mail()
  local auth = smtp.sess.auth
  if auth and not must(limit.acquire("sessions:" .. auth.user, SESSIONS)) then
    return 421, "4.7.0 too many sessions at a time"
  end
end

function smtp.do_rcpt(recipient)
  local auth = smtp.sess.auth
  if auth then
    local fits, seconds, rate_of = must(rate.take("recipients:" .. auth.user, PER_LOGIN))
    if fits then return end
    syslog.info(string.format("%s may send to no more recipients: %s", auth.user, rate_of))
    return 451, string.format("4.7.1 too many recipients, try again in %d minutes", (seconds + 59) // 60)
  end
  if OURS:has(smtp.sess.ip) then return end
  local passes, seconds = must(grey.check { delay = DELAY })
  if not passes then return 451, string.format("4.7.1 greylisted, try again in %d seconds", seconds) end
end
