-- Times at random, always the same: every conversion of os.date, os.date tables and os.time with fields out of range.
local seed = 99.0
local function rnd(n) seed = (seed * 16807.0) % 2147483647.0 return math.tointeger(seed % n) end
local all = "%a %A %b %B %c %C %d %D %e %F %g %G %h %H %I %j %m %M %n %p %r %R %S %t %T %u %U %V %w %W %x %X %y %Y %z %Z %% %Ec %EC %Ex %EX %Ey %EY %Od %Oe %OH %OI %Om %OM %OS %Ou %OU %OV %Ow %OW %Oy"
local function n(x) return (tostring(x):gsub("%.0$", "")) end
for i = 1, 150 do
  local t = (rnd(2147483647) - 1000000000.0) * (rnd(3) + 1) + rnd(86400)
  t = math.tointeger(t) or t
  print(n(string.format("%d", t)), os.date("!" .. all, t), os.date(all, t))
  local d = os.date("*t", t)
  print(d.year, d.month, d.day, d.hour, d.min, d.sec, d.wday, d.yday, d.isdst, string.format("%d", os.time(d)))
  local e = {year = 1900 + rnd(250), month = rnd(40) - 10, day = rnd(800) - 300, hour = rnd(100) - 40, min = rnd(200) - 50, sec = rnd(1000) - 300}
  local r = string.format("%d", os.time(e))
  print(r, e.year, e.month, e.day, e.hour, e.min, e.sec, e.wday, e.yday, e.isdst)
  local f = {year = 1975 + rnd(60), month = rnd(12) + 1, day = rnd(28) + 1, hour = rnd(24), min = rnd(60), isdst = rnd(2) == 0}
  print("isdst", f.year, f.month, f.day, f.hour, f.min, f.isdst, string.format("%d", os.time(f)), f.hour)
end
for _, f in ipairs{"%Ez", "%Q", "%", "%E", "%O", "%Ea", "x%", "%5d", "%\0", "%Oz", "*t", "!*t", "*tx", "%é", "%EE"} do
  local r = table.pack(pcall(os.date, f, 0)) print(f, type(r[2]) == "table" or r[2])
end
for _, t in ipairs{{}, {year = 2020}, {year = 2020, month = 1}, {year = "2020", month = "01", day = "05"}, {year = 2020, month = 1.0, day = 1}, {year = 2020, month = 1.5, day = 1}, {year = 2020, month = "x", day = 1}, {year = 2020, month = 1, day = {}}, {year = 2^31, month = 1, day = 1}, {year = 2020, month = 1, day = 2^31}, {year = 2020, month = 1, day = 1, isdst = 5}} do
  print(pcall(function() return string.format("%d", os.time(t)) end))
end
print(pcall(os.date, "%c", 1.5)) print(pcall(os.date, "%c", "x")) print(pcall(os.time, 5))
print(os.date("!%c", 2^40)) print(os.date("!%Y %C %y %G", -1e11))
print(os.date("a\0b%Y", 0))
