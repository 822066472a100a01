-- Rules as functions.
local function any(...)
  local rules = { ... }
  return function(value)
    for _, rule in ipairs(rules) do
      if rule(value) then return true end
    end
    return false
  end
end

local function suffix(text)
  return function(value) return value:sub(-#text) == text end
end

local function equals(text)
  return function(value) return value == text end
end

local is_ours = any(suffix("@example.com"), suffix(".example.com"), equals("postmaster"))

function smtp.do_rcpt(recipient)
  local address = recipient:lower()
  local subject
  local function log(verdict)
    subject = subject or string.format("%s for %s", smtp.tran.id, address)
    syslog.info(subject .. ": " .. verdict)
  end
  if is_ours(address) then
    log("ours")
  else
    log("relayed")
  end
end
