-- Asks who sends for the first time to come again later (greylisting): most senders of spam do not.

local settings = require "policy.settings"

---@class policy.greylist
---@field delay? number Seconds until an attempt may pass: 300
---@field window? number Seconds in which it must come again: 172800
---@field ttl? number Seconds for which who has passed is known: 3024000
---@field auto? integer Attempts that passed after which a client's network is known: 5
---@field networks? string[] Ours, never greylisted: this machine
---@field except? string[] Recipients that want all mail at once: addresses and domains
---@field gentle? boolean Only clients without a verified name, and those in `lists`: false
---@field lists? string[] Zones of DNS lists, with `gentle`
---@field spf? boolean Where SPF passes, all servers of the sender's domain are one client: false
---@field timeout? number Seconds for the store to answer: 1
---@field text? string The reply; %d are the seconds
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

---@param config? policy.greylist
return function(config)
  local options = settings.read("policy.greylist", config, {
    delay = { "number", 300 },
    window = { "number", 172800 },
    ttl = { "number", 3024000 },
    auto = { "number", 5 },
    networks = { "table", settings.LOOPBACK },
    except = { "table", {} },
    gentle = { "boolean", false },
    lists = { "table", {} },
    spf = { "boolean", false },
    timeout = { "number" },
    text = { "string", "4.7.1 greylisted, try again in %d seconds" },
  })
  if options.delay >= options.window then settings.wrong("policy.greylist", "delay must be less than window") end
  local is_inside = settings.inside("policy.greylist", options.networks)
  local is_excepted = settings.addresses("policy.greylist", "except", options.except)

  local function is_suspicious()
    if not options.gentle or smtp.sess.ptr == "" then return true end
    for _, zone in ipairs(options.lists) do
      if must(dns.listed(smtp.sess.ip, zone)) then return true end
    end
    return false
  end

  -- nil: the network of the client, the sender and the recipient.
  local function key_for(recipient)
    if not options.spf or smtp.tran.sender == "" then return nil end
    local result, domain = must(auth.spf())
    return result == "pass" and (domain .. "|" .. recipient):lower() or nil
  end

  local function rcpt(recipient)
    if is_inside() or is_excepted(recipient) or not is_suspicious() then return end
    local passes, seconds = must(grey.check {
      key = key_for(recipient),
      delay = options.delay,
      window = options.window,
      ttl = options.ttl,
      auto = options.auto,
      timeout = options.timeout,
    })
    if not passes then return 451, (options.text:gsub("%%d", math.ceil(seconds))) end
  end

  return { name = "policy.greylist", rcpt = rcpt, on_error = options.on_error }
end
