-- Refuses or lets in clients by address, as a table in a text file says.
--
--     smtpf-milter --script examples/access.lua --on-error tempfail
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
  local number, mark = address:match("^(%x*)([.:])")
  if mark == "." then return { ["."] = tonumber(number), [":"] = 0 } end
  return { [":"] = tonumber(number, 16) or 0 }
end

-- How many bits of an address a network fixes that it lies in.
local function bits_of(network, address)
  local width = network:find(":", 1, true) and 128 or 32
  local bits = tonumber(network:match("/(%d+)$")) or width
  return address:find(":", 1, true) and bits or bits - width + 32
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
        local known, list = pcall(net.list, { network })
        wrong = not known
        if known and bits_of(network, address) > best_bits and list:has(address) then
          best, best_bits = { number = number, action = action }, bits_of(network, address)
        end
      end
    end
    if wrong then warn("%s:%d: left out, not an address or network and an action: %s", TABLE, number, line) end
  end
  return best
end

-- Reads the table once in a session; a table that cannot be read refuses nobody.
local function look_up(ip)
  local address = (net.prefix(ip, 32, 128) or ""):match("^[^/]+") -- In one form, however it is written.
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
