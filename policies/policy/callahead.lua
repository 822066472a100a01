-- Asks the mail server behind this one whether it takes a recipient, and refuses those that it does not know.

local settings = require "policy.settings"

---@class policy.callahead
---@field domains table<string, string|string[]> By domain of recipients: the servers to ask; "mx:example.com" for those of a domain
---@field port? integer 25
---@field helo? string Our name: that of this machine
---@field from? string The sender that is named: the null sender
---@field probe? boolean Also asks about an address that nobody has: a server that takes everything is no answer
---@field timeout? number Seconds for all of it: 5
---@field text? string The reply; what the server said is in the log alone
---@field on_error? "continue"|"tempfail"|"reject" What is done while no server answers, in the place of --on-error

---@param config policy.callahead
return function(config)
  local options = settings.read("policy.callahead", config, {
    domains = { "table", settings.must_be_given },
    port = { "number" },
    helo = { "string" },
    from = { "string" },
    probe = { "boolean" },
    timeout = { "number" },
    text = { "string", "5.1.1 no such user here" },
  })
  local servers = {}
  for domain, hosts in pairs(options.domains) do
    if type(domain) ~= "string" or type(hosts) ~= "string" and type(hosts) ~= "table" then
      settings.wrong("policy.callahead", string.format("domains: %s must be a server, or a list of servers", tostring(domain)))
    end
    servers[domain:lower()] = hosts
  end

  local function rcpt(recipient)
    local _, domain = settings.split(recipient)
    local hosts = servers[domain]
    if not hosts then return end
    local taken, reply = must(smtp.callahead(hosts, recipient, {
      port = options.port,
      helo = options.helo,
      from = options.from,
      probe = options.probe,
      timeout = options.timeout,
    }))
    if taken then return end
    syslog.info(string.format("policy.callahead: <%s>: %s", recipient, reply))
    return 550, options.text
  end

  return { name = "policy.callahead", rcpt = rcpt, on_error = options.on_error }
end
