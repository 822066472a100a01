-- What one callback has asked for, later ones need not ask again; functions may ask too.
local function is_authenticated() return smtp.sess.auth ~= nil end

local function require_subject()
  if not header.get("Subject") then error("no subject") end
end

local function login()
  if not is_authenticated() then return nil, "530 first" end
  return smtp.sess.auth.user
end

function smtp.do_mail(sender)
  if not smtp.sess.auth then return 530, "5.7.0 authentication required" end
  if is_authenticated() and smtp.sess.auth.mech then syslog.info(smtp.sess.auth.mech) end
  local who, why = login()
  if not who then return 530, "5.7.0 " .. why end
end

function smtp.do_rcpt(rcpt)
  if smtp.sess.auth.user:lower() == rcpt:lower() then return 550, "5.7.1 not to yourself" end
end

function smtp.do_headers()
  if not header.get("From") then return 550, "5.6.0 no From" end
  if header.get("Subject") == nil then
    syslog.info("no subject from " .. smtp.sess.auth.user)
    return
  end
  local ok = pcall(require_subject)
  if ok then header.add("X-Length", tostring(#header.get("Subject"))) end
end

function smtp.do_dot()
  local from = header.get("From"):lower()
  if not from:find("@", 1, true) then return 550, "5.6.0 an odd From" end
  header.add("X-Author", smtp.sess.auth.user .. " as " .. from)
end
