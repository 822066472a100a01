-- Points in all callbacks of a session, and one sum.
local score, notes = 0, {}

local function add(points, why, ...)
  score = score + points
  notes[#notes + 1] = why:format(...)
end

local hops = 0

function smtp.do_connect(ip, ptr)
  if ptr == "" then score = score + 1 end
  if dns.listed(ip, "bl.example.org") then add(3, "%s is listed", ip) end
end

function smtp.do_helo(name)
  if smtp.sess.tls == nil then score = score + 0.5 end
  if name == smtp.sess.ptr then score = score - 1 end
end

function smtp.do_mail(sender)
  if not sender or #sender == 0 then add(1, "a bounce") end
  hops = 0
end

function smtp.do_headers(headers)
  for _, line in ipairs(headers) do
    if line:lower():sub(1, 9) == "received:" then hops = hops + 1 end
  end
  if hops == 0 then add(1, "straight from its author") end
  local subject = (header.get("Subject") or ""):lower()
  for word, points in pairs { viagra = 5, ["free money"] = 3, invoice = 0.5 } do
    if subject:find(word, 1, true) then add(points, "%q in the subject", word) end
  end
  if score >= 5 then return 550, "5.7.1 " .. table.concat(notes, "; ") end
end
