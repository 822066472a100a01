-- From and To as mailboxes.
local OURS = { ["example.com"] = true, ["example.org"] = true }

function smtp.do_headers()
  local from = header.addr("From")
  if #from == 0 then return 550, "5.6.0 no From" end
  if #from > 1 and not header.get("Sender") then return 550, "5.6.0 several From, and no Sender" end
  local author = from[1]
  if author.domain == "" then return 550, "5.6.0 no domain in From" end
  if OURS[author.domain] and not smtp.sess.auth then
    return 550, "5.7.1 log in to write as " .. author.addr
  end
  local first = header.addr("Reply-To")[1]
  if first and first.domain ~= author.domain then header.add("X-Reply-Elsewhere", first.addr) end
  local names = {}
  for _, box in ipairs(header.addr("To")) do
    names[#names + 1] = box.name ~= "" and box.name or box.user
  end
  table.sort(names)
  syslog.info("to " .. table.concat(names, ", "))
  for name in (author.name .. " "):gmatch("(%S+)%s") do
    if name:lower():find("paypal", 1, true) and author.domain ~= "paypal.com" then
      smtp.quarantine("a name that is not his: " .. author.name)
      break
    end
  end
end
