-- Patterns and subjects at random, always the same: find, match, gmatch and gsub, errors included.
local seed = 4242.0
local function rnd(n) seed = (seed * 16807.0) % 2147483647.0 return math.tointeger(seed % n) end
local function pick(t) return t[rnd(#t) + 1] end
local function subject() local t = {} for i = 1, rnd(24) do t[i] = pick{"a","b","c","A","1","0"," ","(",")","[","]","-","%",".","\0","\255","ab","\n","x","_"} end return table.concat(t) end
local function item()
  local k = rnd(16)
  if k < 4 then return pick{"a","b","c","1"," ","x","%.","%%","%-","\0"} end
  if k < 6 then return pick{".","%a","%d","%s","%w","%p","%A","%S","%x","%c","%u","%l","%W","%g","%q"} end
  if k < 8 then return "[" .. pick{"","^"} .. pick{"a","a-c","%w","%a_","]","%]","a-","-a","0-9%s","^a","%-x","a%","z-a",".","\0-\127"} .. "]" end
  if k == 8 then return "(" .. pick{"","a","."} .. ")" end
  if k == 9 then return "(" end
  if k == 10 then return ")" end
  if k == 11 then return pick{"%b()","%bab","%b[]","%b","%f[%w]","%f[^a]","%f"} end
  if k == 12 then return pick{"%1","%2","%0","$","^","%"} end
  return pick{"a","b","."}
end
local function pattern()
  local t = {} if rnd(5) == 0 then t[1] = "^" end
  for i = 1, rnd(6) + 1 do t[#t + 1] = item() .. pick{"","","","*","+","-","?"} end
  if rnd(6) == 0 then t[#t + 1] = "$" end
  return table.concat(t)
end
local function show(...) local t = table.pack(...) for i = 1, t.n do t[i] = string.format("%q", tostring(t[i])) end return table.concat(t, " ") end
local function clean(e) return (tostring(e):gsub("^.-:%d+: ", "")) end
for i = 1, 700 do
  local s, p = subject(), pattern()
  local init = pick{1, 1, 1, rnd(30) - 10}
  local function try(name, f, ...) local r = table.pack(pcall(f, ...)) if not r[1] then r[2] = clean(r[2]) end print(i, name, show(p, s, init), show(table.unpack(r, 1, r.n))) end
  local k = rnd(6)
  if k == 0 then try("find", string.find, s, p, init)
  elseif k == 1 then try("match", string.match, s, p, init)
  elseif k == 2 then try("gmatch", function() local t = {} for a, b in string.gmatch(s, p) do t[#t + 1] = show(a, b) if #t > 40 then break end end return table.concat(t, ";") end)
  elseif k == 3 then try("gsub", string.gsub, s, p, pick{"<%0>", "%1", "%2", "x", "%%", "[%1%0]", "%"}, pick{nil, 1, 2, 0})
  elseif k == 4 then try("gsubf", string.gsub, s, p, function(a, b) return pick{a, false, nil, "Z", 12} end)
  else try("gsubt", string.gsub, s, p, {a = "AA", b = true and "B", ab = 1, c = false}) end
end
