-- Large mail at night only.
local LARGE = 10 * 1024 * 1024

local function is_night()
  local hour = tonumber(os.date("%H"))
  return hour >= 22 or hour < 6
end

local now = os.date("*t")
local started = os.time { year = now.year, month = now.month, day = now.day, hour = 0 }

function smtp.do_mail(sender, params)
  local size = tonumber(params.SIZE or "0")
  if size and size > LARGE and not is_night() then
    local left = started + 22 * 3600 - os.time()
    return 452, string.format("4.3.1 large mail after 22:00, in %d minutes", left // 60)
  end
end
