-- Does what the domain in From asks for with mail that is not its own (DMARC), and says to others what was found out.
--
--     SMTPF_SEALERS=lists.example.org smtpf-milter --script examples/dmarc.lua --on-error tempfail
--
-- Mail of those who have logged in or come from this machine is not checked.

-- Configuration ------------------------------------------------------------

-- Domains that pass mail on and whose ARC chains count: mailing lists break signatures and SPF of honest mail.
local sealers = {}
for domain in (os.getenv("SMTPF_SEALERS") or ""):gmatch "[^,%s]+" do sealers[domain:lower()] = true end

-- "reject" does what the domain asks for; "tag" only adds the header Authentication-Results.
local enforce = os.getenv("SMTPF_DMARC") or "reject"

-- The policy ---------------------------------------------------------------

local function is_ours()
  return smtp.sess.auth ~= nil or smtp.sess.ip == "127.0.0.1" or smtp.sess.ip == "::1"
end

function smtp.do_dot()
  if is_ours() then return end
  -- What could not be found out is the --on-error action: tempfail has the client come back.
  local found = must(auth.check { add = true })
  local dmarc, arc = found.dmarc, found.arc
  if enforce == "tag" then return end
  if dmarc.result == "permerror" then
    return 550, "5.7.1 From is not the address of one author: " .. dmarc.reason
  end
  if dmarc.result ~= "fail" or (arc.result == "pass" and sealers[arc.domain]) then return end
  if dmarc.policy == "reject" then
    return 550, "5.7.1 " .. dmarc.domain .. " asks not to take this message (DMARC)"
  elseif dmarc.policy == "quarantine" then
    smtp.quarantine("DMARC of " .. dmarc.domain)
  end
end
