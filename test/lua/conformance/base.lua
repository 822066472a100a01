-- The base library, metamethods and errors.
print(1, nil, true, "x", 1.5) print() print(setmetatable({}, {__tostring = function() return "T" end})) print(pcall(print, setmetatable({}, {__tostring = function() return {} end})))
do local old = tostring tostring = function(v) return "<" .. old(v) .. ">" end print(1, "a") tostring = function() return nil end local ok, e = pcall(print, 1) tostring = old print(ok, e) end
print(pcall(tostring)) print((tostring(print):gsub("0x%x+", "PTR")), (tostring({}):gsub("0x%x+", "PTR")), (tostring(setmetatable({}, {__name = "My"})):gsub("0x%x+", "PTR")))
print(select("#"), select("#", nil, nil), select(2, "a", "b", "c"), select(-1, "a", "b")) print(pcall(select, 0)) print(pcall(select, -5, 1))
for k, v in pairs(setmetatable({}, {__pairs = function(t) return function(_, k) if not k then return 1, "one" end end, t, nil end})) do print(k, v) end
for i, v in ipairs(setmetatable({}, {__index = function(_, i) if i < 4 then return i * i end end})) do io.write(i, "=", v, " ") end print()
print(next({}), next({5}), rawlen({1, 2}), rawlen("abc"), rawequal("a", "a"), rawget(setmetatable({}, {__index = {x = 1}}), "x")) print(pcall(next, {}, "nokey")) print(pcall(rawlen, 5)) print(pcall(ipairs)) print(select("#", pcall(pairs, nil))) print(pcall(setmetatable, 1, {})) print(pcall(setmetatable, {}, 1))
print(getmetatable(setmetatable({}, {__metatable = "locked"})), pcall(setmetatable, setmetatable({}, {__metatable = 1}), {})) print(getmetatable("").__index == string)
print(pcall(error)) print(pcall(error, nil)) print(pcall(error, "msg", 0)) print(pcall(error, "msg")) print(select("#", pcall(error, {code = 5}))) print(pcall(function() error("here") end)) print(pcall(function() local function g() error("there", 2) end g() end))
print(pcall(assert, false)) print(pcall(assert, nil, "m")) print(pcall(assert, false, {1}) == false) print(assert(1, 2, 3)) print(pcall(assert))
print(xpcall(function(a) error(a, 0) end, function(m) return "H:" .. m end, "arg")) print(xpcall(function(...) return ... end, print, 1, 2)) print(xpcall(error, function() error("again") end)) print(pcall(xpcall)) print(pcall(pcall))
print(load("return 1 +")) print(load("x =")) print(load("return ...", "c")(5)) print(type(load(function() return nil end))) print(pcall(load, function() return {} end)) print(load("return 1", "c", "b")) print(type(load("error('e')", "=name"))) print(pcall(load("error('e')", "=name"))) print(pcall(load("error('e')", "@file.lua"))) print(pcall(load("error('e')", "some text\nmore"))) print(load("x = 1 return x, _ENV == nil", "c", "t", {})())
do local n = 0 print(load(function() n = n + 1 return ({"return ", "1", " + 2"})[n] end)()) end
print(collectgarbage() == 0, math.type(collectgarbage("count")), collectgarbage("count") > 0, collectgarbage("stop"), collectgarbage("restart"), collectgarbage("isrunning"), math.type(collectgarbage("setpause", 100)), pcall(collectgarbage, "nope"))
print(_VERSION, _G._G == _G, type(_ENV), type(type)) print(pcall(type))
local mt = {} for _, op in ipairs{"add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor", "bxor", "shl", "shr", "bnot", "concat"} do mt["__" .. op] = function() return op end end
mt.__len = function() return 42 end mt.__eq = function() return true end mt.__lt = function() return true end mt.__le = function() return false end mt.__call = function(_, ...) return "call", ... end mt.__index = function(_, k) return k end
local a, b = setmetatable({}, mt), setmetatable({}, mt)
print(a + 1, 1 - a, a * a, a / 1, a % 1, a ^ 1, -a, a // 1, a & 1, a | 1, a ~ 1, a << 1, a >> 1, ~a, a .. "x", "x" .. a, #a, a == b, a < b, a <= b, a(1, 2), a.key)
for _, code in ipairs{"local t = nil; return t.x", "return undefinedglobal.x", "undefinedfn()", "local t = {} t.a.b = 1", "return ('x') + 1", "return {} + 1", "return #5", "return -{}", "local a = 'x' a()", "return {} < {}", "return 1 < 'x'", "return nil .. 'x'", "local t = {} t[nil] = 1", "local t = {} t[0/0] = 1", "return ('x'):nomethod()", "string.rep()", "('x'):rep({})", "return math.floor({})", "setmetatable({}, {__index = function() error('deep') end}).x()", "for i = 1, 'x' do end", "goto nolabel", "break", "return 1 = 2", "x = }", "local x <const> = 1", "return '\\400'", "return 'abc", "--[[ unclosed", "return 0x", "::a:: ::a::"} do
  local f, e = load(code, "=code") if f then print(pcall(f)) else print("syntax", e) end
end
for i = 1, 3 do for j = 1, 3 do if j == 2 then goto continue end io.write(i, j, " ") ::continue:: end end print()
do local t = {1, 2, 3} t[#t] = nil t[#t + 1] = 9 print(#t, t[3]) end do local t = {a = 1, b = 2, c = 3} for k in pairs(t) do t[k] = nil end print(next(t)) end do local t = {} t[1.0] = "a" t[2^53] = "b" print(t[1], t[2^53]) end
