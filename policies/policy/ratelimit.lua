-- Bounds how much one login, or one client, may send.

local settings = require "policy.settings"

---@class policy.ratelimit
---@field per_login? string|string[]|false Rates of each login: { "200/h", "1000/d" }
---@field per_client? string|string[]|false Rates of each network of clients that have not logged in: none
---@field logins? table<string, string|string[]|false> Other rates for some logins; false: no limit
---@field count? "recipients"|"messages" What is counted: recipients
---@field sessions? integer Sessions of one login at a time: no limit
---@field networks? string[] Clients that are not limited: this machine
---@field timeout? number Seconds for the store to answer: 1
---@field text? string The reply; %d are the minutes
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

---@param config? policy.ratelimit
return function(config)
  local options = settings.read("policy.ratelimit", config, {
    per_login = { "string|table|boolean", { "200/h", "1000/d" } },
    per_client = { "string|table|boolean", false },
    logins = { "table", {} },
    count = { "string", "recipients" },
    sessions = { "number" },
    networks = { "table", settings.LOOPBACK },
    timeout = { "number" },
    text = { "string", "4.7.1 too much mail, try again in %d minutes" },
  })
  settings.choice("policy.ratelimit", "count", options.count, "recipients", "messages")
  local ours = settings.networks("policy.ratelimit", "networks", options.networks)

  local function check_rates(key, rates)
    if not rates then return end
    for _, rate_of in ipairs(type(rates) == "table" and rates or { rates }) do
      if type(rate_of) ~= "string" or not (rate_of:gsub(",%d+$", "")):find "^%d+/[smhd]$" then
        settings.wrong("policy.ratelimit", string.format("%s: '%s' is no rate such as '200/h'", key, tostring(rate_of)), 3)
      end
    end
  end
  check_rates("per_login", options.per_login)
  check_rates("per_client", options.per_client)
  local logins = {}
  for login, rates in pairs(options.logins) do
    check_rates(login, rates)
    logins[login:lower()] = rates
  end

  -- However the client spells its login, for most servers of passwords it is one.
  local function login()
    return smtp.sess.auth and smtp.sess.auth.user:lower()
  end

  -- The key of who sends, and the rates for it; nil where there is no limit.
  local function limit_of()
    local user = login()
    if user then
      local rates = logins[user]
      if rates == nil then rates = options.per_login end
      return rates and "policy.ratelimit:login:" .. user, rates
    end
    if not options.per_client or ours:has(smtp.sess.ip) then return nil end
    return "policy.ratelimit:client:" .. (net.prefix(smtp.sess.ip) or smtp.sess.ip), options.per_client
  end

  local function take()
    local key, rates = limit_of()
    if not key then return end
    local fits, seconds, refusing = must(rate.take(key, rates, 1, options.timeout))
    if fits then return end
    -- One line in an hour for each, and an event that somebody may be told by. The refusal does not hang on it.
    if kv.add(key .. ":told", true, 3600, options.timeout) then
      local who = key:match "^policy%.ratelimit:(.*)$"
      syslog.warning(string.format("policy.ratelimit: %s has reached %s", who, refusing))
      log.event("policy.ratelimit", { who = who, rate = refusing })
    end
    return 451, (options.text:gsub("%%d", math.ceil(seconds / 60)))
  end

  local function mail()
    local user = options.sessions and login()
    if user and not must(limit.acquire("policy.ratelimit:" .. user, options.sessions, nil, options.timeout)) then
      return 421, "4.7.0 too many sessions at a time"
    end
    if options.count == "messages" then return take() end
  end

  return {
    name = "policy.ratelimit",
    mail = (options.sessions or options.count == "messages") and mail or nil,
    rcpt = options.count == "recipients" and take or nil,
    on_error = options.on_error,
  }
end
