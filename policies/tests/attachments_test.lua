local site = require "site"

-- docs/invoice.exe in a ZIP; the same in a ZIP in a ZIP; the same with a password; and a text with a password.
local ZIP = "UEsDBAoAAAAAACINfV0AAAAAAAAAAAAAAAAFAAAAZG9jcy9QSwMECgAAAAAAIg19XV2bsI8CAAAAAgAAABAAAABkb2NzL2lu"
  .. "dm9pY2UuZXhlTVpQSwECHgMKAAAAAAAiDX1dAAAAAAAAAAAAAAAABQAAAAAAAAAAABAA7UEAAAAAZG9jcy9QSwECHgMKAAAA"
  .. "AAAiDX1dXZuwjwIAAAACAAAAEAAAAAAAAAABAAAApIEjAAAAZG9jcy9pbnZvaWNlLmV4ZVBLBQYAAAAAAgACAHEAAABTAAAA"
  .. "AAA="

-- A ZIP with the directory entry of one file: what a policy sees of it.
local function zip(name, flags, data)
  data = data or "MZ"
  local now = string.pack("<I2I2I4I4I4", 0, 0, 0, #data, #data)
  local file = "PK\3\4" .. string.pack("<I2I2I2", 10, flags, 0) .. now .. string.pack("<I2I2", #name, 0) .. name .. data
  local entry = "PK\1\2" .. string.pack("<I2I2I2I2", 10, 10, flags, 0) .. now
    .. string.pack("<I2I2I2I2I2I4I4", #name, 0, 0, 0, 0, 0, 0) .. name
  return file .. entry .. "PK\5\6" .. string.pack("<I2I2I2I2I4I4I2", 0, 0, 1, 1, #entry, #file, 0)
end

local function with(name, base64, more)
  return {
    headers = { "From: joe@example.org", "Subject: hi", "MIME-Version: 1.0", "Content-Type: multipart/mixed; boundary=b" },
    body = "--b\r\n\r\nhello\r\n--b\r\n" .. 'Content-Disposition: attachment; filename="' .. name .. '"\r\n' .. (more or "")
      .. "Content-Transfer-Encoding: base64\r\n\r\n" .. base64 .. "\r\n--b--\r\n",
  }
end

local encode -- base64 of bytes, of which Lua itself has none.
do
  local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  function encode(bytes)
    return (bytes:gsub("..?.?", function(three)
      local a, b, c = three:byte(1, 3)
      local n = a << 16 | (b or 0) << 8 | (c or 0)
      local text = ""
      for shift = 18, 0, -6 do
        local i = (n >> shift & 63) + 1
        text = text .. digits:sub(i, i)
      end
      return text:sub(1, #three + 1) .. ("="):rep(3 - #three)
    end))
  end
end

test.case("programs are refused by name, in archives too, and by what they are", function()
  site.only "attachments"
  test.reply(site.send(with("Invoice.PDF.exe ", "AAAA")), 550, "5.7.1 attachments of type .exe are not accepted here")
  test.reply(site.send(with("docs.zip", ZIP)), 550, "attachments of type .exe")
  test.reply(site.send(with("docs.zip", encode(zip("a/b.js", 0)))), 550, "attachments of type .js")
  test.reply(site.send(with("outer.zip", encode(zip("inner.exe", 1)))), 550, "attachments of type .exe", "with a password")
  local mz = "MZ" .. ("\0"):rep(58) .. string.pack("<I4", 64) .. "PE\0\0" .. ("\0"):rep(60)
  test.reply(site.send(with("picture.png", encode(mz))), 550, "programs are not accepted here")
  test.accepted(site.send(with("picture.png", "iVBORw0KGgo=")))
  test.reply(site.send(with("invoice.exe.gz", "H4sIAAAAAAAAA/NlAACE5Ov5AgAAAA==")), 550, "attachments of type .exe")
  test.accepted(site.send(with("notes.txt.gz", "H4sIAAAAAAAAA/NlAACE5Ov5AgAAAA==")))
  local tnef = "eJ8+IgEAAQaQCAAEAAAAAAABAAEAAQeQBgAIAAAA5AQAAAAAAADoAAICkAYADgAAAAEA/////yAAIAAAAAAAPQQCD4AGAAIAAABN"
    .. "WqcAAhCAAQANAAAASU5WT0lDfjEuVFhUAKUDAgWQBgBsAAAABQAAAAMAIQ4AAAAAQAAHMAAAAAAAAAAAHgAENwEAAAANAAAASU5WT0lDfjEu"
    .. "VFhUAAAAAB8ABzcBAAAAHAAAAGkAbgB2AG8AaQBjAGUAIAD8AC4AZQB4AGUAAAACAQI3AQAAAAMAAABhYmMAEww="
  test.reply(site.send(with("winmail.dat", tnef)), 550, "attachments of type .exe")
  local named = 'Content-Type: application/octet-stream; name*=utf-8' .. "''a.exe%00.txt\r\n"
  test.reply(site.send(with("a.txt", "AAAA", named)), 550, "attachments of type .exe")
  test.accepted(site.send(with("text.zip", encode(zip("a.txt", 0)))))
  test.accepted(site.send "hi")
end)

test.case("the list may be changed", function()
  site.only("attachments", 'also = { ".Pages" }, allowed = { "exe" }')
  test.reply(site.send(with("a.pages", "AAAA")), 550, ".pages")
  test.accepted(site.send(with("a.exe", "AAAA")))
  test.reply(site.send(with("a.scr", "AAAA")), 550)
  site.only("attachments", 'refused = { "doc" }')
  test.reply(site.send(with("a.doc", "AAAA")), 550)
  test.accepted(site.send(with("a.scr", "AAAA")))
end)

test.case("archives with a password, and those that cannot be read", function()
  local locked, seven = with("a.zip", encode(zip("a.txt", 1))), with("a.7z", "N3q8ryccAAQAAAAA")
  site.only "attachments"
  test.accepted(site.send(locked))
  test.reply(site.send(seven), 550, "an archive cannot be looked into")
  local inner = with("a.zip", encode(zip("inner.xz", 0, "\xfd7zXZ\0" .. ("\0"):rep(20))))
  test.reply(site.send(inner), 550, "an archive in an archive cannot be looked into")
  site.only("attachments", 'encrypted = "quarantine", unreadable = "pass"')
  test.equal(site.send(locked).action, "quarantine")
  local reply, s = site.send(seven)
  test.equal(reply.action, "accept")
  test.match(s:log(), "policy.attachments: pass: a.7z %(an archive cannot be looked into%)")
  local inner = with("a.zip", encode(zip("a.xz", 0, "\xfd7zXZ\0")))
  test.accepted(site.send(inner))
  site.only "attachments"
  test.reply(site.send(inner), 550, "an archive in an archive cannot be looked into")
  site.only("attachments", 'encrypted = "refuse"')
  test.reply(site.send(locked), 550, "archives with a password")
end)

test.case("a notice takes the place of what is dangerous, and the rest arrives", function()
  site.only("attachments", 'action = "replace"')
  local reply, s = site.send(with("invoice.exe", "AAAA"))
  test.accepted(reply)
  local body = s:delivered().body
  test.match(body, "hello")
  test.match(body, "The attachment invoice.exe was removed: attachments of type .exe are not accepted here.")
  test.equal(body:find("AAAA", 1, true), nil)
  local signed = with("invoice.exe", "AAAA")
  signed.headers[4] = "Content-Type: multipart/signed; boundary=b"
  test.reply(site.send(signed), 550, "attachments of type .exe", "nothing can be replaced there")
end)

test.case("it may be held", function()
  site.only("attachments", 'action = "quarantine"')
  test.equal(site.send(with("invoice.exe", "AAAA")).action, "quarantine")
end)

test.case("what was not examined to its end is refused", function()
  site.only "attachments"
  local message = with("a.txt", "AAAA")
  message.headers[5] = "Content-Transfer-Encoding: base64"
  test.reply(site.send(message), 550, "cannot be examined: a part that encloses others is encoded")
  test.reply(site.send { headers = { "Content-Type: message/partial; id=x; number=1; total=2" }, body = "x\r\n" }, 550, "a piece of a divided message")
  site.only("attachments", 'broken = "quarantine"')
  test.equal(site.send(message).action, "quarantine")
end)

test.case("clients that are trusted are not looked at", function()
  site.only("attachments", 'networks = { "192.0.2.0/24" }')
  test.accepted(site.send(with("a.exe", "AAAA"), { ip = "192.0.2.7" }))
  test.reply(site.send(with("a.exe", "AAAA"), { auth = "anna" }), 550)
end)

test.case("a wrong configuration is told of with its line", function()
  test.match(site.complaint 'require "policy.attachments" { action = "delete" }', "policy.lua:3: .*action must be 'refuse', 'quarantine', 'replace', not 'delete'")
  test.match(site.complaint 'require "policy.attachments" { encrypted = "replace" }', "policy.lua:3: .*encrypted must be")
  test.match(site.complaint 'require "policy.attachments" { extensions = {} }', "policy.lua:3: .*unknown key 'extensions'")
end)
