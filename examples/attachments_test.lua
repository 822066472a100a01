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

local function problem(text)
  return "^5%.6%.0 the message cannot be examined: " .. text .. "$"
end

local ZIP_FOLDER = "UEsDBAoAAAAAACINfV0AAAAAAAAAAAAAAAAFAAAAZG9jcy9QSwMECgAAAAAAIg19XV2bsI8CAAAAAgAAABAAAABkb2NzL2lu" ..
  "dm9pY2UuZXhlTVpQSwECHgMKAAAAAAAiDX1dAAAAAAAAAAAAAAAABQAAAAAAAAAAABAA7UEAAAAAZG9jcy9QSwECHgMKAAAA" ..
  "AAAiDX1dXZuwjwIAAAACAAAAEAAAAAAAAAABAAAApIEjAAAAZG9jcy9pbnZvaWNlLmV4ZVBLBQYAAAAAAgACAHEAAABTAAAA" ..
  "AAA="
local ZIP_NESTED = "UEsDBAoAAAAAACINfV3rLusD2gAAANoAAAAFAAAAYS56aXBQSwMECgAAAAAAIg19XQAAAAAAAAAAAAAAAAUAAABkb2NzL1BL" ..
  "AwQKAAAAAAAiDX1dXZuwjwIAAAACAAAAEAAAAGRvY3MvaW52b2ljZS5leGVNWlBLAQIeAwoAAAAAACINfV0AAAAAAAAAAAAA" ..
  "AAAFAAAAAAAAAAAAEADtQQAAAABkb2NzL1BLAQIeAwoAAAAAACINfV1dm7CPAgAAAAIAAAAQAAAAAAAAAAEAAACkgSMAAABk" ..
  "b2NzL2ludm9pY2UuZXhlUEsFBgAAAAACAAIAcQAAAFMAAAAAAFBLAQIeAwoAAAAAACINfV3rLusD2gAAANoAAAAFAAAAAAAA" ..
  "AAAAAACkgQAAAABhLnppcFBLBQYAAAAAAQABADMAAAD9AAAAAAA="
local ZIP_ENCRYPTED = "UEsDBAoAAAAAACINfV0AAAAAAAAAAAAAAAAFAAAAZG9jcy9QSwMECgAJAAAAIg19XV2bsI8OAAAAAgAAABAAAABkb2NzL2lu" ..
  "dm9pY2UuZXhlt9fF6EE+XKuDrrumE4tQSwcIXZuwjw4AAAACAAAAUEsBAh4DCgAAAAAAIg19XQAAAAAAAAAAAAAAAAUAAAAA" ..
  "AAAAAAAQAO1BAAAAAGRvY3MvUEsBAh4DCgAJAAAAIg19XV2bsI8OAAAAAgAAABAAAAAAAAAAAQAAAKSBIwAAAGRvY3MvaW52" ..
  "b2ljZS5leGVQSwUGAAAAAAIAAgBxAAAAbwAAAAAA"

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
  -- Where a multipart names none, some programs take what looks like one.
  refuses({ headers = { 'Content-Type: multipart/mixed; boundary=""' }, body = "--\r\n" .. body }, "exe")
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

local function nested(depth)
  local lines = {}
  for i = 1, depth do
    local boundary = ("b"):rep(90 - i)
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

test.case("what encloses names and is encoded is refused", function()
  local ENCODED = problem "a part .*encoded.*"
  local MESSAGE = "RnJvbTogeEB5LmV4YW1wbGUNCkNvbnRlbnQtVHlwZTogYXBwbGljYXRpb24vb2N0ZXQtc3RyZWFtOyBuYW1lPXguZXhlDQoNCmFiYw=="
  for _, encoding in ipairs {
    "Content-Transfer-Encoding: base64",
    "content-transfer-encoding:BASE64",
    "Content-Transfer-Encoding : \tBase64 ",
    "Content-Transfer-Encoding:\r\n base64",
    "Content-Transfer-Encoding: (7bit) base64",
    "Content-Transfer-Encoding: base64 (a comment)",
    "Content-Transfer-Encoding: base64; 7bit",
    'Content-Transfer-Encoding: "base64"',
    "Content-Transfer-Encoding: base 64",
    "Content-Transfer-Encoding: 7bit base64",
    "Content-Transfer-Encoding: quoted-printable",
    "Content-Transfer-Encoding: x-uuencode",
    "Content-Transfer-Encoding: unknown",
    "Content-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64",
    "Content-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit",
  } do
    for _, kind in ipairs {
      "message/rfc822",
      "Message/RFC822; charset=utf-8",
      "message/(comment)rfc822",
      "message / rfc822",
      '"message/rfc822"',
      "message/global",
      "message/news",
      "multipart/mixed; boundary=in",
      "multipart/digest",
    } do
      local headers = { encoding, "Content-Type: " .. kind }
      test.reply(send { headers = headers, body = MESSAGE }, 550, ENCODED, kind .. ", " .. encoding)
    end
    test.reply(send(mixed { "Content-Type: message/rfc822", encoding, "", MESSAGE }), 550, ENCODED, encoding)
  end
  local part = { "Content-Type: message/rfc822", "Content-Transfer-Encoding: base64", "", MESSAGE }
  for what, outer in pairs {
    ["in a multipart"] = { "Content-Type: multipart/mixed; boundary=in", "", multipart("in", part) },
    ["in a message"] = { "Content-Type: message/rfc822", "", table.unpack(part) },
    ["behind a text"] = { "Content-Type: multipart/mixed; boundary=in", "", multipart("in", { "", "x" }, part) },
  } do
    test.reply(send(mixed(outer)), 550, ENCODED, what)
  end
  local digest = { "Content-Type: multipart/digest; boundary=in", "", multipart("in", { part[2], "", MESSAGE }) }
  test.reply(send(mixed(digest)), 550, ENCODED, "in a digest")
  for _, encoding in ipairs { "7bit", "8BIT", "binary", "7bit (as ever)", "8-bit", "" } do
    local same = "Content-Transfer-Encoding: " .. encoding
    takes(mixed { "Content-Type: message/rfc822", same, "", "Subject: x", "", "x" }, encoding)
    takes({ headers = { same, MIXED[2] }, body = multipart("=_b", { "", "x" }) }, encoding)
    refuses(mixed { "Content-Type: message/rfc822", same, "", TYPE .. "name=a.exe", "", "x" }, "exe", encoding)
  end
  -- Encoded files are what encodings are for.
  for _, kind in ipairs { "text/plain", "application/pdf", "message/delivery-status", "text/rfc822-headers" } do
    takes(mixed { "Content-Type: " .. kind, "Content-Transfer-Encoding: base64", "", MESSAGE }, kind)
  end
end)

test.case("pieces of messages, files elsewhere, digests, and messages behind empty lines", function()
  local EXE = TYPE .. "name=a.exe"
  local partial = "Content-Type: message/partial; id=x; number=2; total=3"
  for _, message in ipairs { { headers = { partial }, body = "x" }, mixed { partial, "", "x" } } do
    test.reply(send(message), 550, problem "a piece of a divided message")
  end
  for what, part in pairs {
    ["a name elsewhere"] = { "Content-Type: message/external-body; access-type=anon-ftp; name=a.exe", "", "x" },
    ["a type elsewhere"] = { "Content-Type: message/external-body; access-type=x", "", EXE, "", "x" },
    ["a digest"] = { "Content-Type: multipart/digest; boundary=in", "", "--in", "", EXE, "", "x", "--in--" },
    ["a message behind an empty line"] = { "Content-Type: message/rfc822", "", "", "", EXE, "", "x" },
    ["a message behind junk"] = { "Content-Type: message/rfc822", "", "From a@b.example", "?", EXE, "", "x" },
    ["a comment in the type"] = { "Content-Type: message/(c) rfc822 (d)", "", EXE, "", "x" },
  } do
    refuses(mixed(part), "exe", what)
  end
  local digest = "Content-Type: multipart/digest; boundary=in"
  takes(mixed { digest, "", "--in", "Content-Type: text/plain", "", EXE, "", "--in--" })
  takes(mixed { digest, "", "--in", "", "Subject: x", "", EXE, "", "--in--" })
  takes(mixed { "Content-Type: message/external-body; access-type=anon-ftp; name=a.txt", "", "Content-Type: x/y", "" })
  -- Only a virus scanner looks into it.
  takes(attachment('Content-Type: application/ms-tnef; name="winmail.dat"'))
end)

test.case("uuencoded files in text have names too", function()
  local FILE = "begin 644 a.exe\r\n#86)C\r\n`\r\nend\r\n"
  refuses({ body = FILE }, "exe")
  refuses({ body = "hello\r\n\r\n" .. FILE .. "bye\r\n" }, "exe")
  refuses({ body = "hello\nbegin 0644   two words.EXE\n" }, "exe")
  refuses({ body = "begin-base64 644 a.exe\r\nYWJj\r\n====\r\n" }, "exe")
  refuses({ body = "begin 644 a.exe" }, "exe")
  refuses({ body = "begin 644 a.txt\r\n" .. FILE }, "exe")
  refuses(mixed({ "", "x" }, { "Content-Type: text/plain", "", FILE }, { "", "x" }), "exe")
  refuses(mixed { "Content-Type: message/rfc822", "", "Subject: x", "", FILE }, "exe")
  refuses({ headers = MIXED, body = FILE .. multipart("=_b", { "", "x" }) }, "exe", "in front of the first boundary")
  refuses({ headers = MIXED, body = multipart("=_b", { "", "x" }) .. FILE }, "exe", "behind the last")
  takes { body = "begin 644 a.txt\r\nx\r\n beginning\r\nbegin with a.exe\r\nso begin 644 a.exe\r\n" }
  takes { body = ("begin\r\n"):rep(50000) }
  -- Wherever the blocks of the file end.
  local HEADER = "Subject: x"
  for cut = -4, #"begin 644 a.exe" + 4 do
    local before = ("x"):rep(65536 - #HEADER - 4 - cut - 2) .. "\r\n"
    refuses({ headers = { HEADER }, body = before .. FILE .. ("y\r\n"):rep(10) }, "exe", "cut at " .. cut)
  end
end)

test.case("names in archives are found", function()
  -- Made by Info-ZIP: a folder with a program; the same in an archive in an archive; the same with a password.
  for what, archive in pairs {
    ["a folder"] = ZIP_FOLDER,
    ["an archive in an archive"] = ZIP_NESTED,
    ["with a password"] = ZIP_ENCRYPTED,
  } do
    refuses(
      mixed { 'Content-Type: application/zip; name="a.zip"', "Content-Transfer-Encoding: base64", "", archive },
      "exe",
      what
    )
  end
end)

test.case("a program is one, whatever its name", function()
  local encoded = "TVoAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAAAAFBFAAA="
  refuses(mixed { 'Content-Type: image/png; name="a.png"', "Content-Transfer-Encoding: base64", "", encoded }, "exe")
end)

test.case("a message made to be endless is refused", function()
  local _, s
  local function refuses_as(message, text)
    local answer
    answer, s = send(message)
    test.reply(answer, 550, problem(text))
    test.equal(s:log(), { "refused: " .. text })
  end
  refuses_as(mixed(table.unpack(many(1001, { "", "x" }))), "too many parts")
  refuses_as(mixed(nested(60)), "too many parts inside of each other")
  refuses_as(mixed(many(1002, "X: y")), "a header is too long")
  refuses_as(mixed { "X: " .. ("y"):rep(140000) }, "a header is too long")
  refuses_as(mixed(long_header(70000)), "a header is too long")
  local part = long_header(70000)
  part[1] = "Content-Type: x/y; name=a.exe;"
  refuses(mixed(part), "exe")
end)

test.case("a message that is just large is not", function()
  takes(mixed(table.unpack(many(998, { "", "x" }))), "parts")
  takes(mixed(nested(30)), "multiparts inside of each other")
  takes(mixed(many(999, "X: y")), "headers")
  takes(mixed { "X: " .. ("y"):rep(65000), "", "x" }, "a line of a header")
  takes(mixed(long_header(60000)), "a header")
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
  test.match(s:log(), "[Nn]o such file")
  test.unreadable("*.eml", "read")
  answer, s = send(attachment(DISPOSITION .. "filename=a.exe"))
  test.reply(answer, 451, "^4%.3%.0 the message cannot be examined now, try again later$")
  test.match(s:log(), "EISDIR")
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
