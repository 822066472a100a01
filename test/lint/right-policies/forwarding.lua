-- Copies of some mail, and another sender for them.
local COPIES = {
  ["sales@example.com"] = { "one@example.org", "two@example.org" },
  ["info@example.com"] = "archive@example.com",
}

local function each(value)
  if type(value) == "table" then return ipairs(value) end
  return ipairs({ value })
end

function smtp.do_dot()
  for _, rcpt in ipairs(smtp.tran.rcpts) do
    if rcpt.code == 250 then
      for _, copy in each(COPIES[rcpt.addr:lower()]) do
        local ok, err = smtp.add_rcpt(copy)
        if not ok then syslog.error(err) end
      end
    end
  end
  if smtp.tran.sender == "" then return end
  local user, domain = smtp.tran.sender:match("^(.*)@([^@]+)$")
  if domain and domain:lower() ~= "example.com" then
    smtp.set_sender(string.format("srs0=%s=%s@example.com", domain, user))
  end
end
