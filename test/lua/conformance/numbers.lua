-- Text of numbers, and numbers of text.
for _, x in ipairs{1e15, 1e16, 1e14, 1e100, 0.1, -0.0, 0.0, 1/0, -1/0, 2^53, 2^31, -2^31, 123456789012345.0, 3.0, -3.5, 1e-5, 1e-4, 5e-324, 1.7976931348623157e308, 100.0, 1e300 * 10, 3.14159265358979, 0.1 + 0.2, 1/3} do
  print(x, tostring(x), x .. "", string.format("%.14g %.17g %g", x, x, x), table.concat{x})
end
print(0/0, -(0/0), tostring(0/0), math.huge - math.huge)
print(3 | 0, 7 // 2, -7 // 2, 7 // -2, 7 % -3, -7 % 3, 7.5 // 2, -7.5 % 2, 5.3 % math.huge, -5.3 % math.huge, 1e308 * 10)
print(3000000000.0 // 7, 3000000000.0 % 7, 2^53 // 3)
print(1e15 // 1, 10 / 2, 3 * 1.0, 2^2, 7 // 0.0, -7 // 0.0, 0.0 / 0.0 ~= 0.0 / 0.0)
for _, s in ipairs{"0x10", "1e3", "  12  ", "10", "0x.8p1", "0xA.8", "1e", "e1", ".", ".5", "5.", "0x", "", " ", "1 2", "1_000", "inf", "nan", "0b1", "1e+5", "1E-5", "- 1", "--1", "+5", "-0", "-0x10", "1\0", "0x1p-2", "1.e1", "\t7\n", "1e400", "08"} do
  print((string.format("%q", s)), tonumber(s), math.type(tonumber(s)))
end
for _, a in ipairs{{"10", 2}, {"zz", 36}, {"ZZ", 36}, {"8", 8}, {"18", 8}, {"  -1z ", 36}, {"+7", 8}, {"1.0", 10}, {"", 10}, {" ", 10}, {"ff", 16}, {"-FF", 16}, {"g", 16}, {"7fffffff", 16}, {"1e1", 16}} do
  print(a[1], a[2], tonumber(a[1], a[2]))
end
print(pcall(tonumber)) print(pcall(tonumber, 10, 16)) print(pcall(tonumber, "10", 99)) print(pcall(tonumber, {}, 10))
print(tonumber({}), tonumber(nil), tonumber(true), tonumber("10", 10), tonumber(12))
print(math.tointeger(3.0), math.tointeger(3.5), math.tointeger("x"), math.tointeger({}), math.type(1), math.type(1.0), math.type("1"))
print(math.floor(-3.5), math.ceil(-3.5), math.floor(3), math.floor(1e100), math.fmod(-7, 3), math.fmod(7, -3), math.fmod(-7.5, 2), math.modf(3.7), math.modf(-3.7), math.modf(5), math.modf(1/0))
print(math.ult(1, -1), math.ult(-1, 1), math.abs(-3), math.abs(-3.5), math.max(1, 2.5), math.min(3, -1), math.sqrt(2), math.log(8, 2), math.log(100, 10), math.exp(0))
print(pcall(math.fmod, 1, 0)) print(pcall(math.random, 0)) print(pcall(math.random, 2, 1)) print(pcall(math.random, 1, 2, 3)) print(pcall(math.floor, "x")) print(pcall(math.tointeger))
math.randomseed(42) for _ = 1, 20 do local a = math.random(3, 7) assert(a >= 3 and a <= 7 and math.type(a) == "integer") local b = math.random() assert(b >= 0 and b < 1) end
print("10" + 5, "3" * "4", "0x10" + 0, 10 .. 20, "1e1" + 0, pcall(function() return "a" + 1 end))
print(1 < 1.5, 1 == 1.0, "10" == 10, math.maxinteger > 2^30, -1 < 0.5, pcall(function() return 1 < "2" end))
print(pcall(function() return 1 // 0 end)) print(pcall(function() return 1 % 0 end)) print(pcall(function() return 1.5 | 1 end)) print(pcall(function() return "a" | 1 end)) print(pcall(function() return {} .. "x" end))
print(1 << 4, 256 >> 4, 0xF0 & 0x3C, 0xF0 | 0x0F, 5 ~ 3, ~0, 1 << 30, "3" | 0, 2.0 | 1)
for i = 1, 3 do io.write(i, " ") end for i = 3, 1, -1 do io.write(i, " ") end for i = 1.0, 2.0, 0.5 do io.write(i, " ") end print()
print(pcall(function() for i = 1, 10, 0 do end end)) print(pcall(function() for i = "a", 10 do end end))
print(#"\u{20ac}", "\x41\z
       B\65", '\'', "a\
b")
