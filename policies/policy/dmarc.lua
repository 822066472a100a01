-- Does what the domain in From asks for with mail that is not its own (DMARC), and notes in Authentication-Results what
-- SPF, DKIM, DMARC and ARC have come to.

local settings = require "policy.settings"

---@class policy.dmarc
---@field enforce? "reject"|"quarantine"|"tag" The most that is done; "tag" only adds the header: reject
---@field sealers? string[] Domains that pass mail on and whose ARC chains count: mailing lists
---@field domains? table<string, "reject"|"quarantine"|"none"> What is done about mail in the name of some domains, whatever they ask for
---@field networks? string[] Ours, whose mail is not checked: this machine
---@field authserv? string Our name in Authentication-Results: that of the MTA
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

---@param config? policy.dmarc
return function(config)
  local options = settings.read("policy.dmarc", config, {
    enforce = { "string", "reject" },
    sealers = { "table", {} },
    domains = { "table", {} },
    networks = { "table", settings.LOOPBACK },
    authserv = { "string" },
  })
  settings.choice("policy.dmarc", "enforce", options.enforce, "reject", "quarantine", "tag")
  local is_inside = settings.inside("policy.dmarc", options.networks)
  local is_sealer = settings.addresses("policy.dmarc", "sealers", options.sealers)
  local own = {}
  for domain, wanted in pairs(options.domains) do
    own[domain:lower()] = settings.choice("policy.dmarc", domain, wanted, "reject", "quarantine", "none")
  end

  local function dot()
    if is_inside() then return end
    local found = must(auth.check { add = true, authserv = options.authserv })
    local dmarc = found.dmarc
    if options.enforce == "tag" or dmarc.result == "pass" then return end
    local from = header.addr "From"
    local domain = #from == 1 and from[1].domain or ""
    local asked = own[domain]
    if dmarc.result == "permerror" and asked ~= "none" then
      if options.enforce == "reject" then return 550, "5.7.1 From is not the address of one author: " .. dmarc.reason end
      smtp.quarantine("From is not the address of one author")
      return
    end
    if dmarc.result == "fail" and found.arc.result == "pass" and is_sealer(found.arc.domain) then return end
    -- A domain without a record fails by the site's own rule alone.
    local wanted = asked or (dmarc.result == "fail" and dmarc.policy) or "none"
    if wanted == "none" then return end
    if dmarc.domain ~= "" then domain = dmarc.domain end
    if wanted == "reject" and options.enforce == "reject" then
      return 550, "5.7.1 not sent by " .. domain .. " (DMARC)"
    end
    must(smtp.quarantine("DMARC of " .. domain))
  end

  return { name = "policy.dmarc", dot = dot, on_error = options.on_error }
end
