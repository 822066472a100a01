-- A policy of the size that sites have, for measuring: tables, helpers, and every callback.
local denied = {
  ["spam.example"] = { 554, "5.7.1 sender domain is on our list" },
  ["bulk.example"] = { 550, "5.7.1 no bulk mail here" },
  ["broken.test"] = { 451, "4.7.1 come back when your DNS works" },
  ["closed.test"] = { 550, "5.1.8 this domain does not send mail" },
}

local friends = { "127.", "10.", "192.168.", "172.16.", "2001:db8:" }

local dynamic_names = {
  "%d+[-.]%d+[-.]%d+[-.]%d+",
  "^dyn", "^dsl", "^cable", "^dhcp",
  "%.pool%.", "%.dip%.", "%.ppp%.", "%.adsl%.",
}

local helo_refused = {
  localhost = true,
  ["localhost.localdomain"] = true,
  workgroup = true,
  friend = true,
}

local dangerous = {
  ade = true, bat = true, chm = true, cmd = true, com = true, cpl = true,
  exe = true, hta = true, jar = true, js = true, jse = true, lnk = true,
  msi = true, pif = true, ps1 = true, scr = true, vbe = true, vbs = true,
}

local single_headers = { "from", "date", "subject", "message-id", "sender", "reply-to" }

local session = { points = 0, reasons = {}, recipients = 0 }

local function note(points, reason)
  session.points = session.points + points
  session.reasons[#session.reasons + 1] = reason .. "=" .. points
end

local function starts_with(text, prefix)
  return text:sub(1, #prefix) == prefix
end

local function is_friend(ip)
  for _, prefix in ipairs(friends) do
    if starts_with(ip, prefix) then
      return true
    end
  end
  return false
end

local function domain_of(address)
  local domain = address:match("@([^@]+)$")
  return domain and domain:lower() or ""
end

local function local_part_of(address)
  return address:match("^(.*)@") or address
end

local function parents(domain)
  local list = {}
  while domain and domain ~= "" do
    list[#list + 1] = domain
    domain = domain:match("^[^.]+%.(.+)$")
  end
  return list
end

local function denial_of(domain)
  for _, name in ipairs(parents(domain)) do
    local answer = denied[name]
    if answer then
      return answer[1], answer[2]
    end
  end
  return nil
end

local function is_address_literal(name)
  return name:match("^%[?%d+%.%d+%.%d+%.%d+%]?$") ~= nil
end

local function trim(text)
  return (text:gsub("^%s+", ""):gsub("%s+$", ""))
end

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do
    list[#list + 1] = word
  end
  return list
end

local function size_of(params)
  for _, parameter in ipairs(params) do
    local size = parameter:match("^SIZE=(%d+)$")
    if size then
      return tonumber(size)
    end
  end
  return nil
end

local function verdict()
  if session.points >= 6 then
    return 554, "5.7.1 refused: " .. table.concat(session.reasons, ", ")
  end
  return 0
end

function smtp.do_connect(ip, ptr)
  session.ip = ip
  session.friend = is_friend(ip)
  if session.friend then
    return 0
  end
  if ptr == "" then
    note(3, "no-name")
    return 0
  end
  ptr = ptr:lower()
  for _, pattern in ipairs(dynamic_names) do
    if ptr:find(pattern) then
      note(2, "dynamic-name")
      break
    end
  end
  return 0
end

function smtp.do_helo(name)
  name = name:lower()
  session.helo = name
  if helo_refused[name] and not session.friend then
    return 550, "5.7.1 that is not your name"
  end
  if is_address_literal(name) then
    note(1, "helo-address")
  elseif not name:find(".", 1, true) then
    note(1, "helo-without-dot")
  end
  return 0
end

function smtp.do_mail(sender, params)
  session.sender = sender
  session.bounce = sender == ""
  if session.bounce then
    return 0
  end
  local code, text = denial_of(domain_of(sender))
  if code then
    return code, text
  end
  local size = size_of(params)
  if size and size > 50 * 1024 * 1024 then
    return 552, "5.3.4 message too big"
  end
  return 0
end

function smtp.do_rcpt(recipient, params)
  session.recipients = session.recipients + 1
  if session.bounce and session.recipients > 1 then
    return 550, "5.7.1 a bounce has one recipient"
  end
  if session.recipients > 100 then
    return 452, "4.5.3 too many recipients"
  end
  if local_part_of(recipient):find("[!%%@]") then
    return 550, "5.7.1 no routes"
  end
  return 0
end

function smtp.do_data()
  return verdict()
end

function smtp.do_headers(lines)
  local count = {}
  for _, line in ipairs(lines) do
    local name, value = line:match("^([^:%s]+)%s*:(.*)$")
    if name then
      name = name:lower()
      count[name] = (count[name] or 0) + 1
      if name == "subject" and #words(trim(value)) == 0 then
        note(1, "empty-subject")
      end
    end
  end
  for _, name in ipairs(single_headers) do
    if (count[name] or 0) > 1 then
      return 554, "5.6.0 more than one " .. name
    end
  end
  if not count.from or not count.date then
    note(2, "header-missing")
  end
  return verdict()
end

function smtp.do_chunk(chunk, size)
  for extension in chunk:gmatch('filename="[^"]*%.(%w+)"') do
    if dangerous[extension:lower()] then
      return 554, "5.7.1 attachment refused"
    end
  end
  return 0
end

function smtp.do_dot(path)
  return verdict()
end
