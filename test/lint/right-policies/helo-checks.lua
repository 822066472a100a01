-- What a client calls itself.
local BAD = { ["localhost"] = true, ["localhost.localdomain"] = true, ["example.com"] = true }

function smtp.do_helo(helo)
  local name = helo:lower():gsub("%.$", "")
  if BAD[name] then return 550, "5.7.1 you are not " .. name end
  if name:match("^%d+%.%d+%.%d+%.%d+$") then return 501, "5.5.2 an address belongs in brackets" end
  local literal = name:match("^%[(.-)%]$")
  if literal and literal ~= smtp.sess.ip and literal ~= "ipv6:" .. smtp.sess.ip:lower() then
    return 501, "5.5.2 that is not your address"
  end
  if not literal and not name:find(".", 1, true) then return 550, "5.5.2 your full name, please" end
  if smtp.sess.helo:lower():find("[^%w.:%[%]-]") then return 501, "5.5.2 what an odd name" end
end
