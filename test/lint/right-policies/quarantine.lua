-- What looks odd waits for somebody to look at it.
local function suspicious()
  local subject = header.get("Subject")
  if subject and subject:find("invoice", 1, true) then
    for _, value in ipairs(header.all("Received")) do
      if value:find("unknown", 1, true) then return "an invoice from an unknown host" end
    end
  end
  if header.find("X-Mailer") and not header.find("Message-Id") then return "a mailer without Message-Id" end
  return nil
end

function smtp.do_dot()
  local reason = suspicious()
  if not reason then return end
  local ok, err = smtp.quarantine(reason)
  if ok then
    header.add("X-Held", reason)
  else
    syslog.warning("not held: " .. err)
  end
end
