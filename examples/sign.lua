-- Signs what our own users send, and seals what is passed on for others.
--
-- Made by `smtpf-milter key --domain example.com --selector 2026a`; start the server with --signing-key FILE for each,
-- so that it reads them while it may.
local OURS = {
  ["example.com"] = { selector = "2026a", key = "/etc/mail/keys/example.com.2026a.pem" },
  ["example.org"] = { selector = "2026a", key = "/etc/mail/keys/example.org.2026a.pem" },
}
local TAG = "[EXTERNAL] "

local function signer(domain)
  local own = OURS[domain]
  return own and { domain = domain, selector = own.selector, key = own.key }
end

local function author_domain()
  local from = header.addr "From"
  return from[1] and from[1].domain:lower()
end

function smtp.do_dot()
  local domain = author_domain()
  if smtp.sess.auth then
    local own = domain and signer(domain)
    -- A key that cannot be read holds up the mail of its domain, and no other.
    if own then must(auth.sign(own)) end
    return
  end

  local found = must(auth.check { add = true })
  if found.dmarc.result == "fail" and found.dmarc.policy == "reject" then
    return 550, "5.7.1 Not sent by " .. (domain or "its author")
  end
  -- The tag would break what somebody has signed: then only the seal says what came.
  if #auth.covers "Subject" == 0 then
    header.set("Subject", TAG .. (header.get "Subject" or ""))
  end
  must(auth.seal(signer "example.com"))
end
