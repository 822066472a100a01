-- Adds a text to the end of what our own users send, by the domain of the author. Before the message is signed, never
-- twice, and never in mail that is signed or encrypted by its author.

local settings = require "policy.settings"

---@class policy.disclaimer
---@field domains table<string, string|mime.banner_options> By domain of From: a text, or { text =, html = }
---@field networks? string[] Ours, besides those who have logged in: this machine
---@field internal? boolean Mail that stays in these domains gets it too: false
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

---@param config policy.disclaimer
return function(config)
  local options = settings.read("policy.disclaimer", config, {
    domains = { "table", settings.must_be_given },
    networks = { "table", settings.LOOPBACK },
    internal = { "boolean", false },
  })
  local is_inside = settings.inside("policy.disclaimer", options.networks)
  local banners = {}
  for domain, banner in pairs(options.domains) do
    local given = type(banner) == "string" and { text = banner } or banner
    if type(domain) ~= "string" or type(given) ~= "table" or type(given.text) ~= "string" or given.text == "" then
      settings.wrong("policy.disclaimer", string.format("domains: %s must be a text, or { text =, html = }", tostring(domain)))
    end
    local own = { at = "end" }
    for key, value in pairs(given) do
      if key ~= "text" and key ~= "html" and key ~= "at" and key ~= "mark" then
        local hint = settings.hint(key, { "text", "html", "at", "mark" })
        settings.wrong("policy.disclaimer", string.format("%s: unknown key '%s'%s", domain, tostring(key), hint))
      end
      own[key] = value
    end
    banners[domain:lower()] = own
  end

  local function leaves_us()
    for _, rcpt in ipairs(smtp.tran.rcpts) do
      local _, domain = settings.split(rcpt.addr)
      if (rcpt.code or 250) < 400 and not banners[domain] then return true end
    end
    return options.internal
  end

  local function dot()
    if not is_inside() or not leaves_us() then return end
    local from = header.addr("From")[1]
    local banner = from and banners[from.domain]
    -- false, "signed" and the like: it stays as it is.
    if banner then must(mime.banner(banner)) end
  end

  return { name = "policy.disclaimer", dot = dot, on_error = options.on_error }
end
