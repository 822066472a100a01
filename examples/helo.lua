-- Refuses clients whose HELO or EHLO cannot be true, a habit of programs that send spam and of few others.
--
--     smtpf-milter --script examples/helo.lua
--
-- Fill in OUR_NAMES, OUR_ADDRESSES and LOCAL_NETWORKS first. Attach it to the MTA's port 25 only: programs of users, on
-- the ports for submission, call themselves what they like, and who has logged in is not known before MAIL.
--
-- Refused is, unless the client is in a local network:
--     our own name or address           nobody but we are called so
--     localhost, a name ending in it    nobody outside is
--     192.0.2.7, 2001:db8::7            an address belongs in brackets: [192.0.2.7], [IPv6:2001:db8::7]
--     [...] without an address in it
--     mail                              a name without a dot is known only at the client's
--     what is no host name              RFC 5321 4.1.2; '_' is let through, many send it

-- Configuration ------------------------------------------------------------

local OUR_NAMES = { "example.com", "mail.example.com" }
local OUR_ADDRESSES = { "192.0.2.1", "2001:db8::1" }
local LOCAL_NETWORKS = {
  "127.0.0.0/8",
  "::1",
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "fc00::/7",
  "fe80::/10",
}

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

-- Checks -------------------------------------------------------------------

syslog.openlog("helo", syslog.LOG_PID, syslog.LOG_MAIL)

local function in_any(networks, address)
  for _, text in ipairs(networks) do
    local network = assert(parse_network(text), "helo.lua: not a network: " .. text)
    if contains(network, address) then return true end
  end
  return false
end

local function is_ours(name)
  for _, ours in ipairs(OUR_NAMES) do
    if name == ours:lower() then return true end
  end
  return false
end

local function is_localhost(name)
  return name == "localhost" or name:find("^localhost%.localdomain") or name:find("%.localhost$")
end

local function is_host_name(name)
  if #name == 0 or #name > 255 then return false end
  for label in (name .. "."):gmatch("([^.]*)%.") do
    if #label > 63 or not label:find("^[%w_][%w_-]*$") or label:find("-$") then return false end
  end
  return not name:find("%.%d+$") -- No top-level domain is a number.
end

-- What is wrong with the address in brackets, or nil. `inside` is what stands in them.
local function literal_fault(inside)
  local ipv6 = inside:match("^[Ii][Pp][Vv]6:(.*:.*)$")
  local address = ipv6 and parse_address(ipv6) or parse_ipv4(inside)
  if not address then return smtp.code.bad_arg, "5.5.2 the brackets hold no address" end
  if in_any(OUR_ADDRESSES, address) then
    return smtp.code.reject, "5.7.1 you are not me: that is my address"
  end
end

-- What is wrong with the argument of HELO: a reply, or nil.
local function fault(helo)
  local inside = helo:match("^%[(.*)%]$")
  if inside then return literal_fault(inside) end
  if parse_address(helo) then return smtp.code.bad_arg, "5.5.2 an address belongs in brackets" end

  local name = helo:lower():gsub("%.$", "")
  if not is_host_name(name) then return smtp.code.bad_arg, "5.5.2 that is not a host name" end
  if is_ours(name) then return smtp.code.reject, "5.7.1 you are not me: that is my name" end
  if is_localhost(name) then return smtp.code.reject, "5.7.1 you are not on this host" end
  if not name:find(".", 1, true) then return smtp.code.reject, "5.7.1 give your full name, with its domain" end
end

-- Callbacks ----------------------------------------------------------------

local is_local = true

function smtp.do_connect(ip)
  local address = parse_address(ip)
  -- No address: mail of this host, by a unix socket or a command.
  is_local = address == nil or in_any(LOCAL_NETWORKS, address) or in_any(OUR_ADDRESSES, address)
end

function smtp.do_helo(helo)
  if is_local then return end
  local code, text = fault(helo)
  if code then syslog.info(string.format("%s refused: %s", helo, text)) end
  return code, text
end
