-- Bounces go to one recipient.
local function is_bounce()
  return smtp.tran.sender == ""
end

function smtp.do_rcpt(rcpt)
  if is_bounce() and #smtp.tran.rcpts > 1 then
    return 550, "5.5.3 a bounce has one recipient"
  end
  local user = rcpt:match("^([^@]+)@") or rcpt
  if is_bounce() and user:find("^no%-?reply") then return 550, "5.1.1 " .. user .. " gets no mail" end
end
