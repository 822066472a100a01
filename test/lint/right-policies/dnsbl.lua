-- Block lists, all asked at once; an allow list before.
local ZONES = {
  { zone = "zen.example.org", codes = "127.0.0.[2;4..11]", weight = 3 },
  { zone = "bl.example.net", weight = 2 },
}
local LIMIT = 3

local score, reasons = 0, {}

function smtp.do_connect(ip)
  if ip == "" or ip:sub(1, 1) == "/" then return smtp.code.accept end
  local allowed, why = dns.listed(ip, "list.example.com")
  if allowed then return smtp.code.accept end
  if allowed == nil then syslog.notice("allow list: " .. why) end

  local jobs = {}
  for i, entry in ipairs(ZONES) do
    jobs[i] = dns.start(dns.listed, ip, entry.zone, entry.codes)
  end
  for i, job in ipairs(jobs) do
    local answer, text = job:wait()
    if answer then
      score = score + ZONES[i].weight
      reasons[#reasons + 1] = text ~= "" and text or ZONES[i].zone
    elseif answer == nil then
      syslog.warning(ZONES[i].zone .. ": " .. text)
    end
  end
end

function smtp.do_rcpt(rcpt)
  if score < LIMIT or rcpt:lower():find("^postmaster@") then return end
  return 550, "5.7.1 listed: " .. table.concat(reasons, "; ")
end
