-- Marks mail from outside: a tag in Subject, a header, a banner in its text. Never twice; and no banner where the author has
-- signed or encrypted the text (S/MIME, PGP), which Subject and header do not touch.

local settings = require "policy.settings"

---@class policy.external_tag
---@field subject? string|false What is put before the Subject: "[EXTERNAL] "
---@field banner? string|mime.banner_options|false A text on top of the message: none
---@field header? string|false A header line: "X-External: yes"
---@field partners? string[] Domains whose mail is not marked, where DMARC or a signature of theirs passes
---@field keep_signatures? boolean Leaves alone what a DKIM signature covers: false
---@field networks? string[] Ours, whose mail is not marked: this machine
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

---@param config? policy.external_tag
return function(config)
  local options = settings.read("policy.external_tag", config, {
    subject = { "string|boolean", "[EXTERNAL] " },
    banner = { "string|table|boolean", false },
    header = { "string|boolean", "X-External: yes" },
    partners = { "table", {} },
    keep_signatures = { "boolean", false },
    networks = { "table", settings.LOOPBACK },
  })
  for _, key in ipairs { "subject", "banner", "header" } do
    if options[key] == true then settings.wrong("policy.external_tag", key .. " must be a text, or false") end
  end
  if options.header and not options.header:find "^[%w-]+: ?[^\r\n]+$" then
    settings.wrong("policy.external_tag", "header must be a line such as 'X-External: yes'")
  end
  local is_inside = settings.inside("policy.external_tag", options.networks)
  local is_partner = settings.addresses("policy.external_tag", "partners", options.partners)
  local banner = type(options.banner) == "string" and { text = options.banner } or options.banner

  local function is_of_partner()
    local from = header.addr "From"
    if #options.partners == 0 or #from ~= 1 or not is_partner(from[1].addr) then return false end
    local found = must(auth.check())
    if found.dmarc.result == "pass" then return true end
    for _, signature in ipairs(found.dkim) do
      if signature.aligned then return true end
    end
    return false
  end

  local function covered(name)
    return options.keep_signatures and #auth.covers(name) > 0
  end

  local function dot()
    if is_inside() then return end
    -- Who puts our header in himself does not get around the mark.
    if options.header then must(header.delete(options.header:match "^[^:]+")) end
    if is_of_partner() then return end
    if options.header then must(header.add(options.header)) end
    if options.keep_signatures then must(auth.check()) end
    if options.subject and not covered "Subject" then
      local subject = settings.tagged(header.get "Subject" or "", options.subject)
      if subject then must(header.set("Subject", subject)) end
    end
    if banner and not covered "body" then must(mime.banner(banner)) end -- false, "signed" and the like: it stays as it is.
  end

  return { name = "policy.external_tag", dot = dot, on_error = options.on_error }
end
