-- Closes list addresses (all-staff@) to strangers: who has logged in, is in our networks, or is named for the list may
-- write to it.

local settings = require "policy.settings"

---@class policy.closed_list
---@field lists table<string, true|string[]|policy.closed_list.list> By address: true, or who else may write to it
---@field domains? string[] Our domains that are one: a list has the same name in each
---@field delimiter? string Begins an address extension, as in all+x@: "+"
---@field networks? string[] Ours: this machine
---@field spf? boolean A sender named for a list counts only where SPF passes: true
---@field text? string The reply
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

---@class policy.closed_list.list
---@field senders? string[] Addresses and domains that may write to it
---@field inside? boolean False: not even who is inside may, unless named: true

---@param config policy.closed_list
return function(config)
  local options = settings.read("policy.closed_list", config, {
    lists = { "table", settings.must_be_given },
    domains = { "table", {} },
    delimiter = { "string", "+" },
    networks = { "table", settings.LOOPBACK },
    spf = { "boolean", true },
    text = { "string", "5.7.2 this list is closed: you may not send to it" },
  })
  local is_inside = settings.inside("policy.closed_list", options.networks)
  local is_ours = {}
  for _, domain in ipairs(options.domains) do is_ours[domain:lower()] = true end

  -- Both parts of an address, without an extension.
  local function parts_of(address)
    local user, domain = settings.split(address)
    local extension = options.delimiter ~= "" and user:find(options.delimiter, 2, true)
    return extension and user:sub(1, extension - 1) or user, domain
  end

  local by_address, by_user = {}, {}
  for address, list in pairs(options.lists) do
    if type(address) ~= "string" or not address:find "@" then
      settings.wrong("policy.closed_list", string.format("lists: '%s' is no address", tostring(address)))
    end
    if list == true then list = {} end
    if type(list) ~= "table" then settings.wrong("policy.closed_list", address .. " must be true or a table") end
    if #list > 0 then list = { senders = list } end
    for key in pairs(list) do
      if key ~= "senders" and key ~= "inside" then
        local hint = settings.hint(key, { "senders", "inside" })
        settings.wrong("policy.closed_list", string.format("%s: unknown key '%s'%s", address, tostring(key), hint))
      end
    end
    local is_sender = settings.addresses("policy.closed_list", address, list.senders or {})
    local user, domain = parts_of(address)
    by_address[user .. "@" .. domain] = { is_sender = is_sender, inside = list.inside ~= false }
    by_user[user] = by_address[user .. "@" .. domain]
  end

  local function find(recipient)
    local user, domain = parts_of(recipient)
    -- The MTA's own name and addresses reach the same mailboxes.
    local is_here = domain == "" or domain:find "^%[" or is_ours[domain] or domain == (smtp.sess.host or ""):lower()
    return by_address[user .. "@" .. domain] or is_here and by_user[user]
  end

  local function rcpt(recipient)
    local list = find(recipient)
    if not list then return end
    if list.inside and is_inside() then return end
    local sender = smtp.tran.sender
    if sender ~= "" and list.is_sender(sender) then
      -- Anybody can claim to be somebody else in MAIL FROM.
      if not options.spf or is_inside() or must(auth.spf()) == "pass" then return end
    end
    syslog.info(string.format("policy.closed_list: <%s> may not send to <%s>", sender, recipient))
    return 550, options.text
  end

  return { name = "policy.closed_list", rcpt = rcpt, on_error = options.on_error }
end
