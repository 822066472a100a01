-- Sends a copy of each message to an archive, by domain of its sender and recipients: one copy to each archive, however
-- many recipients there are, and no notice to the sender of what becomes of it.

local settings = require "policy.settings"

---@class policy.archive_copy
---@field domains table<string, string> By domain: the address of its archive
---@field of? "all"|"incoming"|"outgoing" Mail to the domains, from them, or both: all
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

---@param config policy.archive_copy
return function(config)
  local options = settings.read("policy.archive_copy", config, {
    domains = { "table", settings.must_be_given },
    of = { "string", "all" },
  })
  settings.choice("policy.archive_copy", "of", options.of, "all", "incoming", "outgoing")
  local archives = {}
  for domain, archive in pairs(options.domains) do
    if type(domain) ~= "string" or type(archive) ~= "string" or not archive:find "^[^%s@]+@[^%s@]+$" then
      settings.wrong("policy.archive_copy", string.format("domains: %s must be the address of an archive", tostring(domain)))
    end
    archives[domain:lower()] = archive
  end

  local function dot()
    local has, wanted, order = {}, {}, {}
    local function want(address)
      local _, domain = settings.split(address)
      local archive = archives[domain]
      if archive and not wanted[archive:lower()] then
        wanted[archive:lower()] = true
        order[#order + 1] = archive
      end
    end
    if options.of ~= "incoming" then want(smtp.tran.sender) end
    for _, rcpt in ipairs(smtp.tran.rcpts) do
      if (rcpt.code or 250) < 400 then
        has[rcpt.addr:lower()] = true
        if options.of ~= "outgoing" then want(rcpt.addr) end
      end
    end
    for _, archive in ipairs(order) do
      if not has[archive:lower()] then must(smtp.add_rcpt(archive, "NOTIFY=NEVER")) end
    end
  end

  return { name = "policy.archive_copy", dot = dot, on_error = options.on_error }
end
