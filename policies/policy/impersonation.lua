-- Looks for mail from outside that gives itself out for one of us by the name it shows: that of a known person with another
-- address, or one with an address or domain of ours in it.

local settings = require "policy.settings"

---@class policy.impersonation
---@field people? table<string, string[]> By name as people know it ("Anna Muster"): the addresses from which this person writes from outside
---@field domains? string[] Our domains
---@field action? "tag"|"quarantine"|"refuse" What is done about it; "tag" marks Subject and adds a header: tag
---@field subject? string What is put before the Subject: "[SUSPICIOUS] "
---@field networks? string[] Ours, whose mail is not looked at: this machine
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

-- More addresses in a field, and longer names, have no honest reason: to look at them all would take long.
local MOST_ADDRESSES, LONGEST_NAME, LONGEST_FIELD = 20, 1000, 20000
-- Shows what follows from right to left, whatever its letters are: no name needs that.
local REVERSED = "\u{202E}"

-- The words of a name, sorted: "Muster, Anna" is "Anna Muster", however its letters are written.
local function words_of(name)
  local words = {}
  for word in text.fold(name):gmatch "[^%s%p]+" do words[#words + 1] = word end
  table.sort(words)
  return words
end

-- What an A-label stands for (RFC 3492, behind "xn--"), in UTF-8; nil where it is none.
local function letters_of(label)
  local plain, digits = label:match "^(.*)%-([%w]+)$"
  if not plain then plain, digits = "", label end
  local points = { plain:byte(1, -1) }
  local point, i, bias, is_first = 128, 0, 72, true
  local at = 1
  while at <= #digits do
    local before, weight, k = i, 1, 36
    while true do
      local value = tonumber(digits:sub(at, at), 36) -- 0-9 are 0 to 9, a-z 10 to 35: here a-z come first.
      if not value then return nil end
      value = value < 10 and value + 26 or value - 10
      if weight > 1000000 or i > 100000000 then return nil end
      at = at + 1
      i = i + value * weight
      local threshold = math.max(1, math.min(26, k - bias))
      if value < threshold then break end
      weight, k = weight * (36 - threshold), k + 36
    end
    local count = #points + 1
    local delta = is_first and (i - before) // 700 or (i - before) // 2
    delta, bias, is_first = delta + delta // count, 0, false
    while delta > 455 do
      delta, bias = delta // 35, bias + 36
    end
    bias = bias + 36 * delta // (delta + 38)
    point, i = point + i // count, i % count
    if point > 0x10FFFF then return nil end
    table.insert(points, i + 1, point)
    i = i + 1
  end
  return utf8.char(table.unpack(points))
end

-- A domain as mail programs show it: A-labels as what they stand for.
local function shown(domain)
  return (domain:gsub("[^.]+", function(label)
    local encoded = label:match "^xn%-%-([%w-]+)$"
    return encoded and #encoded < 60 and letters_of(encoded) or nil
  end))
end

---@param config policy.impersonation
return function(config)
  local options = settings.read("policy.impersonation", config, {
    people = { "table", {} },
    domains = { "table", {} },
    action = { "string", "tag" },
    subject = { "string", "[SUSPICIOUS] " },
    networks = { "table", settings.LOOPBACK },
  })
  settings.choice("policy.impersonation", "action", options.action, "tag", "quarantine", "refuse")
  if next(options.people) == nil and #options.domains == 0 then
    settings.wrong("policy.impersonation", "people or domains must be given")
  end
  local is_inside = settings.inside("policy.impersonation", options.networks)
  local is_ours = {}
  for _, domain in ipairs(options.domains) do is_ours[domain:lower()] = true end
  local people = {}
  for name, addresses in pairs(options.people) do
    local words = type(name) == "string" and words_of(name) or {}
    if #words < 2 or type(addresses) ~= "table" then
      local complaint = "people: %s must be a first and a last name, with a list of addresses"
      settings.wrong("policy.impersonation", complaint:format(tostring(name)))
    end
    people[table.concat(words, " ")] = settings.addresses("policy.impersonation", name, addresses)
  end

  -- Who may write under a name; nil where it is that of nobody known.
  local function writers_as(name) return people[table.concat(words_of(name), " ")] end

  -- A domain of ours that stands in a folded text, with an end on both sides, or nil.
  local function domain_in(folded)
    for _, domain in ipairs(options.domains) do
      local own = text.fold(domain)
      local from, to = folded:find(own, 1, true)
      while from do
        local before, after = folded:sub(from - 1, from - 1), folded:sub(to + 1, to + 1)
        if (from == 1 or not before:find "[%w-]") and not after:find "[%w-]" then return domain end
        from, to = folded:find(own, from + 1, true)
      end
    end
  end

  -- Whom a mailbox gives itself out for, or nil.
  local function claims(mailbox)
    if is_ours[mailbox.domain] then return nil end -- Whether that is true is for DMARC to say.
    if #mailbox.name > LONGEST_NAME then return "a name without end" end
    local may_write = writers_as(mailbox.name)
    if may_write and not may_write(mailbox.addr) then return "the name of a person of ours" end
    if mailbox.name:find(REVERSED, 1, true) then return "a name from right to left" end
    if domain_in(text.fold(mailbox.name)) then return "our domain in a name" end
    local folded = text.fold(shown(mailbox.domain))
    if folded ~= mailbox.domain and is_ours[folded] then return "a domain that looks like ours" end
  end

  -- The same of a whole field: `Muster, Anna <x@evil.example>` has two mailboxes, and the name of a group has none.
  local function claims_together(field, mailboxes)
    if #field > LONGEST_FIELD then return "a name without end" end
    local names = field:gsub("<[^<>]*>", " "):gsub("[^%s,;:]*@[^%s,;:]*", " ")
    local may_write = writers_as(names)
    if not may_write then return nil end
    local is_own = false
    for _, mailbox in ipairs(mailboxes) do
      if mailbox.addr ~= "" then
        is_own = is_ours[mailbox.domain] or may_write(mailbox.addr)
        if not is_own then break end
      end
    end
    return not is_own and "the name of a person of ours" or nil
  end

  -- What a field gives itself out for, or nil; and what shows it.
  local function claims_of(name)
    local field = header.get(name)
    if not field then return nil end
    local mailboxes = header.addr(name)
    if #mailboxes > MOST_ADDRESSES then return "too many addresses", mailboxes[1].addr end
    for _, mailbox in ipairs(mailboxes) do
      local what = claims(mailbox)
      if what then return what, ("%s <%s>"):format(mailbox.name, mailbox.addr) end
    end
    return claims_together(field, mailboxes), field
  end

  local function dot()
    if is_inside() then return end
    for _, name in ipairs { "From", "Reply-To" } do
      local what, shown_by = claims_of(name)
      if what then
        syslog.notice(string.format("policy.impersonation: %s: %s", what, shown_by))
        if options.action == "refuse" then return 550, "5.7.1 " .. name .. " shows " .. what end
        must(header.set("X-Impersonation", name .. " shows " .. what))
        if options.action == "quarantine" then
          must(smtp.quarantine(name .. " shows " .. what))
          return
        end
        local subject = settings.tagged(header.get "Subject" or "", options.subject)
        if subject then must(header.set("Subject", subject)) end
        return
      end
    end
  end

  return { name = "policy.impersonation", dot = dot, on_error = options.on_error }
end
