-- Closes list addresses (all-staff@, directors@) to strangers: only the senders and networks named for a list may write
-- to it. All other recipients of a message are untouched.
--
--     smtpf-milter --script examples/closed-list.lua --on-error tempfail
--
-- A sender is what the client says in MAIL FROM, which anyone can forge. To be sure of one, name the networks that such
-- mail comes from as well, and say both = true.
--
-- Addresses are compared without regard to case and to what follows a '+' (all-staff+monday@example.com); other spellings
-- of one address do not get here. Bounces have no sender, so they come in from the networks alone.

-- Configuration ------------------------------------------------------------

-- All these are one domain to our MTA, and so are its own name and its addresses in brackets (all-staff@[192.0.2.1]). The
-- lists below are written with the first.
local DOMAINS = { "example.com", "mail.example.com", "localhost" }

-- Character that begins an address extension (recipient_delimiter of Postfix); "" if there are none.
local DELIMITER = "+"

local LISTS = {
  -- Everybody inside, and two who are not.
  ["all-staff@example.com"] = {
    networks = { "127.0.0.0/8", "::1", "192.0.2.0/24", "2001:db8::/48" },
    senders = { "ceo@example.net", "@partner.example" },
  },
  -- One person, from the office.
  ["customers@example.com"] = {
    networks = { "192.0.2.0/24", "2001:db8::/48" },
    senders = { "marketing@example.com" },
    both = true,
  },
}

local TEXT = "5.7.2 this list is closed: you may not send to it"

-- Mail addresses -----------------------------------------------------------

syslog.openlog("closed-list", syslog.LOG_PID, syslog.LOG_MAIL)

-- The first of our domains for all of them.
local function domain_of(text)
  local domain = text:lower()
  if domain == (smtp.sess.host or ""):lower() or domain:find("^%[") then return DOMAINS[1]:lower() end
  for _, ours in ipairs(DOMAINS) do
    if domain == ours:lower() then return DOMAINS[1]:lower() end
  end
  return domain
end

-- One address for all that reach the same mailbox; "" for the null sender.
local function normalize(address)
  if address == "" then return "" end
  local mailbox, domain = address:lower():match("^(.*)@(.*)$")
  mailbox = mailbox or address:lower()
  local extension = DELIMITER ~= "" and mailbox:find(DELIMITER, 2, true)
  if extension then mailbox = mailbox:sub(1, extension - 1) end
  return mailbox .. "@" .. domain_of(domain or DOMAINS[1])
end

-- Who may write ------------------------------------------------------------

local function find_list(recipient)
  for name, list in pairs(LISTS) do
    if normalize(name) == recipient then return list end
  end
end

-- An entry is an address, or "@domain" for everyone in it.
local function is_sender(list, sender)
  for _, entry in ipairs(list.senders or {}) do
    local domain = entry:match("^@(.*)$")
    if domain and sender:match("^.*@(.*)$") == domain_of(domain) then return true end
    if not domain and sender == normalize(entry) then return true end
  end
  return false
end

for _, list in pairs(LISTS) do
  list.inside = net.list(list.networks or {})
end

-- Callbacks ----------------------------------------------------------------

local client = "" -- Address of the client; none for mail of this host, by a unix socket or a command.
local sender

function smtp.do_connect(ip)
  client = ip
end

function smtp.do_mail(address)
  sender = normalize(address)
end

function smtp.do_rcpt(recipient)
  local list = find_list(normalize(recipient))
  if not list then return end
  local known, inside = is_sender(list, sender), list.inside:has(client)
  local allowed
  if list.both then
    allowed = known and inside
  else
    allowed = known or inside
  end
  if allowed then return end
  syslog.info(string.format("<%s> may not send to <%s>", smtp.tran.sender, recipient))
  return smtp.code.reject, TEXT
end
