-- What the MTA tells by macros.
local function macro(name, default)
  local value = smtp.macro(name)
  if value == nil or value == "" then return default end
  return value
end

function smtp.do_connect()
  local connections = tonumber(smtp.macro("{client_connections}") or "")
  if connections and connections > 20 then return 421, "4.7.0 too many connections" end
  local port = tonumber(macro("{client_port}", "0"))
  if port and port < 1024 then syslog.info("a low port: " .. port) end
end

function smtp.do_rcpt()
  local mailer = smtp.macro "{rcpt_mailer}"
  local host = macro("{rcpt_host}", "unknown")
  if mailer and mailer:lower() == "error" then return 550, "5.1.1 " .. host end
  local by = macro("j", "localhost") .. "/" .. host
  syslog.debug(by)
end
