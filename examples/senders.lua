-- Refuses senders and recipients that Postfix's own access tables refuse.
--
--     SMTPF_SENDERS=hash:/etc/postfix/sender_access smtpf-milter --script examples/senders.lua --on-error tempfail
--
-- The tables are those of access(5), as text: no postmap is needed, and an edit counts within two seconds, for sessions
-- that are under way too. A wrong edit leaves the table as it was; the log and `smtpf-milter status` name its line.
--
--     spam@bad.example       REJECT
--     bad.example            550 5.7.1 no mail from there
--     .bad.example           REJECT no mail from there
--     friend@bad.example     OK
--     postmaster@            OK
--     <>                     451 4.7.1 no bounces today
--
-- The most specific key counts: the address, the address without +extension, its domain, the parent domains, the name.
-- Whoever is in no line may go on.

-- Configuration ------------------------------------------------------------

-- Any map does: "hash:/etc/postfix/sender_access", "ldap:/etc/postfix/senders.cf". The environment names them without an
-- edit of this file.
local senders = map.open(os.getenv("SMTPF_SENDERS") or "inline:{ invalid=REJECT }")
local recipients = map.open(os.getenv("SMTPF_RECIPIENTS") or "inline:{ invalid=REJECT }")
local TEXT = { [4] = "4.7.1 come back later", [5] = "5.7.1 access denied" }

-- The tables ---------------------------------------------------------------

-- "REJECT text" -> 550, "5.7.1 text"; "451 4.7.1 text" -> 451, "4.7.1 text"; "OK" -> nothing.
local function answer_of(value, key)
  local word, text = value:match "^(%S+)%s*(.*)$"
  if word:upper() == "OK" then return end
  local code = word:upper() == "REJECT" and 550 or word:upper() == "DEFER" and 450 or tonumber(word:match "^[45]%d%d$")
  -- To guess would be to let in whom somebody wanted to keep out.
  if not code then error(string.format("unknown action of %s: %s", key, value)) end
  local class = code // 100
  if text == "" then text = TEXT[class] end
  if not text:find "^%d%.%d+%.%d+ " then text = class .. ".7.1 " .. text end
  return code, text
end

-- A server that does not answer is no "no": must() makes it the action of --on-error.
local function look_up(table, address)
  local value, key = must(table:addr(address))
  if value then return answer_of(value, key) end
end

-- Callbacks ----------------------------------------------------------------

function smtp.do_mail(sender)
  return look_up(senders, sender)
end

function smtp.do_rcpt(recipient)
  return look_up(recipients, recipient)
end
