-- Keeps dangerous attachments out: programs, scripts, documents with macros, by name and content, in archives too.
--
-- Looks at all names that a mail program might show (`mime.parts`): in parts within parts, in attached messages, in
-- uuencode in the middle of a text, and in ZIP, tar, gzip, 7z and RAR archives and archives in the first three.

local settings = require "policy.settings"

---@class policy.attachments
---@field refused? string[] Ends of names, in the place of the list below
---@field also? string[] Further ends of names
---@field allowed? string[] Ends of names that are not refused after all
---@field action? "refuse"|"quarantine"|"replace" What is done about them; "replace" puts a notice in their place: refuse
---@field encrypted? "pass"|"refuse"|"quarantine" About archives that need a password, whatever is in them: pass
---@field unreadable? "refuse"|"quarantine"|"pass" About archives that cannot be looked into (xz, ISO, names with a password, broken ones): refuse
---@field broken? "refuse"|"quarantine"|"pass" About messages that were not examined to their end: refuse
---@field networks? string[] Clients whose mail is not looked at: none
---@field on_error? "continue"|"tempfail"|"reject" What a failure does, in the place of --on-error

-- Programs, scripts, shortcuts, disk images and documents with macros.
local REFUSED = [[
  ade adp appx appxbundle bat chm cmd com cpl diagcab dll docm dotm exe hta img inf ins iso isp jar jnlp js jse lib lnk
  mde msc msi msix msp mst nsh pif potm ppam ppsm pptm ps1 psm1 reg scf scr sct settingcontent-ms shb sldm sys url vb
  vbe vbs vhd vhdx vxd wsc wsf wsh xlam xll xlsm xltm
]]

-- What was not looked at to its end.
local LIMITS = {
  parts = "too many parts",
  depth = "too many parts inside of each other",
  size = "too large",
  ["long header"] = "a header is too long",
  ["archive: names"] = "too many names in an archive",
  ["archive: depth"] = "too many archives inside of each other",
  ["archive: size"] = "an archive is too large",
  ["archive: ratio"] = "an archive is too large",
}

-- Programs by their first bytes, whatever their name.
local PROGRAMS = { ["application/vnd.microsoft.portable-executable"] = "exe", ["application/x-elf"] = "elf" }

-- Ends of the names of single files that are packed.
local PACKERS = { gz = true, z = true, bz2 = true, xz = true, zst = true, lzma = true }

local ORDER = { pass = 0, replace = 1, quarantine = 2, refuse = 3 }

---@param config? policy.attachments
return function(config)
  local options = settings.read("policy.attachments", config, {
    refused = { "table" },
    also = { "table", {} },
    allowed = { "table", {} },
    action = { "string", "refuse" },
    encrypted = { "string", "pass" },
    unreadable = { "string", "refuse" },
    broken = { "string", "refuse" },
    networks = { "table", {} },
  })
  settings.choice("policy.attachments", "action", options.action, "refuse", "quarantine", "replace")
  for _, key in ipairs { "encrypted", "unreadable", "broken" } do
    settings.choice("policy.attachments", key, options[key], "refuse", "quarantine", "pass")
  end
  local trusted = settings.networks("policy.attachments", "networks", options.networks)

  local is_refused = {}
  local function set(list, value)
    for _, extension in ipairs(list) do is_refused[tostring(extension):lower():gsub("^%.", "")] = value end
  end
  if options.refused then
    set(options.refused, true)
  else
    for extension in REFUSED:gmatch "%S+" do is_refused[extension] = true end
  end
  set(options.also, true)
  set(options.allowed, nil)

  -- The end of a name if it is refused, or nil. Windows leaves out blanks and dots at the end of a name.
  local function extension_of(name)
    local trimmed = name:match "^.*[^%s%c.]" or ""
    local after_dot = trimmed:match "^.*%.(.*)$"
    local extension = after_dot and after_dot:lower():gsub("[^%w-]", "")
    return is_refused[extension] and extension
  end

  -- The same, of what is unpacked too: `a.exe` is in `a.exe.gz`.
  local function unpacked_end(name)
    local before, extension = name:match "^(.*)%.(%w+)[%s./]*$"
    return extension_of(name) or before and PACKERS[extension:lower()] and extension_of(before)
  end

  -- The same, where some programs take what is in parentheses for a comment.
  local function refused_end(name)
    return unpacked_end(name) or unpacked_end((name:gsub("%b()", ""):gsub("%(.*$", "")))
  end

  -- Parts that hold others, with headers of their own.
  local function encloses(part)
    return part.type:find "^multipart/" or part.type:find "^message/[rgn][fle][cow]"
  end

  -- What is done about a part, why, and its name; nil where nothing is.
  local function judge(part)
    for _, name in ipairs(part.names) do
      local extension = refused_end(name)
      if extension then return options.action, "attachments of type ." .. extension .. " are not accepted here", name end
    end
    local program = PROGRAMS[part:kind() or ""]
    if program and is_refused.exe then return options.action, "programs are not accepted here", part.name or "a program" end
    local files, err = part:files()
    if err then return options.unreadable, "an archive cannot be looked into", part.name or err end
    local encrypted
    for _, file in ipairs(files or {}) do
      local extension = unpacked_end(file.name)
      if extension then return options.action, "attachments of type ." .. extension .. " are not accepted here", file.name end
      encrypted = encrypted or file.encrypted
    end
    if encrypted then return options.encrypted, "archives with a password are not accepted here", part.name end
  end

  -- Why the message was not examined to its end, or nil.
  local function not_examined()
    local holds_others = false
    for _, part in ipairs(mime.parts) do
      if part.type == "message/partial" then return "a piece of a divided message" end
      if encloses(part) then
        -- RFC 2045, 6.4 forbids this: what is inside would be seen by some programs alone.
        if part.encoding ~= "identity" then return "a part that encloses others is encoded" end
        holds_others = true
      end
    end
    for _, defect in ipairs(mime.defects) do
      if LIMITS[defect] then return LIMITS[defect] end
      local is_of_encoding = defect == "unknown encoding" or defect == "two Content-Transfer-Encoding"
      if holds_others and is_of_encoding then return "a part is encoded in a way that is not known" end
    end
  end

  local function notice_for(name, why)
    return string.format("The attachment %s was removed: %s.\r\n", text.utf8(name or "of this message", "utf-8"), why)
  end

  local function dot()
    if trusted:has(smtp.sess.ip) then return end
    local worst, reason = "pass", nil
    local function note(action, why, name)
      syslog.info(string.format("policy.attachments: %s: %s (%s)", action, name or "?", why))
      if ORDER[action] > ORDER[worst] then worst, reason = action, why end
    end
    local to_replace = {}
    for _, part in ipairs(mime.parts) do
      local action, why, name = judge(part)
      if action == "replace" then to_replace[#to_replace + 1] = { part, why, name } end
      if action then note(action, why, name) end
    end
    -- The defects are known when all archives were looked into.
    for _, defect in ipairs(mime.defects) do
      if defect == "archive: not read" then note(options.unreadable, "an archive in an archive cannot be looked into") end
    end
    local problem = not_examined()
    if problem then note(options.broken, "the message cannot be examined: " .. problem) end
    for _, defect in ipairs(mime.defects) do
      if defect == "archive: not read" then note(options.unreadable, "an archive in an archive cannot be looked into") end
    end
    if worst == "refuse" then return 550, "5.7.1 " .. reason end
    for _, found in ipairs(to_replace) do
      local part, why, name = table.unpack(found)
      local notice = { type = "text/plain", data = notice_for(name, why), name = "removed.txt" }
      -- In a part that is signed or encrypted nothing can be replaced.
      if not must(part:replace(notice)) then return 550, "5.7.1 " .. why end
    end
    if worst == "quarantine" then must(smtp.quarantine(reason)) end
  end

  return { name = "policy.attachments", dot = dot, on_error = options.on_error }
end
