-- The policy that libmilter-filter.c states in C: both refuse by client, HELO, sender, recipient and subject, and count
-- the bytes of the body.
local networks = { "10.66.", "172.31.255.", "198.51.100.", "203.0.113.", "2001:db8:bad:" }
local senders = {}
for i = 1, 20 do senders["spam" .. i .. ".example"] = true end
local size, total = 0, 0

function smtp.do_connect(ip)
  for _, network in ipairs(networks) do
    if ip:sub(1, #network) == network then return smtp.code.reject, "5.7.1 client refused" end
  end
end

function smtp.do_helo(name)
  if name == "bad.example" then return smtp.code.reject, "5.7.1 name refused" end
end

function smtp.do_mail(sender)
  size = 0
  local domain = sender:match("@([^@]*)$")
  if domain and senders[domain:lower()] then return smtp.code.reject, "5.7.1 sender refused" end
end

function smtp.do_rcpt(recipient)
  if recipient:find("^nouser") then return smtp.code.reject, "5.7.1 no such user" end
end

function smtp.do_headers(lines)
  for _, line in ipairs(lines) do
    if line:find("^[Ss][Uu][Bb][Jj][Ee][Cc][Tt]:%s*[Ss][Pp][Aa][Mm]%-%d") then
      return smtp.code.reject, "5.7.1 subject refused"
    end
  end
end

function smtp.do_chunk(_, n) size = size + n end

function smtp.do_dot(path) -- Takes the path, so the message is spooled.
  if path then total = total + size end
end
