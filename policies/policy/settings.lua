-- What the ready policies have in common: how they read the table that configures them.

local settings = {}

-- How many letters have to be changed, put in, left out or swapped with their neighbour to make one word of the other.
local function distance(one, other)
  local rows = { [-1] = {}, [0] = {} }
  for j = 0, #other do rows[0][j] = j end
  for i = 1, #one do
    local row, above = { [0] = i }, rows[i - 1]
    for j = 1, #other do
      local same = one:byte(i) == other:byte(j)
      row[j] = math.min(above[j - 1] + (same and 0 or 1), above[j] + 1, row[j - 1] + 1)
      if i > 1 and j > 1 and one:byte(i) == other:byte(j - 1) and one:byte(i - 1) == other:byte(j) then
        row[j] = math.min(row[j], rows[i - 2][j - 2] + 1)
      end
    end
    rows[i] = row
  end
  return rows[#one][#other]
end

-- " (did you mean 'delay'?)", or "" where no word is close.
function settings.hint(word, words)
  word = tostring(word):sub(1, 40):lower()
  local best, least
  for _, other in ipairs(words) do
    local far = distance(word, other)
    if not least or far < least then
      best, least = other, far
    end
  end
  if least and least <= math.max(1, #best // 3) then return string.format(" (did you mean '%s'?)", best) end
  return ""
end

-- Raises an error with the line that calls the policy: level 1 is who calls this, 2 the script.
function settings.wrong(name, complaint, level)
  error(name .. ": " .. complaint, (level or 2) + 1)
end

local ON_ERROR = { continue = true, tempfail = true, reject = true }

local function names_of(known)
  local names = {}
  for key in pairs(known) do names[#names + 1] = key end
  table.sort(names)
  return names
end

local function is_of(value, types)
  for wanted in types:gmatch "%a+" do
    if type(value) == wanted then return true end
  end
  return false
end

-- The configuration of a policy, with its defaults. `known` has for each key { types, default }: "number|boolean", and
-- `must_be_given` in the place of the default where there is none. Each policy knows `on_error` too.
settings.must_be_given = {}

function settings.read(name, given, known)
  if given == nil then given = {} end
  if type(given) ~= "table" then settings.wrong(name, "its configuration must be a table, not a " .. type(given), 3) end
  known.on_error = { "string" }
  for key, value in pairs(given) do
    local entry = known[key]
    if not entry then
      settings.wrong(name, string.format("unknown key '%s'%s", tostring(key), settings.hint(key, names_of(known))), 3)
    end
    if not is_of(value, entry[1]) then
      local wanted = entry[1]:gsub("|", " or ")
      settings.wrong(name, string.format("%s must be a %s, not a %s", key, wanted, type(value)), 3)
    end
  end
  if given.on_error and not ON_ERROR[given.on_error] then
    settings.wrong(name, "on_error must be 'continue', 'tempfail' or 'reject', not '" .. given.on_error .. "'", 3)
  end
  local options = {}
  for key, entry in pairs(known) do
    local value = given[key]
    if value == nil then value = entry[2] end
    if value == settings.must_be_given then settings.wrong(name, key .. " must be given", 3) end
    options[key] = value
  end
  return options
end

-- The value of a key that has a few words to choose from.
function settings.choice(name, key, value, ...)
  for _, word in ipairs { ... } do
    if value == word then return value end
  end
  settings.wrong(name, string.format("%s must be '%s', not '%s'", key, table.concat({ ... }, "', '"), tostring(value)), 3)
end

-- A list of networks, as net.list makes it of `{ "192.0.2.0/24" }`.
function settings.networks(name, key, networks, level)
  for _, network in ipairs(networks) do
    if not pcall(net.list, { network }) then
      settings.wrong(name, string.format("%s: '%s' is no network such as 192.0.2.0/24", key, tostring(network)), level or 3)
    end
  end
  return net.list(networks)
end

settings.LOOPBACK = { "127.0.0.0/8", "::1" }

-- A function that tells whether the client is one of us: it has logged in, is this machine, or is in these networks.
function settings.inside(name, networks)
  local list = settings.networks(name, "networks", networks, 4)
  return function()
    return smtp.sess.auth ~= nil or smtp.sess.family == "unix" or list:has(smtp.sess.ip)
  end
end

-- "user@example.com" -> "user", "example.com", both in lower case.
function settings.split(address)
  local user, domain = address:lower():match "^(.*)@(.*)$"
  return user or address:lower(), domain or ""
end

-- A function that tells whether an address is in a list of addresses and domains: "joe@example.com", "example.com".
function settings.addresses(name, key, list)
  local set = {}
  for _, entry in ipairs(list) do
    if type(entry) ~= "string" or entry == "" then
      settings.wrong(name, key .. " must be a list of addresses and domains", 3)
    end
    set[entry:lower():gsub("^@", "")] = true
  end
  return function(address)
    local _, domain = settings.split(address)
    return set[address:lower()] or (domain ~= "" and set[domain]) or false
  end
end

-- A Subject with a tag in front, or nil where it begins with it: as it does, or behind the "Re:" of an answer. A tag further
-- on does not count: anybody can write it there.
function settings.tagged(subject, tag)
  local rest, word = subject:lower(), tag:lower():match "^%s*(.-)%s*$"
  for _ = 1, 10 do
    if rest:sub(1, #word) == word then return nil end
    local shorter = rest:match "^%s*%a%a?%a?%a?:%s*(.*)$"
    if not shorter then break end
    rest = shorter
  end
  return tag .. subject
end

return settings
