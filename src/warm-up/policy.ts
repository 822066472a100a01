/** The policy of the sessions that warm a process up: in Lua, with what policies are made of. */
export const WARM_UP_POLICY = `
local nets = { "192.0.2.", "198.51.100.", "2001:db8:" }
local refused = { ["spam.example"] = true, ["junk.example"] = true }
local size, total = 0, 0
local rules = {}
for i = 1, 24 do
  rules[i] = {
    name = "X-Header-" .. i % 10,
    text = i % 3 == 0 and "value " .. i or nil,
    pattern = i % 3 == 1 and "^%s*[Vv]alue[ ,]" .. i .. "$" or nil,
    points = i % 7 / 2 - 1,
    skip = i % 5 == 0,
  }
end

local function domain_of(address)
  local domain = address:match("@([^@>]*)>?$")
  return domain and domain:lower()
end

function smtp.do_connect(ip, ptr)
  for _, net in ipairs(nets) do
    if ip:sub(1, #net) == net then return smtp.code.reject, "5.7.1 address refused" end
  end
  for i = 1, #nets do
    if ptr == nets[i] then return smtp.code.reject, "5.7.1 refused" end
  end
end

function smtp.do_helo(name)
  if name == "bad.example" or not name:find(".", 1, true) then return smtp.code.reject, "5.7.1 bad HELO" end
end

function smtp.do_mail(sender, params)
  size = 0
  local domain = domain_of(sender)
  if domain and refused[domain] then return smtp.code.reject, "5.7.1 domain refused" end
  for name, value in pairs(params) do
    if name == "SIZE" and tonumber(value) == 0 then return smtp.code.again end
  end
end

function smtp.do_rcpt(recipient, params)
  if recipient:find("^<?nobody") then return smtp.code.reject, "5.1.1 no such user" end
  if smtp.sess.helo == recipient or #smtp.tran.rcpts > 100 then return smtp.code.storage, "4.5.3 too many" end
end

-- Tables in a table, made for the session when it looks into them.
local function weighed(headers)
  local fields, points = {}, 0
  for _, line in ipairs(headers) do
    local name, value = line:match("^([^:]+):%s*(.*)$")
    if name then fields[name:lower()] = value end
  end
  for _, rule in ipairs(rules) do
    local value = not rule.skip and fields[rule.name:lower()]
    if value then
      if rule.text and value:find(rule.text, 1, true) then points = points + rule.points end
      if rule.pattern and value:find(rule.pattern) then points = points + rule.points end
    end
  end
  return points
end

function smtp.do_headers(headers)
  for i = 1, #headers do
    if headers[i]:find("^[Ss]ubject%s*:%s*spam%-%d") then return smtp.code.reject, "5.7.1 subject refused" end
  end
  for _, line in ipairs(headers) do
    local name, value = line:match("^([^:]+):%s*(.*)$")
    if name == "X-Loop" and value ~= "" then return smtp.code.reject, "5.7.1 refused" end
  end
  if weighed(headers) > 1000 then return smtp.code.reject, "5.7.1 refused" end
end

function smtp.do_chunk(chunk, length)
  size = size + length
  if #chunk ~= length then return smtp.code.again end
end

local function score(points, ...)
  local sum = 0.5
  for _, value in ipairs({ points, ... }) do sum = sum + value * 2 - value / 4 end
  return math.floor(-sum) // 2, select("#", ...) % 3
end

-- Every instruction on every kind of value, in some of the sessions: V8 gives up what it has compiled when it meets a new
-- kind.
local Point = {}
Point.__index = Point
Point.__add = function(a, b) return a.x + b.x end
Point.__eq = function(a, b) return a.x == b.x end
Point.__lt = function(a, b) return a.x < b.x end
Point.__concat = function(a, b) return tostring(a) .. tostring(b) end
Point.__call = function(self, n) return self.x + n end
Point.__len = function(self) return self.x end
Point.__tostring = function(self) return "point " .. self.x end
Point.__newindex = function(self, key, value) rawset(self, key, value) end
function Point.new(x) return setmetatable({ x = x }, Point) end
function Point:moved(by) return Point.new(self.x + by) end
local late = setmetatable({}, { __index = function(self, key) return key end })

local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local function depth(n) return n == 0 and 0 or 1 + depth(n - 1) end

local function each(list)
  local i = 0
  return function()
    i = i + 1
    return list[i]
  end
end

local function all_but(first, ...)
  if first then return ... end
  return all_but(true, nil, ...)
end

local function numbers(a, b)
  local hash, sum = 5381, 0
  for i = 1, 9 do hash = hash * 33 + i end
  for x = 1, 2, 0.5 do sum = sum + x * 2 - x / 4 end
  for i = 5, 1, -2 do sum = sum + i % 3 + (i - 7) % 3 + i // 2 end
  local float, most = a + 0.5, 2147483647
  sum = sum + (most + a) + (most - -a) + most * b + float * b + b * float - (float - b) - (b - float) + float / b
  sum = sum + -a + -float + a ^ 2 + float // 2 + 2 // float + float % 2 + 7 % float + (a & b) + (a | b) + (a ~ b) + (a << 3) + (b >> 1) + ~a
  if a < b or float < b or a < float or a <= b or float <= float or a == float or float == float or 1 > a then sum = sum + 1 end
  if "a" < "b" and "a" <= sum .. "" and a ~= "1" and not (a == nil) and nil ~= b and true ~= a then sum = sum + 1 end
  return sum + tonumber("12") + math.max(a, float) + math.floor(float), hash
end

local function tables(n)
  local list, map, holes = { 1, 2.5, "three", {}, n = 1 }, {}, {}
  for i = 1, 12 do
    list[#list + 1] = i
    map["key" .. i] = i + 0.5
    map[i * 10] = true
    map[i / 4] = i
    holes[i] = i
  end
  for i = 1, 12, 3 do holes[i] = nil end
  holes[1], holes[12], map.key1, map.key2, map[10] = 1, nil, nil, "other", nil
  local count = #list + #holes + #map
  for i, value in ipairs(list) do if value == n then count = count + i end end
  for key, value in pairs(map) do if type(key) == "string" and value then count = count + 1 end end
  for key in next, holes do count = count + key end
  table.insert(list, n)
  table.insert(list, 1, n)
  table.remove(list, 1)
  list[#list] = nil
  local a, b, c = table.unpack({ 1, "b", n })
  local swapped = { all_but(false, a, b, c) }
  for value in each(swapped) do last = value or a end
  for key, value in next, { n, x = n }, nil do last = key and value end
  if not last or swapped[1] == list or #tostring(all_but(true, n)) == 0 then last = nil end
  local nothing, more = (function(...) local x, y = ... return y, x, ... end)(n)
  count = count + more + (nothing and 1 or 0) + math.min(all_but(true, n, 2))
  swapped[1], swapped[2] = swapped[2], swapped[1]
  return count + a + c + select("#", table.unpack(swapped)) + (late[n] == n and 1 or 0) + (map.none or 0)
end

local function started(n)
  local function count(m) return m == 0 and n or count(m - 1) end
  return count(2)
end

local function objects(n)
  local p, q = Point.new(n), Point.new(n + 0.5)
  local counts, undone = {}, 0
  for i = 1, 3 do
    local seen = i
    counts[i] = function(by) seen = seen + by undone = undone + 1 return seen end
  end
  local more = counts[1](1) + counts[2](0.5) + counts[3](n) + p(1) + #p + (p + q) + q:moved(1).x
  if p == q or p < q or p:moved(1) == p then more = more + undone end
  p.y = n
  local ok, why = pcall(function() local inner = n return inner + {} end)
  local step = coroutine.wrap(function(first) local second = coroutine.yield(first) return second end)
  return more + step(1) + step(2), p .. q, p .. "x", not ok and why
end

-- Main chunks run with another hook: see what functions they call.
local known = { all_but(false, fib(4), depth(3)), started(1) }

local function texts(line)
  local at, to, word = line:find("(%w+)%s", 2)
  local parts, count = {}, 0
  for name, value in ("a=1, b=22,ccc=3"):gmatch("(%w+)=(%w*)") do parts[#parts + 1] = name .. value .. count .. 0.5 .. "," end
  local upper = line:gsub("%w+", function(found) count = count + 1 return found:upper() end)
  local some = line:gsub("(%w)(%w*)", "%2%1", 3):gsub("%d", { ["1"] = "one" }):gsub("o", "0")
  for i = 1, #some, 8 do count = (count * 31 + some:byte(i)) % 65521 end
  -- Patterns that have not been there before: a script's are all new when it begins.
  for i = 1, 16 do
    local new = math.random(1000000)
    if line:find("^%s*[Ww]ord" .. new .. "[%s,]") or line:find("([" .. new .. "%a]+)-%.x?" .. new .. "$") then return end
  end
  if line:find("no such text", 1, true) or line:match("^%s*(.-)%s*$") == "" or line:find("[^%w]-%d?$") == 0 then return end
  return table.concat(parts) .. upper .. some:sub(2, -2) .. ("x"):rep(3) .. string.char(65, 66) .. tostring(at) .. #line .. string.format("%5.1f %x %q", to or 0, count, word or "")
end

function smtp.do_dot()
  total = total + size
  if math.random(8) == 1 then
    local sum, hash = numbers(3, 4)
    sum = sum + tables(5) + objects(6) + fib(6) + depth(30) + started(1)
    if texts(smtp.sess.ip .. " sent " .. sum .. " of " .. hash) == "" then return smtp.code.again end
  end
  local points, rest = score(size, 1, 2.5, 3)
  local line = string.format("%s from %s: %d bytes, %d", smtp.tran.id, smtp.sess.ip, total, points)
  if line:gsub("%s+", " ") == "" or rest > 3 or size >= 1 << 30 then return smtp.code.again end
  local words = {}
  for word in line:gmatch("%w+") do words[#words + 1] = word:upper() .. "." .. #words end
  table.sort(words, function(a, b) return a > b end)
  if table.concat(words, " ") == "" then error("no words") end
  local ok, why = pcall(error, { words[1], points })
  if ok or not why[1] then return smtp.code.again, "4.3.0 " .. tostring(why) end
end

function smtp.rset() size = 0 end

function smtp.close() total = 0 end
`;
