-- Refuses clients whose HELO or EHLO cannot be true, a habit of programs that send spam and of few others.
--
--     smtpf-milter --script examples/helo.lua --on-error tempfail
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

-- Checks -------------------------------------------------------------------

syslog.openlog("helo", syslog.LOG_PID, syslog.LOG_MAIL)

local ours = net.list(OUR_ADDRESSES)
local local_networks = net.list(LOCAL_NETWORKS)

local function is_address(text)
  return net.prefix(text) ~= nil
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
  local address = ipv6 or inside:match("^[%d.]+$")
  if not address or not is_address(address) then return smtp.code.bad_arg, "5.5.2 the brackets hold no address" end
  if ours:has(address) then
    return smtp.code.reject, "5.7.1 you are not me: that is my address"
  end
end

-- What is wrong with the argument of HELO: a reply, or nil.
local function fault(helo)
  local inside = helo:match("^%[(.*)%]$")
  if inside then return literal_fault(inside) end
  if is_address(helo) then return smtp.code.bad_arg, "5.5.2 an address belongs in brackets" end

  local name = helo:lower():gsub("%.$", "")
  if not is_host_name(name) then return smtp.code.bad_arg, "5.5.2 that is not a host name" end
  if is_ours(name) then return smtp.code.reject, "5.7.1 you are not me: that is my name" end
  if is_localhost(name) then return smtp.code.reject, "5.7.1 you are not on this host" end
  if not name:find(".", 1, true) then return smtp.code.reject, "5.7.1 give your full name, with its domain" end
end

-- Callbacks ----------------------------------------------------------------

local is_local = true

function smtp.do_connect(ip)
  -- No address: mail of this host, by a unix socket or a command.
  is_local = not is_address(ip) or local_networks:has(ip) or ours:has(ip)
end

function smtp.do_helo(helo)
  if is_local then return end
  local code, text = fault(helo)
  if code then syslog.info(string.format("%s refused: %s", helo, text)) end
  return code, text
end
