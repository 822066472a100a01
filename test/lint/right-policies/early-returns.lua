-- Every form of asking first.
function smtp.do_mail(sender, params)
  local tls, auth = smtp.sess.tls, smtp.sess.auth
  if tls ~= nil and tls.version == "TLSv1" then return 550, "5.7.0 TLS 1.2 at least" end
  if not (tls and auth) then return end
  if tls.bits and tls.bits < 128 then return 550, "5.7.0 a longer key, please" end
  local subject = tls.subject
  if subject == nil or subject == "" then return end
  if type(tls.issuer) == "string" and tls.issuer:find("Example CA", 1, true) then
    syslog.info(subject:lower() .. " is " .. auth.user)
  elseif tls.issuer then
    syslog.info("issued by " .. tls.issuer)
  end
  local body = params.BODY
  local is_8bit = body ~= nil and body:upper() == "8BITMIME"
  if is_8bit then syslog.debug("8 bits") end
  local size = params.SIZE and tonumber(params.SIZE) or 0
  if size > 50e6 then return 552, "5.3.4 too large" end
end

function smtp.do_headers(headers)
  local subject = header.get("Subject")
  if not subject then
    syslog.info("no subject")
    return
  end
  local prefix = subject:match("^%[(.-)%]")
  if prefix and prefix:lower() == "list" then return end

  local index, line = header.find("List-Id")
  if index then syslog.info(index .. ": " .. line) end

  local to = header.get("To") or header.get("Cc") or ""
  if #to > 10000 then return 550, "5.6.0 too many recipients in To" end

  while #headers > 500 do
    return 550, "5.6.0 too many headers"
  end

  if header.get("X-Loop") and header.get("X-Loop"):lower() == "example.com" then
    return 554, "5.4.6 it goes round"
  end

  local date = header.get("Date")
  assert(date == nil or #date < 1000, "a long date")
  local precedence = (header.get("Precedence") or "none"):lower()
  if precedence == "bulk" or precedence == "junk" then header.add("X-Bulk", precedence) end
end
