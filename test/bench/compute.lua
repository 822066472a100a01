-- What policies compute, for test/bench/compute.ts: each function is one line of its table. Plain Lua 5.3.

local work = {}

function work.fib()
  local function fib(n)
    if n < 2 then return n end
    return fib(n - 1) + fib(n - 2)
  end
  return fib(24)
end

function work.loop()
  local sum = 0
  for i = 1, 1000000 do sum = sum + i end
  return sum > 0
end

function work.array()
  local list, sum = {}, 0
  for i = 1, 200000 do list[#list + 1] = i end
  for i = 1, #list do sum = sum + list[i] end
  return sum > 0
end

function work.strings()
  local parts = {}
  for i = 1, 50000 do parts[#parts + 1] = "item " .. i .. "," end
  return #table.concat(parts)
end

local kilobyte = ("Received: from mx.example.org by mail.example.net; "):rep(20) .. "the-end"

function work.find()
  local found = 0
  for i = 1, 5000 do
    if kilobyte:find("the-end", 1, true) then found = found + 1 end
    if kilobyte:match("^Received: from ([%w.]+)") then found = found + 1 end
  end
  return found
end

function work.gsub()
  local count = 0
  for i = 1, 200 do
    local text = kilobyte:gsub("%w+", function(word) count = count + 1 return word:upper() end)
  end
  return count
end

-- A table of 500 rules over thirty headers: names are compared, values searched and weighed.
local rules, headers = {}, {}
for i = 1, 500 do
  rules[i] = {
    name = "X-Field-" .. i % 30,
    text = i % 2 == 0 and "word" .. i or nil,
    pattern = i % 2 == 1 and "^%s*[Ww]ord" .. i .. "[%s,]" or nil,
    score = i % 7 / 2 - 1,
  }
end
for i = 1, 30 do headers[i] = "X-Field-" .. i - 1 .. ": " .. ("some words, and word" .. i .. " "):rep(4) end

function work.rules()
  local fields, score = {}, 0
  for _, line in ipairs(headers) do
    local name, value = line:match("^([^:]+):%s*(.*)$")
    fields[name:lower()] = value
  end
  for _, rule in ipairs(rules) do
    local value = fields[rule.name:lower()]
    if value then
      if rule.text and value:find(rule.text, 1, true) then score = score + rule.score end
      if rule.pattern and value:find(rule.pattern) then score = score + rule.score end
    end
  end
  return score
end

-- A parser over 256 KiB: lines, words of each, the length of each counted, byte by byte where a line begins with a dash.
local body = {}
for i = 1, 4096 do body[i] = (i % 8 == 0 and "-" or "a") .. " line of words, numbered " .. i % 1000 .. ", with more words behind\r\n" end
body = table.concat(body):sub(1, 256 * 1024)

function work.parser()
  local words, sum, at = {}, 0, 1
  while true do
    local from, to = body:find("\r\n", at, true)
    if not from then break end
    if body:byte(at) == 45 then
      for i = at, from - 1 do sum = (sum * 31 + body:byte(i)) % 65521 end
    else
      for word in body:sub(at, from - 1):gmatch("%a+") do words[word] = (words[word] or 0) + 1 end
    end
    at = to + 1
  end
  return sum, words.line
end

return work
