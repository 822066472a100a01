-- Refuses messages with attachments of dangerous types, by the ends of their names, in archives too.
--
--     smtpf-milter --script examples/attachments.lua --on-error tempfail
--
-- (--on-error tempfail: a message that could not be examined to its end shall not pass for a clean one.)
--
-- Looks at the names of all parts that a mail program might show (`mime.parts`): in parts within parts, in attached
-- messages, of files in uuencode in the middle of a text, written in any of the ways that mail programs read:
--
--     Content-Disposition: attachment; filename="invoice.exe"
--     Content-Type: application/octet-stream; name==?utf-8?Q?invoice=2Eexe?=           RFC 2047
--     Content-Disposition: attachment; filename*=utf-8''invoice%2Eexe                  RFC 2231
--     Content-Disposition: attachment; filename*0="invoi"; filename*1="ce.exe"         RFC 2231
--
-- and at the names in ZIP, tar, gzip, 7z and RAR archives, and in archives in the first three. Refused are also programs
-- for Windows whatever their name, what encloses names and is encoded, which MIME forbids (RFC 2045, 6.4), pieces of
-- divided messages (message/partial), and messages of which a part was beyond a limit. Not found are names in archives of
-- other kinds (xz, ISO), names that need a password to be seen, and those in the winmail.dat of Outlook: use a virus
-- scanner for these.

-- Configuration ------------------------------------------------------------

-- Programs, scripts, shortcuts, disk images and documents with macros, in lower case.
local REFUSED = {}
for extension in ([[
  ade adp appx appxbundle bat chm cmd com cpl diagcab dll docm dotm exe hta img inf ins iso isp jar jnlp js jse lib lnk
  mde msc msi msix msp mst nsh pif potm ppam ppsm pptm ps1 psm1 reg scf scr sct settingcontent-ms shb sldm sys url vb
  vbe vbs vhd vhdx vxd wsc wsf wsh xlam xll xlsm xltm
]]):gmatch("%S+") do
  REFUSED[extension] = true
end

-- What was not looked at, or hides what is in a part.
local PROBLEMS = {
  parts = "too many parts",
  depth = "too many parts inside of each other",
  size = "too large",
  ["long header"] = "a header is too long",
  ["archive: names"] = "too many names in an archive",
  ["archive: depth"] = "too many archives inside of each other",
  ["archive: size"] = "an archive is too large",
  ["archive: ratio"] = "an archive is too large",
}

-- Names --------------------------------------------------------------------

syslog.openlog("attachments", syslog.LOG_PID, syslog.LOG_MAIL)

-- The end of a name if it is refused, or nil. Windows leaves out blanks and dots at the end of a name.
local function extension_of(name)
  local trimmed = name:match("^.*[^%s%c.]") or ""
  local after_dot = trimmed:match("^.*%.(.*)$")
  local extension = after_dot and after_dot:lower():gsub("[^%w-]", "")
  return REFUSED[extension] and extension
end

-- The same, where some programs take what is in parentheses for a comment.
local function refused_end(name)
  return extension_of(name) or extension_of((name:gsub("%b()", ""):gsub("%(.*$", "")))
end

-- Parts that hold others, with headers of their own.
local function encloses(part)
  return part.type:find "^multipart/" or part.type:find "^message/[rgn][fle][cow]"
end

-- The first refused extension in a part, and the name it was found in.
local function find_refused(part)
  for _, name in ipairs(part.names) do
    local extension = refused_end(name)
    if extension then return extension, name end
  end
  if part:kind() == "application/vnd.microsoft.portable-executable" then return "exe", part.name or "a program" end
  for _, file in ipairs(part:files() or {}) do
    local extension = extension_of(file.name)
    if extension then return extension, file.name end
  end
end

-- Callback -----------------------------------------------------------------

local function refuse(problem)
  syslog.info("refused: " .. problem)
  return smtp.code.reject, "5.6.0 the message cannot be examined: " .. problem
end

function smtp.do_dot()
  local is_read, parts = pcall(function()
    return mime.parts
  end)
  if not is_read then
    syslog.error(parts)
    return smtp.code.again, "4.3.0 the message cannot be examined now, try again later"
  end
  local holds_others = false
  for _, part in ipairs(parts) do
    local extension, name = find_refused(part)
    if extension then
      syslog.info(string.format("refused for an attachment: %s", name))
      return smtp.code.reject, string.format("5.7.1 attachments of type .%s are not accepted here", extension)
    end
    if part.type == "message/partial" then return refuse "a piece of a divided message" end
    if encloses(part) then
      if part.encoding ~= "identity" then return refuse "a part that encloses others is encoded" end
      holds_others = true
    end
  end
  for _, defect in ipairs(mime.defects) do
    if PROBLEMS[defect] then return refuse(PROBLEMS[defect]) end
    local is_of_encoding = defect == "unknown encoding" or defect == "two Content-Transfer-Encoding"
    if holds_others and is_of_encoding then return refuse "a part is encoded in a way that is not known" end
  end
end
