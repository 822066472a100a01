-- Recipients and errors of one session.
local MAX_ERRORS, MAX_RCPTS = 5, 50
local errors = 0
local rcpts = 0
local per_domain = {}
local seen = {}

function smtp.do_mail()
  rcpts, per_domain = 0, {}
end

function smtp.do_rcpt(rcpt)
  rcpts = rcpts + 1
  if rcpts > MAX_RCPTS then return 452, "4.5.3 too many recipients" end
  local domain = (rcpt:match("@(.*)$") or "example.com"):lower()
  per_domain[domain] = (per_domain[domain] or 0) + 1
  if per_domain[domain] > 10 then return 452, "4.5.3 too many in " .. domain end
  if not seen[domain] then
    seen[domain] = true
    syslog.info("first mail to " .. domain)
  end
  if domain == "invalid" then
    errors = errors + 1
    if errors > MAX_ERRORS then return 421, "4.7.0 too many errors in this session" end
    return 550, "5.1.2 no such domain"
  end
end
