-- Formats and numbers at random, always the same: flags, widths and precisions of every conversion.
local seed = 12345.0
local function rnd(n) seed = (seed * 16807.0) % 2147483647.0 return math.tointeger(seed % n) end
local function pick(t) return t[rnd(#t) + 1] end
local function num()
  local k = rnd(9)
  if k == 0 then return rnd(2000) - 1000 end
  if k == 1 then return (rnd(2000000) - 1000000) / 64.0 end
  if k == 2 then return tonumber((rnd(2)==0 and "-" or "") .. rnd(1000000) .. rnd(1000000) .. "." .. rnd(1000000) .. "e" .. (rnd(600) - 300)) end
  if k == 3 then return pick{0.5, 1.5, 2.5, 0.125, 0.375, 1e15, 1e16, 1e14, 123456789012345.0, 0.1, 1/3, 2^53, 2^31+0.0, -0.0, 0.0, 1e21, 1e22, 1e300, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e-5, 1e-4, 0.0001234565, 999998.5, 9999995e-1, 99999950.0,1e100} end
  if k == 4 then return rnd(100000) * 0.5 end
  if k == 5 then return (rnd(1000000)+0.5) * tonumber("1e"..(rnd(12)-6)) end
  if k == 6 then return tonumber("0x" .. string.format("%x", rnd(2147483647)) .. "." .. string.format("%x", rnd(65535)) .. "p" .. (rnd(200)-100)) end
  if k == 7 then return 2.0^(rnd(200)-100) end
  return rnd(2147483647)
end
for i = 1, 700 do
  local x = num()
  local conv = pick{"d","i","u","x","X","o","e","E","f","g","G","a","A","g","f","s","c","q","s"}
  local flags = ""
  for _ = 1, rnd(3) do flags = flags .. pick{"-","+"," ","#","0"} end
  local spec = "%" .. flags
  if rnd(2) == 0 then spec = spec .. rnd(40) end
  if rnd(2) == 0 then spec = spec .. "." .. (rnd(4) == 0 and "" or rnd(25)) end
  spec = spec .. conv
  if conv == "c" then x = rnd(255) + 1 end
  if (conv == "x" or conv == "X" or conv == "o" or conv == "u") then x = rnd(2147483647) * 1.0 * (rnd(3)==0 and 100000 or 1) end
  if math.type(x)=="float" and (x < -9.2e18 or x >= 9.2e18) and (conv == "d" or conv == "i") then x = 7 end
  local ok, r = pcall(string.format, spec, conv=="s" and tostring(x) or x)
  if conv=='q' and math.type(x)=="integer" then r = '' end
  print(spec, (tostring(x):gsub("%.0$","")), ok, r)
end
