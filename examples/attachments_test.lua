-- Tests of attachments.lua:    smtpf-milter test examples/attachments_test.lua

local function send(message)
  local s = test.session { helo = "mx.example.net" }
  s:mail "someone@example.org"
  s:rcpt "someone@example.com"
  return s:message(message), s
end

-- The body of a multipart with this boundary: each part is a table of its lines.
local function multipart(boundary, ...)
  local lines = {}
  for _, part in ipairs { ... } do
    lines[#lines + 1] = "--" .. boundary
    table.move(part, 1, #part, #lines + 1, lines)
  end
  lines[#lines + 1] = "--" .. boundary .. "--"
  return table.concat(lines, "\r\n") .. "\r\n"
end

local MIXED = { "Subject: hi", 'Content-Type: multipart/mixed; boundary="=_b"' }

local function mixed(...)
  return { headers = MIXED, body = multipart("=_b", ...) }
end

-- A message with a text and an attachment with these headers.
local function attachment(...)
  local part = { ... }
  part[#part + 1] = ""
  part[#part + 1] = "TVqQAAMAAAAEAAAA"
  return mixed({ "Content-Type: text/plain", "", "hello" }, part)
end

local function refuses(message, extension, what)
  local text = "^5%.7%.1 attachments of type %." .. extension .. " are not accepted here$"
  test.reply(send(message), 550, text, what)
end

local function takes(message, what)
  test.accepted(send(message), what)
end

local DISPOSITION = "Content-Disposition: attachment; "
local TYPE = "Content-Type: application/octet-stream; "

test.case("every type of the list is refused", function()
  local s = test.session { helo = "mx.example.net" }
  for extension in ([[
    ade adp appx appxbundle bat chm cmd com cpl diagcab dll docm dotm exe hta img inf ins iso isp jar jnlp js jse lib lnk
    mde msc msi msix msp mst nsh pif potm ppam ppsm pptm ps1 psm1 reg scf scr sct settingcontent-ms shb sldm sys url vb
    vbe vbs vhd vhdx vxd wsc wsf wsh xlam xll xlsm xltm
  ]]):gmatch("%S+") do
    s:mail "someone@example.org"
    s:rcpt "someone@example.com"
    local answer = s:message { headers = { TYPE .. "name=a." .. extension } }
    test.reply(answer, 550, "attachments of type ." .. extension .. " are not accepted here")
  end
end)

test.case("a name is found in all spellings", function()
  for _, row in ipairs {
    { "exe", DISPOSITION .. 'filename="invoice.exe"' },
    { "scr", TYPE .. "name=invoice.scr" },
    { "exe", 'content-DISPOSITION:attachment;FileName="INVOICE.ExE"' },
    { "js", 'Content-Disposition : attachment; filename = "invoice.js"' },
    { "vbs", "Content-Disposition: attachment;", "\tsize=1;", ' filename="invoice.vbs"' },
    { "lnk", 'Content-Disposition: attachment; filename="invoice', ' .lnk"' },
    { "com", "Content-Disposition:", ' attachment; filename="invoice.', '\tpdf.com"' },
    { "exe", DISPOSITION .. 'filename="a;b=c.exe"; size=7' },
    { "exe", DISPOSITION .. 'filename="a\\"b\\\\c.exe"' },
    { "exe", DISPOSITION .. 'filename="C:\\dir\\a.exe"' },
    { "exe", DISPOSITION .. 'filename="a.\\e\\x\\e"' },
    { "exe", DISPOSITION .. 'filename="not closed.exe' },
    { "exe", DISPOSITION .. 'filename=a.exe(comment; "text)' },
    { "exe", DISPOSITION .. "filename=(comment)a.exe" },
    { "exe", DISPOSITION .. "filename=(one)a(two).exe(three)" },
    { "exe", DISPOSITION .. "filename=(a.exe" },
    { "exe", DISPOSITION .. "filename=two words.exe" },
    { "exe", DISPOSITION .. "filename='a.exe'" },
    { "exe", "Content-Disposition: attachment filename=a.exe" },
    { "exe", "Content-Disposition: filename=a.exe" },
    { "exe", "Content-Disposition:filename=a.exe" },
    { "exe", DISPOSITION .. 'filename="a.pdf"; filename="a.exe"' },
    { "exe", DISPOSITION .. 'filename="a.exe. . "' },
    { "exe", DISPOSITION .. 'filename="a.ex e"' },
    { "hta", DISPOSITION .. 'filename="caf\xe9\xff.hta"' },
    { "exe", 'Content-Disposition: attachment; filename="a.pdf"', 'Content-Type: x/y; name="a.exe"' },
    { "bat", "Content-Type: text/x", "Content-Type: text/y; name=a.bat" },
    { "bat", "no header", "Content-Type: text/y; name=a.bat" },
  } do
    refuses(attachment(table.unpack(row, 2)), row[1], table.concat(row, "\n", 2))
  end
end)

test.case("names in pieces and with percents are put together (RFC 2231)", function()
  local pieces = {}
  for i, char in ipairs { "n", "a", "m", "e", " ", "o", "f", " ", "a", ".", "e", "x", "e" } do
    pieces[i] = string.format('filename*%d="%s"', i - 1, char)
  end
  for _, row in ipairs {
    { "exe", DISPOSITION .. "filename*=utf-8''invoice%2Eexe" },
    { "exe", DISPOSITION .. "filename*=UTF-8'en'%e2%82%ac%20rates.%45XE" },
    { "exe", DISPOSITION .. "filename*=utf-16be''%00a%00.%00e%00x%00e" },
    { "exe", DISPOSITION .. "filename*=invoice.exe" },
    { "exe", DISPOSITION .. 'filename*0="invoi"; filename*1="ce.e"; filename*2=xe' },
    { "exe", DISPOSITION .. "filename*2=xe; filename*0*=utf-8''invoi%63; filename*1=\"e.e\"" },
    { "exe", DISPOSITION, " filename*0*=iso-8859-1''%E9t%E9;", " filename*1*=.%65;", " filename*2*=xe" },
    { "exe", TYPE .. 'name*0="a.";', '\tname*1="exe"' },
    { "exe", DISPOSITION .. table.concat(pieces, "; ") },
    { "exe", DISPOSITION .. 'filename*0="a.e"; filename*999="xe"' },
  } do
    refuses(attachment(table.unpack(row, 2)), row[1], table.concat(row, "\n", 2))
  end
  -- Only pieces with a star have percents that mean something.
  takes(attachment(DISPOSITION .. 'filename*0="a."; filename*1="%65xe"'))
  takes(attachment(DISPOSITION .. "filename=a%2eexe"))
  -- A number has three digits at most.
  takes(attachment(DISPOSITION .. 'filename*0="a."; filename*1000="exe"'))
end)

test.case("encoded words are read (RFC 2047)", function()
  for _, row in ipairs {
    { "exe", DISPOSITION .. 'filename="=?utf-8?Q?invoice=2Eexe?="' },
    { "exe", DISPOSITION .. 'filename="=?UTF-8?b?aW52b2ljZS5leGU=?="' },
    { "exe", DISPOSITION .. 'filename="=?UTF-8?B?aW52b2ljZSAxMi5leGU=?="' },
    { "vbs", DISPOSITION .. 'filename="=?UTF-8?B?/z9+Pj4udmJz?="' },
    { "exe", TYPE .. "name==?iso-8859-1?q?=E9t=E9_2024.=65xe?=" },
    { "exe", DISPOSITION .. 'filename="=?utf-8?B?aW52b2ljZS5l?=', ' =?utf-8?B?eGU=?="' },
    { "exe", DISPOSITION .. 'filename="=?utf-8?Q?invoice?= .exe"' },
    { "exe", DISPOSITION .. 'filename="=?utf-8?Q?invoice?=.exe"' },
    { "exe", DISPOSITION .. 'filename="=?utf-16be?B?AGEALgBlAHgAZQ==?="' },
    { "exe", DISPOSITION .. 'filename*0="=?utf-8?Q?invoice=2E"; filename*1="exe?="' },
    { "exe", DISPOSITION .. 'filename="=?utf-8?X?a.exe?="' },
  } do
    refuses(attachment(table.unpack(row, 2)), row[1], table.concat(row, "\n", 2))
  end
  local name = "a.=?utf-8?Q?exe_?= b"
  takes(attachment(DISPOSITION .. 'filename="' .. name .. '"'), name)
end)

test.case("harmless names, and names that are none, are let in", function()
  for _, headers in ipairs {
    { DISPOSITION .. 'filename="invoice.pdf"' },
    { DISPOSITION .. 'filename="exe"' },
    { DISPOSITION .. 'filename="a.exe.txt"' },
    { DISPOSITION .. 'filename="a.exe/b"' },
    { DISPOSITION .. 'filename="a.exes"' },
    { DISPOSITION .. 'filename="a.xexe"' },
    { DISPOSITION .. 'filename=""' },
    { DISPOSITION .. "filename=" },
    { DISPOSITION .. 'filename="..."' },
    { DISPOSITION .. "=; ;;=a.exe; filename" },
    { DISPOSITION .. 'x-name="a.exe"; comment="filename=a.exe"' },
    { "Content-Description: a.exe", 'Content-ID: <name="a.exe">' },
    { "X-Content-Type: x/y; name=a.exe" },
    { DISPOSITION .. 'filename="=?utf-8?Q??="' },
    { 'X-Header: x; filename="a.exe"', '\tfilename="a.exe"' },
    { "Content-Type: text/plain", "X-Header: x;", ' name="a.exe"' },
    { "Content-Type: text/plain", "", 'Content-Disposition: attachment; filename="a.exe"' },
    { DISPOSITION .. 'filename="a.pdf(.exe"' },
    { 'Content-Disposition: attachment; (filename=a.exe)' },
  } do
    if headers[1]:find("pdf(.exe", 1, true) then
      refuses(attachment(table.unpack(headers)), "exe")
    else
      takes(attachment(table.unpack(headers)), table.concat(headers, "\n"))
    end
  end
end)

test.case("a message that is not divided has a name too", function()
  refuses({ headers = { 'Content-Type: application/x; name="a.exe"' }, body = "x" }, "exe")
  refuses({ headers = { "Content-Type:", "\tapplication/x;", " name=a.exe" }, body = "" }, "exe")
  takes { headers = { 'Subject: filename="a.exe"' }, body = 'name="a.exe"\r\n' }
  takes { body = "x" }
  takes { headers = { "Subject: x" } }
end)

test.case("parts within parts, attached messages, and text around them", function()
  local EXE = "Content-Disposition: attachment; filename=a.exe"
  local function inner(boundary, ...)
    return { "Content-Type: multipart/alternative; boundary=" .. boundary, "", ... }
  end
  for what, body in pairs {
    ["nested"] = multipart("=_b", inner("in", "--in", "", "x", "--in", EXE, "", "x", "--in--")),
    ["behind a nested one"] = multipart("=_b", inner("in", "--in", "", "x", "--in--"), { EXE, "", "x" }),
    ["behind a nested one not closed"] = multipart("=_b", inner("in", "--in", "", "x"), { EXE, "", "x" }),
    ["with a boundary that is longer"] = multipart(
      "=_b",
      inner("=_b2", "--=_b2", EXE, "", "", "--=_b2--"),
      { "", "x" }
    ),
    ["with a boundary that is shorter"] = multipart("=_b", inner("=", "--=", EXE, "", "", "--=--"), { "", "x" }),
    ["behind one closed, in one not"] = multipart("=_b", inner("=", "--=", "", "--=--", "--=_b", EXE, "")),
    ["blanks behind the boundary"] = "--=_b\r\n\r\nx\r\n--=_b \t\r\n" .. EXE .. "\r\n\r\n",
    ["headers cut short by a boundary"] = multipart("=_b", { "Content-Type: text/plain" }, { EXE, "", "x" }),
    ["headers that end the message"] = "--=_b\r\n" .. EXE,
    ["a message"] = multipart("=_b", { "Content-Type: message/rfc822", "", "Subject: x", EXE, "", "x" }),
    ["a message, international"] = multipart("=_b", { "Content-Type: message/global", "", EXE, "", "x" }),
    ["a message with parts"] = multipart("=_b", {
      "Content-Type: MESSAGE/RFC822",
      "",
      "Content-Type: multipart/mixed; boundary=in",
      "",
      "--in",
      EXE,
      "",
      "--in--",
    }),
    ["behind a message"] = multipart(
      "=_b",
      { "Content-Type: message/rfc822", "", "Subject: x", "", "x" },
      { EXE, "", "x" }
    ),
    ["without a last boundary"] = "--=_b\r\n\r\nx\r\n--=_b\r\n" .. EXE .. "\r\n\r\nx",
    ["behind a signature"] = multipart("=_b", { "", "x", "-- ", "someone", "--" }, { EXE, "", "x" }),
    ["with lines that end in LF"] = "--=_b\n" .. EXE .. "\n\nx\n--=_b--\n",
    ["behind the end of a part in a part"] = multipart("=_b", inner("in", "--in", "", "x", "--in--", "", "--in", EXE, "")),
  } do
    refuses({ headers = MIXED, body = body }, "exe", what)
  end
  for what, body in pairs {
    ["before the first boundary"] = EXE .. "\r\n\r\n" .. multipart("=_b", { "", "x" }),
    ["behind the last"] = multipart("=_b", { "", "x" }) .. EXE .. "\r\n\r\n",
    ["boundary of a part that has ended"] = multipart(
      "=_b",
      inner("in", "--in", "", "x"),
      { "", "--in", EXE, "", "x" }
    ),
    ["boundary of parts that have ended"] = multipart(
      "=_b",
      inner("mid", "--mid", "Content-Type: multipart/mixed; boundary=in", "", "--in", "", "x"),
      { "", "--mid", EXE, "", "x" }
    ),
    ["behind the last, which has cut headers short"] = "--=_b\r\nContent-Type: x/y\r\n--=_b--\r\n" .. EXE .. "\r\n\r\n",
    ["text of a message"] = multipart("=_b", { "Content-Type: message/rfc822", "", "Subject: x", "", EXE }),
    ["report about delivery"] = multipart("=_b", { "Content-Type: message/delivery-status", "", EXE }),
    ["no line end in front"] = multipart("=_b", { "", "x", "x--=_b", EXE, "", "x" }),
    ["patches"] = multipart("=_b", { "", "--- a/x", "+++ b/x", "-- ", "name", "--", EXE }),
  } do
    takes({ headers = MIXED, body = body }, what)
  end
end)

test.case("boundaries are read in all spellings", function()
  for kind, boundary in pairs {
    ["multipart/mixed; boundary=simple"] = "simple",
    ['multipart/mixed; BOUNDARY="with blank and ;"'] = "with blank and ;",
    ['multipart/mixed; boundary="blank at the end "'] = "blank at the end",
    ['multipart/mixed; boundary="a\\"b"'] = 'a"b',
    ['multipart/mixed;\r\n boundary*0="first";\r\n boundary*1="second"'] = "firstsecond",
    ['multipart/mixed; boundary="%.*[x]-+$^"'] = "%.*[x]-+$^",
    ["multipart/mixed; boundary=" .. ("b"):rep(5000)] = ("b"):rep(5000),
  } do
    local body = multipart(boundary, { "Content-Type: x/y; name=a.exe", "", "x" })
    refuses({ headers = { "Content-Type: " .. kind }, body = body }, "exe", kind)
  end
  -- Only a Content-Type names one, and none is none.
  local body = multipart("x", { "Content-Type: x/y; name=a.exe", "", "x" })
  takes { headers = { "Content-Disposition: x; boundary=x" }, body = body }
  takes { headers = { 'Content-Type: multipart/mixed; boundary=""' }, body = "--\r\n" .. body }
end)

test.case("a boundary is found wherever the blocks of the file end", function()
  local BLOCK = 65536
  local tail = "\r\n--=_b\r\nA: b\r\n\r\n--=_b\r\nContent-Type: x/y; name=a.exe\r\n\r\nx"
  local head = #table.concat(MIXED, "\r\n") + 4
  local s = test.session { helo = "mx.example.net" }
  for cut = -4, #tail + 1 do
    s:mail "someone@example.org"
    s:rcpt "someone@example.com"
    local body = "\r\n" .. ("x"):rep(BLOCK - head - cut - 2) .. tail
    local answer = s:message { headers = MIXED, body = body }
    test.reply(answer, 550, ".exe", "cut at " .. cut)
  end
end)

local function problem(text)
  return "^5%.6%.0 the message cannot be examined: " .. text .. "$"
end

local function nested(depth)
  local lines = {}
  for i = 1, depth do
    local boundary = ("b"):rep(40 - i)
    lines[#lines + 1] = "Content-Type: multipart/mixed; boundary=" .. boundary
    lines[#lines + 1] = ""
    lines[#lines + 1] = "--" .. boundary
  end
  return lines
end

-- A part with a header of so many bytes, in folds.
local function long_header(size)
  local part = { "Content-Type: x/y;" }
  size = size - #" x/y;"
  while size > 0 do
    local line = math.min(size, 1000)
    part[#part + 1] = " " .. ("y"):rep(line - 1)
    size = size - line
  end
  part[#part + 1] = ""
  return part
end

local function many(count, part)
  local parts = {}
  for i = 1, count do
    parts[i] = part
  end
  return parts
end

test.case("a message made to be endless is refused", function()
  local _, s
  local function refuses_as(message, text)
    local answer
    answer, s = send(message)
    test.reply(answer, 550, problem(text))
    test.equal(s:log(), { "refused: " .. text })
  end
  refuses_as(mixed(table.unpack(many(500, { "", "x" }))), "too many parts")
  refuses_as(mixed(nested(20)), "too many multiparts inside of each other")
  refuses_as(mixed(many(9997, "X: y")), "too many headers")
  refuses_as(mixed { "X: " .. ("y"):rep(140000) }, "a line of a header is too long")
  refuses_as({ headers = MIXED, body = "--=_b" .. ("y"):rep(140000) }, "a line of a header is too long")
  refuses_as(mixed(long_header(8193)), "a header is too long")
  local part = long_header(8193)
  part[1] = "Content-Type: x/y; name=a.exe;"
  refuses_as(mixed(part), "a header is too long")
end)

test.case("a message that is just large is not", function()
  takes(mixed(table.unpack(many(499, { "", "x" }))), "parts")
  takes(mixed(nested(19)), "multiparts inside of each other")
  takes(mixed(many(9996, "X: y")), "headers")
  takes({ headers = { "X: " .. ("y"):rep(70000) } }, "the first line of a message")
  takes(mixed { "X: " .. ("y"):rep(65000), "", "x" }, "a line of a header")
  takes(mixed(long_header(8192)), "a header")
  takes(mixed { "", ("A"):rep(3 * 1024 * 1024) }, "a line of the body")
end)

test.case("what is malformed is read in reasonable time", function()
  local SIZE = 8000
  for what, name in pairs {
    blanks = (" "):rep(SIZE) .. "x",
    ["blanks within"] = '"x' .. (" "):rep(SIZE) .. 'x"',
    dots = '"x' .. ("."):rep(SIZE) .. 'x"',
    parentheses = ("("):rep(SIZE),
    comments = ("()"):rep(SIZE // 2),
    quotes = ('"'):rep(SIZE),
    backslashes = '"' .. ("\\"):rep(SIZE),
    semicolons = (";"):rep(SIZE),
    ["beginnings of words"] = '"' .. ("=?"):rep(SIZE // 2) .. '"',
    ["a word in base64"] = '"=?x?B?' .. ("QUFB"):rep(SIZE // 4 - 10) .. '?="',
  } do
    takes(attachment(DISPOSITION .. "filename=" .. name), what)
  end
end)

test.case("a message that cannot be read comes again later", function()
  test.unreadable "*.eml"
  local answer, s = send(attachment(DISPOSITION .. "filename=a.exe"))
  test.reply(answer, 451, "^4%.3%.0 the message cannot be examined now, try again later$")
  test.match(s:log(), "No such file")
  test.unreadable("*.eml", "read")
  answer, s = send(attachment(DISPOSITION .. "filename=a.exe"))
  test.reply(answer, 451, "^4%.3%.0 the message cannot be examined now, try again later$")
  test.match(s:log(), "[Ii]s a directory")
end)

test.case("a refusal names the file in the log; nothing else is logged", function()
  local _, s = send { headers = { 'Content-Type: x/y; name="invoice 100%.exe"' } }
  test.equal(s:log(), { "refused for an attachment: invoice 100%.exe" })
  local _, taken = send { headers = { 'Content-Type: x/y; name="invoice.pdf"' } }
  test.equal(taken:log(), {})
end)

test.case("the file is closed", function()
  local s = test.session { helo = "mx.example.net" }
  for _ = 1, 70 do -- A session may have 64 files open.
    s:mail "someone@example.org"
    s:rcpt "someone@example.com"
    test.accepted(s:message "Subject: hello\n\nhello\n")
  end
end)
