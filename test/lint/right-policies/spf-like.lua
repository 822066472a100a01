-- SPF with ip4, a, mx, include and all.
local MAX_LOOKUPS = 10

local function ip_number(ip)
  local a, b, c, d = ip:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  if not a then return nil end
  return ((tonumber(a) * 256.0 + tonumber(b)) * 256 + tonumber(c)) * 256 + tonumber(d)
end

local function in_network(ip, network)
  local base, length = network:match("^([%d.]+)/?(%d*)$")
  local one, other = ip_number(ip), base and ip_number(base)
  if not one or not other then return false end
  local bits = tonumber(length) or 32
  local size = 2.0 ^ (32 - bits)
  return one // size == other // size
end

local RESULTS = { ["+"] = "pass", ["-"] = "fail", ["~"] = "softfail", ["?"] = "neutral" }

local function evaluate(domain, ip, state)
  state.lookups = state.lookups + 1
  if state.lookups > MAX_LOOKUPS then return "permerror" end
  local records, err = dns.txt(domain)
  if not records then
    syslog.notice("spf: " .. err)
    return "temperror"
  end
  local record
  for _, text in ipairs(records) do
    if text:lower():find("^v=spf1%s") or text:lower() == "v=spf1" then record = text end
  end
  if not record then return "none" end
  for term in record:gmatch("%S+") do
    local sign, name, value = term:match("^([-+~?]?)(%a%w*)[:=]?(.*)$")
    local result = RESULTS[sign or ""] or "pass"
    name = name and name:lower()
    if name == "ip4" and in_network(ip, value) then return result end
    if name == "a" then
      for _, address in ipairs(must(dns.a(value ~= "" and value or domain))) do
        if address == ip then return result end
      end
    elseif name == "mx" then
      for _, mx in ipairs(must(dns.mx(value ~= "" and value or domain))) do
        for _, address in ipairs(must(dns.a(mx.host))) do
          if address == ip then return result end
        end
      end
    elseif name == "include" and evaluate(value, ip, state) == "pass" then
      return result
    elseif name == "all" then
      return result
    end
  end
  return "neutral"
end

function smtp.do_mail(sender)
  local domain = sender:match("@(.+)$") or smtp.sess.helo
  if not domain or smtp.sess.family ~= "inet" then return end
  local result = evaluate(domain, smtp.sess.ip, { lookups = 0 })
  if result == "fail" then return 550, "5.7.23 " .. domain .. " says that you may not" end
  smtp.tran.note.spf = result
end

function smtp.do_dot()
  local spf = smtp.tran.note.spf
  if spf then header.insert("Received-SPF: " .. spf, 0) end
end
