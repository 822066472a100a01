-- Refuses or lets in clients by address, as a table in a text file says.
--
--     smtpf-milter --script examples/access.lua
--
-- The table, by default /etc/mail/smtpf-access, has an address or a network (CIDR) on each line, then what to do:
--
--     192.0.2.66         REJECT
--     198.51.100.0/24    REJECT we have had enough of you
--     198.51.100.25      OK
--     2001:db8:bad::/48  550 5.7.1 call our postmaster
--     203.0.113.0/24     451 4.7.1 come back later
--
-- Empty lines, and those that begin with '#', are left out. The most specific line counts, whatever the order: above,
-- 198.51.100.25 is let in. Who is in no line is let in. An edit of the table counts from the next connection on. A line
-- that cannot be read is left out, and named in the log when a client comes that it may be about.
--
-- The client is told at MAIL: of a refusal at connect, Sendmail would not pass on the text.

-- Configuration ------------------------------------------------------------

-- The environment variable is for another place without an edit of this file.
local TABLE = os.getenv("SMTPF_ACCESS") or "/etc/mail/smtpf-access"
local DEFAULT_TEXT = "5.7.1 access denied"

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

-- The table ----------------------------------------------------------------

syslog.openlog("access", syslog.LOG_PID, syslog.LOG_MAIL)

local function warn(...)
  syslog.syslog(syslog.LOG_WARNING, string.format(...))
end

-- "REJECT text" -> true, 550, "text"; "OK" -> true; what is no action -> false.
local function parse_action(action)
  local word, text = action:match("^(%S+)%s*(.-)%s*$")
  local keyword = word:upper()
  if keyword == "OK" then return true end
  if keyword == "REJECT" then return true, smtp.code.reject, text ~= "" and text or DEFAULT_TEXT end
  if word:find("^[45][0-5]%d$") then return true, tonumber(word), text ~= "" and text or nil end
  return false
end

-- The number before the first '.' or ':' of a network rules out most lines of a long table, unless the network is so
-- wide that this number is not fixed.
local BASE = { ["."] = 10, [":"] = 16 }
local FIXED = { ["."] = 8, [":"] = 16 } -- Bits of the number.

-- What the number is in lines that may cover the address. IPv4 addresses are written as IPv6 (::ffff:192.0.2.7) too.
local function first_numbers(address)
  if #address == 2 then return { ["."] = address[1] >> 8, [":"] = 0 } end
  return { [":"] = address[1] }
end

-- The action of the most specific line that covers the address, or nil.
local function find_action(lines, address)
  local best, best_bits = nil, -1
  local first_number = first_numbers(address)
  local number = 0
  for line in (lines .. "\n"):gmatch("([^\n]*)\n") do
    number = number + 1
    local network, action = line:match("^%s*([%x:./]+)%s+(%S.*)$")
    local wrong = not network and line:find("^%s*[^%s#]")
    if network then
      local first, mark, length = network:match("^(%x*)([.:])[%x:.]*/?(%d*)")
      local fits = mark and (tonumber(first, BASE[mark]) or 0) == first_number[mark]
      if fits or not mark or length ~= "" and tonumber(length) < FIXED[mark] then
        local parsed = parse_network(network)
        wrong = not parsed
        if parsed and parsed.bits > best_bits and contains(parsed, address) then
          best, best_bits = { number = number, action = action }, parsed.bits
        end
      end
    end
    if wrong then warn("%s:%d: left out, not an address or network and an action: %s", TABLE, number, line) end
  end
  return best
end

-- Reads the table once in a session; a table that cannot be read refuses nobody.
local function look_up(ip)
  local address = parse_address(ip)
  if not address then return nil end -- By a unix socket, or not known: not from the network.
  local file, reason = io.open(TABLE, "rb")
  local lines
  if file then
    lines, reason = file:read("a")
    file:close()
  end
  if not lines then
    warn("no access table, nobody is refused: %s", reason)
    return nil
  end
  local found = find_action(lines, address)
  if not found then return nil end
  local known, code, text = parse_action(found.action)
  if not known then
    warn("%s:%d: unknown action, nobody is refused by it: %s", TABLE, found.number, found.action)
    return nil
  end
  syslog.info(string.format("%s: %s (line %d)", ip, found.action, found.number))
  return code, text
end

-- Callbacks ----------------------------------------------------------------

local code, text -- The refusal of this client, or nil.

function smtp.do_connect(ip)
  code, text = look_up(ip)
end

function smtp.do_mail()
  return code, text
end
