-- Scores by steps, kept in the notes of the transaction.
local STEPS = {
  mail = function(note, sender) note.score = sender == "" and 1 or 0 end,
  rcpt = function(note, rcpt)
    note.score = note.score + (rcpt:find("^[^@]*%d%d%d%d") and 2 or 0)
  end,
}

local function step(name, ...)
  local note = smtp.tran.note
  local fn = STEPS[name]
  if fn then fn(note, ...) end
  return note.score or 0
end

function smtp.do_mail(sender) step("mail", sender) end

function smtp.do_rcpt(rcpt)
  local score = step("rcpt", rcpt)
  if score >= 5 then return 550, "5.7.1 score " .. score end
end

function smtp.do_data()
  local taken = 0
  for _, entry in ipairs(smtp.tran.rcpts) do
    if entry.code == 250 then
      taken = taken + 1
    elseif entry.text then
      syslog.info(entry.addr .. " was refused: " .. entry.text)
    end
  end
  syslog.info(("%s: %d of %d recipients, queue id %s"):format(
    smtp.tran.id, taken, #smtp.tran.rcpts, smtp.tran.queue_id or "unknown"))
end
