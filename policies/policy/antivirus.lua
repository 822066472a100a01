-- Has ClamAV's clamd (--clamd) look through each message.

local settings = require "policy.settings"

---@class policy.antivirus
---@field action? "refuse"|"quarantine" What is done about a virus: refuse
---@field too_large? "fail"|"pass" About a message that clamd does not take whole; "pass" lets it through unseen: fail
---@field server? string Another clamd than that of --clamd
---@field max? integer Bytes of a message: 25 MiB
---@field timeout? number Seconds: 30
---@field text? string The reply; %s is what was found
---@field on_error? "continue"|"tempfail"|"reject" What is done while clamd does not answer, in the place of --on-error

---@param config? policy.antivirus
return function(config)
  local options = settings.read("policy.antivirus", config, {
    action = { "string", "refuse" },
    too_large = { "string", "fail" },
    server = { "string" },
    max = { "number" },
    timeout = { "number" },
    text = { "string", "5.7.1 this message holds %s" },
  })
  settings.choice("policy.antivirus", "action", options.action, "refuse", "quarantine")
  settings.choice("policy.antivirus", "too_large", options.too_large, "fail", "pass")

  local function dot()
    local virus, err = scan.clamd { server = options.server, max = options.max, timeout = options.timeout }
    if virus == nil and err and err:find "^limit" and options.too_large == "pass" then
      syslog.notice("policy.antivirus: not looked through: " .. err)
      return
    end
    if not must(virus, err) then return end
    syslog.notice("policy.antivirus: found " .. virus)
    if options.action == "quarantine" then
      must(smtp.quarantine("virus " .. virus))
      return
    end
    return 550, (options.text:gsub("%%s", function() return virus end))
  end

  return { name = "policy.antivirus", dot = dot, on_error = options.on_error }
end
