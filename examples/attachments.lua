-- Refuses messages with attachments of dangerous types, by the ends of their names.
--
--     smtpf-milter --script examples/attachments.lua --on-error tempfail
--
-- (--on-error tempfail: a message that could not be examined to its end shall not pass for a clean one.)
--
-- Looks at the name in each part of the message, in parts within parts and in attached messages too, written in any of
-- the ways that mail programs read:
--
--     Content-Disposition: attachment; filename="invoice.exe"
--     Content-Type: application/octet-stream; name==?utf-8?Q?invoice=2Eexe?=           RFC 2047
--     Content-Disposition: attachment; filename*=utf-8''invoice%2Eexe                  RFC 2231
--     Content-Disposition: attachment; filename*0="invoi"; filename*1="ce.exe"         RFC 2231
--
-- Where mail programs read a malformed message differently, the reading that finds more names is taken. Not found are
-- names inside of archives, and in text (uuencode): use a virus scanner for these.
--
-- Headers are read line by line; bodies, where the bytes are, are only searched for the next boundary.

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

-- Limits that no honest message comes near. One that goes beyond is refused, as it may be made to take more time than
-- the server gives a script.
local MAX_PARTS = 500
local MAX_DEPTH = 20 -- Multiparts inside of each other.
local MAX_HEADER_LINES = 10000 -- Of all parts together.
local MAX_FIELD = 8192 -- Bytes of a Content-Type or Content-Disposition.
local MAX_LINE = 65536 -- Bytes of a line in a header.

-- Reading the message file -------------------------------------------------

syslog.openlog("attachments", syslog.LOG_PID, syslog.LOG_MAIL)

local BLOCK = 65536

-- `buffer` holds a stretch of the file, `at` is the position in it where the next line begins; a line end always stands
-- before that. `problem` says why the reading stopped before the end: of the message, or of the disk if `broken`.
local Reader = {}
Reader.__index = Reader

local function open_reader(path)
  local file, reason = io.open(path, "rb")
  if not file then return nil, reason end
  return setmetatable({ file = file, buffer = "\n", at = 2, header_lines = 0 }, Reader)
end

-- Reads on, and forgets what is before position `keep`; false when there is no more.
function Reader:fill(keep)
  local block, reason = self.file:read(BLOCK)
  if not block then
    if reason then
      self.problem, self.broken = reason, true
    end
    return false
  end
  self.buffer = self.buffer:sub(keep) .. block
  self.at = self.at - keep + 1
  return true
end

-- The next line without its line end; nil when there is none, or a problem.
function Reader:line()
  local line_end = self.buffer:find("\n", self.at, true)
  while not line_end do
    local length = #self.buffer - self.at + 1
    if length > MAX_LINE then
      self.problem = "a line of a header is too long"
      return nil
    end
    if not self:fill(self.at - 1) then
      if length == 0 or self.problem then return nil end
      line_end = #self.buffer + 1 -- The last line has no end.
    else
      line_end = self.buffer:find("\n", self.at + length, true)
    end
  end
  local last = line_end - 1
  if self.buffer:byte(last) == 13 and last >= self.at then last = last - 1 end
  local line = self.buffer:sub(self.at, last)
  self.at = math.min(line_end, #self.buffer) + 1
  return line
end

-- Boundaries ---------------------------------------------------------------

-- `boundaries` are those of all multiparts that the reader is in, outermost first, each with its "--" in front.

-- If the line is one of the boundaries: its number, and whether it closes the multipart.
local function match_boundary(line, boundaries)
  if line:sub(1, 2) ~= "--" then return nil end
  for level, boundary in ipairs(boundaries) do
    -- Whatever else follows a boundary in its line is ignored.
    if line:sub(1, #boundary) == boundary then return level, line:find("^%-%-%s*$", #boundary + 1) ~= nil end
  end
end

-- Goes on to the next boundary line; results as above.
local function skip_body(reader, boundaries)
  if #boundaries == 0 then return nil end
  local longest = 0
  for _, boundary in ipairs(boundaries) do
    longest = math.max(longest, #boundary)
  end
  while true do
    local first = reader.buffer:find("\n--", reader.at - 1, true)
    if first then
      local nearest
      for _, boundary in ipairs(boundaries) do
        local found = reader.buffer:find("\n" .. boundary, first, true)
        if found and (not nearest or found < nearest) then nearest = found end
      end
      first = nearest
    end
    if first then
      reader.at = first + 1
      local line = reader:line()
      if not line then return nil end
      return match_boundary(line, boundaries)
    end
    -- A boundary may have begun in the last bytes.
    local keep = math.max(reader.at - 1, #reader.buffer - longest)
    reader.at = keep + 1
    if not reader:fill(keep) then return nil end
  end
end

-- A boundary of a multipart ends those inside of it. Its own stays even when it is closed: some programs read on.
local function leave_inner(boundaries, level)
  for i = #boundaries, level + 1, -1 do
    boundaries[i] = nil
  end
end

-- Headers of a part --------------------------------------------------------

local WANTED = { ["content-type"] = true, ["content-disposition"] = true }

-- Reads the headers of a part to the empty line behind them. Returns the wanted ones, unfolded, as { name, value }; and
-- if a boundary came before the empty line, what match_boundary says of it.
local function read_headers(reader, boundaries)
  local fields = {}
  local pieces, size
  local level, closes
  for line in reader.line, reader do
    reader.header_lines = reader.header_lines + 1
    if reader.header_lines > MAX_HEADER_LINES then
      reader.problem = "too many headers"
      break
    end
    if line == "" then break end
    level, closes = match_boundary(line, boundaries)
    if level then break end
    if line:find("^[ \t]") then
      if pieces then
        pieces[#pieces + 1] = line
        size = size + #line
      end
    else
      local name, value = line:match("^([%w-]+)[ \t]*:(.*)$")
      name = name and name:lower()
      pieces = nil
      if WANTED[name] then
        pieces, size = { value }, #value
        fields[#fields + 1] = { name, pieces }
      end
    end
    if pieces and size > MAX_FIELD then
      reader.problem = "a header is too long"
      return {}
    end
  end
  for _, field in ipairs(fields) do
    field[2] = table.concat(field[2])
  end
  return fields, level, closes
end

-- Parameters of a header ---------------------------------------------------

-- Patterns here never begin with a repetition that is not bound to a place: on text made for it, each position would be
-- tried to the end.

-- Text in quotes that begins at `at`, and the position behind it. A missing quote at the end is forgiven.
local function read_quoted(value, at)
  local pieces = {}
  while true do
    local stop = value:find('["\\]', at)
    pieces[#pieces + 1] = value:sub(at, (stop or 0) - 1)
    if not stop then return table.concat(pieces), #value + 1 end
    if value:sub(stop, stop) == '"' then return table.concat(pieces), stop + 1 end
    pieces[#pieces + 1] = value:sub(stop + 1, stop + 1)
    at = stop + 2
  end
end

-- Divides a header at its semicolons, without quotes and (comments).
local function split(value)
  local list, pieces = {}, {}
  local at = 1
  local may_close = true
  while true do
    local stop = value:find('[";(]', at)
    pieces[#pieces + 1] = value:sub(at, (stop or 0) - 1)
    local char = stop and value:sub(stop, stop)
    if char == '"' then
      pieces[#pieces + 1], at = read_quoted(value, stop + 1)
    elseif char == "(" then
      local close = may_close and value:find(")", stop, true)
      if not close then
        pieces[#pieces + 1] = "("
        may_close = false
      end
      at = (close or stop) + 1
    else
      list[#list + 1] = table.concat(pieces)
      if not stop then return list end
      pieces = {}
      at = stop + 1
    end
  end
end

-- Of "charset'language'text" all remains: what stands in front of a name does not change its end.
local function percent_decode(text)
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- All parameters of a header as { name, value }, those in pieces and with percents put together and decoded.
local function parameters(header)
  local found = {}
  local divided = {} -- Of parameters in pieces: name -> number of piece -> text.
  for _, piece in ipairs(split(header)) do
    local equals = piece:find("=", 1, true)
    local before = equals and piece:sub(1, equals - 1):match("^.*%S")
    if before then
      local name = (before:match("^.*%s(.*)$") or before):lower()
      local value = piece:sub(equals + 1):match("^%s*(.*)$")
      local base, number, star = name:match("^([^*]+)%*(%d%d?%d?)(%*?)$")
      if base then
        number = assert(tonumber(number))
        divided[base] = divided[base] or {}
        divided[base][number] = star == "*" and percent_decode(value) or value
      elseif name:sub(-1) == "*" then
        found[#found + 1] = { name:sub(1, -2), percent_decode(value) }
      else
        found[#found + 1] = { name, value }
      end
    end
  end
  for base, pieces in pairs(divided) do
    local numbers, texts = {}, {}
    for number in pairs(pieces) do
      numbers[#numbers + 1] = number
    end
    table.sort(numbers)
    for i, number in ipairs(numbers) do
      texts[i] = pieces[number]
    end
    found[#found + 1] = { base, table.concat(texts) }
  end
  return found
end

-- Names --------------------------------------------------------------------

local BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function decode_base64(text)
  local bytes = {}
  local bits, count = 0, 0
  for char in text:gmatch("[%w+/]") do
    bits = bits << 6 & 0xffff | BASE64:find(char, 1, true) - 1
    count = count + 6
    if count >= 8 then
      count = count - 8
      bytes[#bytes + 1] = string.char(bits >> count & 0xff)
    end
  end
  return table.concat(bytes)
end

local function decode_q(text)
  return (text:gsub("_", " "):gsub("=(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- Decodes the encoded words of RFC 2047. Blanks between them, which do not count, remain: see extension_of().
local function decode_words(text)
  if not text:find("=?", 1, true) then return text end
  return (text:gsub("=%?[^?]*%?([BbQq])%?([^?]*)%?=", function(encoding, encoded)
    return encoding:upper() == "B" and decode_base64(encoded) or decode_q(encoded)
  end))
end

-- The end of a name if it is refused, or nil. Names are bytes: letters and dots are the same in all charsets of mail,
-- but for the zero bytes in UTF-16, which are left out as are blanks. Windows leaves out dots at the end of a name.
local function extension_of(name)
  local trimmed = decode_words(name):match("^.*[^%s%c.]") or ""
  local after_dot = trimmed:match("^.*%.(.*)$")
  local extension = after_dot and after_dot:lower():gsub("[^%w-]", "")
  return REFUSED[extension] and extension
end

-- The message --------------------------------------------------------------

-- Looks at what the headers of a part say. Returns the first refused extension and its name, if there is one; adds to
-- `boundaries`; the third result says whether a message with headers of its own follows.
local function examine_part(fields, boundaries)
  local encloses = false
  for _, field in ipairs(fields) do
    local header, value = field[1], field[2]
    for _, parameter in ipairs(parameters(value)) do
      local name, text = parameter[1], parameter[2]
      if name == "name" or name == "filename" then
        local extension = extension_of(text)
        if extension then return extension, text end
      elseif name == "boundary" and header == "content-type" then
        local boundary = text:match("^.*%S")
        if boundary then boundaries[#boundaries + 1] = "--" .. boundary end
      end
    end
    local kind = header == "content-type" and value:lower():match("^%s*message/(%w*)")
    if kind == "rfc822" or kind == "global" then encloses = true end
  end
  return nil, nil, encloses
end

-- The first refused extension in the message and the name it was found in, or nil; reader.problem says if the message
-- was not read to its end.
local function find_refused(reader)
  local boundaries = {}
  for _ = 1, MAX_PARTS do
    local fields, level, closes = read_headers(reader, boundaries)
    local extension, name, encloses = examine_part(fields, boundaries)
    if extension or reader.problem then return extension, name end
    if #boundaries > MAX_DEPTH then
      reader.problem = "too many multiparts inside of each other"
      return nil
    end
    if not level and not encloses then
      level, closes = skip_body(reader, boundaries)
      if not level then return nil end
    end
    while level do
      leave_inner(boundaries, level)
      if not closes then break end
      level, closes = skip_body(reader, boundaries)
      if not level then return nil end
    end
  end
  reader.problem = "too many parts"
end

-- Callback -----------------------------------------------------------------

function smtp.do_dot(path)
  local reader, reason = open_reader(path)
  if not reader then
    syslog.error(reason)
    return smtp.code.again, "4.3.0 the message cannot be examined now, try again later"
  end
  local extension, name = find_refused(reader)
  reader.file:close()
  if extension then
    syslog.info(string.format("refused for an attachment: %s", name))
    return smtp.code.reject, string.format("5.7.1 attachments of type .%s are not accepted here", extension)
  end
  if reader.broken then
    syslog.error(reader.problem)
    return smtp.code.again, "4.3.0 the message cannot be examined now, try again later"
  end
  if reader.problem then
    syslog.info("refused: " .. reader.problem)
    return smtp.code.reject, "5.6.0 the message cannot be examined: " .. reader.problem
  end
end
