-- Closes list addresses (all-staff@, directors@) to strangers: only the senders and networks named for a list may write
-- to it. All other recipients of a message are untouched.
--
--     smtpf-milter --script examples/closed-list.lua
--
-- A sender is what the client says in MAIL FROM, which anyone can forge. To be sure of one, name the networks that such
-- mail comes from as well, and say both = true.
--
-- Addresses are compared without regard to case, quotes ("all-staff"@example.com), what follows a '+'
-- (all-staff+monday@example.com) and other spellings that reach the same mailbox. Bounces have no sender, so they come
-- in from the networks alone.

-- Configuration ------------------------------------------------------------

-- All these are one domain to our MTA, that of addresses without one too. The lists below are written with the first.
local DOMAINS = { "example.com", "mail.example.com", "localhost" }

-- Character that begins an address extension (recipient_delimiter of Postfix); "" if there are none.
local DELIMITER = "+"

local LISTS = {
  -- Everybody inside, and two who are not.
  ["all-staff@example.com"] = {
    networks = { "127.0.0.0/8", "::1", "192.0.2.0/24", "2001:db8::/48" },
    senders = { "ceo@example.net", "@partner.example" },
  },
  -- One person, from the office.
  ["customers@example.com"] = {
    networks = { "192.0.2.0/24", "2001:db8::/48" },
    senders = { "marketing@example.com" },
    both = true,
  },
}

local TEXT = "5.7.2 this list is closed: you may not send to it"

-- Addresses and networks ---------------------------------------------------
-- The same lines in access.lua, helo.lua and closed-list.lua: each is one file to copy.

-- An address is an array of its 16-bit groups, two for IPv4 and eight for IPv6: integers have 32 bits here.

local function parse_ipv4(text)
  local octets = { text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
  if #octets ~= 4 then return nil end
  for i, octet in ipairs(octets) do
    -- A leading zero means octal to some programs: better no address than another one.
    if #octet > 3 or octet:find("^0%d") or tonumber(octet) > 255 then return nil end
    octets[i] = tonumber(octet)
  end
  return { octets[1] << 8 | octets[2], octets[3] << 8 | octets[4] }
end

-- "2001:db8" -> { 0x2001, 0xdb8 }
local function parse_groups(text)
  local groups = {}
  if text == "" then return groups end
  for group in (text .. ":"):gmatch("([^:]*):") do
    if not group:find("^%x%x?%x?%x?$") then return nil end
    groups[#groups + 1] = tonumber(group, 16)
  end
  return groups
end

-- nil if the text is no address. IPv4 in IPv6 (::ffff:192.0.2.7) is taken for the IPv4 address that it is.
local function parse_address(text)
  if #text > 45 then return nil end
  if text:find(".", 1, true) then
    local before, dotted = text:match("^(.*:)(.*)$")
    local ipv4 = parse_ipv4(dotted or text)
    if not before or not ipv4 then return ipv4 end
    text = string.format("%s%x:%x", before, ipv4[1], ipv4[2])
  end
  local left, right = text:match("^(.-)::(.*)$")
  local groups, rest = parse_groups(left or text), parse_groups(right or "")
  if not groups or not rest then return nil end
  local missing = 8 - #groups - #rest
  if left and missing < 1 or not left and missing ~= 0 then return nil end
  for _ = 1, missing do
    groups[#groups + 1] = 0
  end
  table.move(rest, 1, #rest, #groups + 1, groups)
  if table.concat(groups, ":", 1, 6) == "0:0:0:0:0:65535" then return { groups[7], groups[8] } end
  return groups
end

-- "192.0.2.0/24", "2001:db8::/32" or an address alone; nil if it is none of these.
local function parse_network(text)
  local address, length = text:match("^([^/]*)/(%d%d?%d?)$")
  local groups = parse_address(address or text)
  if not groups then return nil end
  local width = text:find(":", 1, true) and 128 or 32
  local bits = tonumber(length or width)
  if bits > width then return nil end
  return { groups = groups, bits = math.max(0, bits - width + 16 * #groups) }
end

local function contains(network, address)
  if #network.groups ~= #address then return false end
  local bits = network.bits
  for i, group in ipairs(address) do
    if bits <= 0 then return true end
    if (network.groups[i] ~ group) >> math.max(0, 16 - bits) ~= 0 then return false end
    bits = bits - 16
  end
  return true
end

-- Mail addresses -----------------------------------------------------------

syslog.openlog("closed-list", syslog.LOG_PID, syslog.LOG_MAIL)

-- The domain of an address in one spelling; the second result says whether it is ours.
local function domain_of(text)
  local domain = text:lower():gsub("%.$", "")
  for _, ours in ipairs(DOMAINS) do
    if domain == ours:lower() then return DOMAINS[1]:lower(), true end
  end
  return domain, false
end

-- One spelling for all that reach the same mailbox; "" for the null sender. MTAs take (comments), quotes, backslashes
-- and blanks out of an address, and route list%example.com@example.com and example.com!list@example.com to the list.
local function normalize(address)
  if address == "" then return "" end
  local mailbox = address:lower():gsub("%b()", ""):gsub('[%s"\\]', "")
  local domain, is_ours = domain_of(DOMAINS[1])
  local inner, outer = mailbox:match("^(.*)@(.*)$")
  while inner do
    mailbox = inner
    domain, is_ours = domain_of(outer)
    if not is_ours then break end
    inner, outer = mailbox:match("^(.*)[@%%](.*)$")
    if not inner then
      outer, inner = mailbox:match("^(.-)!(.*)$")
    end
  end
  local extension = DELIMITER ~= "" and mailbox:find(DELIMITER, 2, true)
  if extension then mailbox = mailbox:sub(1, extension - 1) end
  return mailbox .. "@" .. domain
end

-- Who may write ------------------------------------------------------------

local function find_list(recipient)
  for name, list in pairs(LISTS) do
    if normalize(name) == recipient then return list end
  end
end

-- An entry is an address, or "@domain" for everyone in it.
local function is_sender(list, sender)
  for _, entry in ipairs(list.senders or {}) do
    local domain = entry:match("^@(.*)$")
    if domain and sender:match("^.*@(.*)$") == domain_of(domain) then return true end
    if not domain and sender == normalize(entry) then return true end
  end
  return false
end

local function is_inside(list, address)
  for _, text in ipairs(list.networks or {}) do
    local network = assert(parse_network(text), "closed-list.lua: not a network: " .. text)
    if address and contains(network, address) then return true end
  end
  return false
end

-- Callbacks ----------------------------------------------------------------

local client -- Address of the client; nil for mail of this host, by a unix socket or a command.
local sender

function smtp.do_connect(ip)
  client = parse_address(ip)
end

function smtp.do_mail(address)
  sender = normalize(address)
end

function smtp.do_rcpt(recipient)
  local list = find_list(normalize(recipient))
  if not list then return end
  local known, inside = is_sender(list, sender), is_inside(list, client)
  local allowed
  if list.both then
    allowed = known and inside
  else
    allowed = known or inside
  end
  if allowed then return end
  syslog.info(string.format("<%s> may not send to <%s>", smtp.tran.sender, recipient))
  return smtp.code.reject, TEXT
end
