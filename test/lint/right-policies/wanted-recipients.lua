-- Recipients from a file, read once in a session, with plus addresses.
local PATH = os.getenv("RECIPIENTS") or "/nonexistent/recipients"
local wanted

local function read_wanted()
  local set = {}
  local ok, err = pcall(function()
    for line in io.lines(PATH) do
      local address = line:match("^%s*([^%s#]+)")
      if address then set[address:lower()] = true end
    end
  end)
  if not ok then
    syslog.error(err)
    return nil
  end
  return set
end

function smtp.do_rcpt(rcpt)
  wanted = wanted or read_wanted()
  if not wanted then return end
  local user, domain = rcpt:lower():match("^([^@+]*)[^@]*@(.*)$")
  if not user then return 553, "5.1.3 no domain" end
  if wanted[user .. "@" .. domain] or wanted["@" .. domain] then return end
  return 550, "5.1.1 nobody here is called " .. user
end
