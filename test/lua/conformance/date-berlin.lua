-- TZ=Europe/Berlin
-- A zone that sets its clocks: os.date, os.time and isdst around the changes, and behind the last year that zone files list.
for _, t in ipairs{0, 86400 * 180, 354675599, 354675600, 1585443599, 1585443600, 1603587599, 1603587600, 1593561600, 1609455600, 2147483647, 2215900800.0, 4102444800.0, 4118083200.0} do
  print(string.format("%d", t), os.date("%Y-%m-%d %H:%M:%S %z %Z %j", t), os.date("*t", t).isdst, os.date("!%H:%M %Z", t))
  local d = os.date("*t", t) print(string.format("%d", os.time(d)))
end
for _, d in ipairs{{2020, 3, 29, 1, 59}, {2020, 3, 29, 2, 30}, {2020, 3, 29, 3, 0}, {2020, 10, 25, 1, 59}, {2020, 10, 25, 3, 0}, {2020, 7, 1, 12, 0}, {2020, 1, 1, 12, 0}, {2020, 13, 1, 0, 0}, {2020, 1, -30, 0, 0}, {2020, 1, 1, 24 * 200, 0}, {2090, 7, 1, 0, 0}} do
  for _, dst in ipairs{"none", true, false} do
    if dst == "none" then dst = nil end
    local t = {year = d[1], month = d[2], day = d[3], hour = d[4], min = d[5], isdst = dst}
    if not (dst == nil and d[2] == 3 and d[4] == 2) then print(d[1], d[2], d[3], d[4], d[5], dst, string.format("%d", os.time(t)), t.month, t.day, t.hour, t.min, t.isdst) end
  end
end
