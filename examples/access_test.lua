-- Tests of access.lua:    smtpf-milter test examples/access_test.lua

-- The policy looks here when SMTPF_ACCESS is not set, and finds the test's file.
local TABLE = "/etc/mail/smtpf-access"

-- What the client is told at MAIL, and its session.
local function connect(ip, mta)
  local s = test.session { ip = ip, helo = "mx.example.net", mta = mta }
  return s:mail "someone@example.org", s
end

local function refuses(ip, line)
  test.equal(connect(ip).lines[1], line, ip)
end

local function lets_in(ip)
  test.accepted(connect(ip), ip)
end

test.case("the most specific line counts, whatever the order", function()
  test.file(TABLE, [[
# a comment
   # and another
192.0.2.66          REJECT
198.51.100.0/24     reject  5.7.1 100% of you	
198.51.100.25       OK
198.51.100.128/25   451 4.7.1 come back later
198.51.100.129/32   550
10.0.0.0/8 REJECT net 10
10.255.255.255 ok

::ffff:128.0.0.0/97 REJECT upper half
240.0.0.0/4         OK
2001:DB8:BAD::/48   REJECT v6
2001:db8:bad:0:0:0:0:7  OK
2001:db8:bad:8000::/49 452 4.7.0 not now
2001:db8:c0de::f8/125 REJECT eight of them
::ffff:203.0.113.0/120 REJECT mapped
::/8 REJECT low
fc00::/7 REJECT wide
::ffff:192.0.2.200 REJECT one mapped
192.0.2.201 reject
::1.2.3.4 REJECT not mapped
ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.254 REJECT long
]])
  for ip, line in pairs {
    ["192.0.2.66"] = "550 5.7.1 access denied",
    ["192.0.2.201"] = "550 5.7.1 access denied",
    ["192.0.2.200"] = "550 5.0.0 one mapped",
    ["::ffff:192.0.2.66"] = "550 5.7.1 access denied",
    ["192.0.2.67"] = "550 5.0.0 upper half",
    ["128.0.0.0"] = "550 5.0.0 upper half",
    ["239.255.255.255"] = "550 5.0.0 upper half",
    ["198.51.100.1"] = "550 5.7.1 100% of you",
    ["198.51.100.0"] = "550 5.7.1 100% of you",
    ["198.51.100.127"] = "550 5.7.1 100% of you",
    ["198.51.100.128"] = "451 4.7.1 come back later",
    ["198.51.100.255"] = "451 4.7.1 come back later",
    ["198.51.100.129"] = "550 5.0.0 Requested action not taken: mailbox unavailable",
    ["198.51.101.1"] = "550 5.0.0 upper half",
    ["10.1.2.3"] = "550 5.0.0 net 10",
    ["10.0.0.0"] = "550 5.0.0 net 10",
    ["2001:db8:bad::1"] = "550 5.0.0 v6",
    ["2001:db8:bad:7fff:ffff:ffff:ffff:ffff"] = "550 5.0.0 v6",
    ["2001:db8:bad:8000::"] = "452 4.7.0 not now",
    ["2001:db8:c0de::ff"] = "550 5.0.0 eight of them",
    ["2001:db8:c0de::f8"] = "550 5.0.0 eight of them",
    ["203.0.113.9"] = "550 5.0.0 mapped",
    ["::1"] = "550 5.0.0 low",
    ["fdff::1"] = "550 5.0.0 wide",
    ["::1.2.3.4"] = "550 5.0.0 not mapped",
    ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"] = "550 5.0.0 long",
  } do
    refuses(ip, line)
  end
  for _, ip in ipairs {
    "8.8.8.8",
    "1.2.3.4",
    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "9.255.255.255",
    "11.0.0.0",
    "10.255.255.255",
    "127.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "198.51.100.25",
    "2001:db8:bad:0:0:0:0:7",
    "2001:db8:bac:ffff::1",
    "2001:db8:bae::1",
    "2001:db8:c0de::f7",
    "2001:db8:c0de::100",
    "100::1",
    "fbff::1",
    "fe00::1",
  } do
    lets_in(ip)
  end
end)

test.case("every length of a network ends where it should", function()
  test.file(TABLE, "192.0.2.128/31 REJECT\n203.0.0.0/15 REJECT\n203.4.0.0/16 REJECT\n203.8.0.0/17 REJECT\n4.0.0.0/6 REJECT\n0.0.0.0/0 OK\n")
  for _, ip in ipairs { "192.0.2.128", "192.0.2.129", "203.1.255.255", "203.4.255.255", "203.8.127.255", "7.255.0.1", "4.0.0.0" } do
    refuses(ip, "550 5.7.1 access denied")
  end
  for _, ip in ipairs { "192.0.2.127", "192.0.2.130", "203.2.0.0", "203.5.0.0", "203.8.128.0", "8.0.0.0", "3.255.255.255" } do
    lets_in(ip)
  end
end)

test.case("a network as wide as the internet is a network", function()
  test.file(TABLE, "0.0.0.0/0 REJECT v4\n::/0 REJECT v6\n192.0.2.0/24 OK\n")
  refuses("198.51.100.1", "550 5.0.0 v4")
  refuses("2001:db8::1", "550 5.0.0 v6")
  lets_in("192.0.2.1")
end)

test.case("of two lines for the same network the first counts", function()
  test.file(TABLE, "192.0.2.0/24 REJECT one\n192.0.2.0/24 REJECT two\n")
  refuses("192.0.2.7", "550 5.0.0 one")
end)

test.case("lines that are no entries are left out, and named in the log to whom they may be about", function()
  for _, row in ipairs {
    { "256.0.0.1 REJECT", "0.0.0.1", false },
    { "010.0.0.1 REJECT", "10.0.0.1", true },
    { "10.0.0.01 REJECT", "10.0.0.1", true },
    { "10.0.0.0001 REJECT", "10.0.0.1", true },
    { "10.0.0.256 REJECT", "10.0.0.1", true },
    { "1.2.3 REJECT", "1.2.3.0", true },
    { "1.2.3.4.5 REJECT", "1.2.3.4", true },
    { "192.0.2.0/33 REJECT", "192.0.2.0", true },
    { "192.0.2.0/33 REJECT", "193.0.2.0", false },
    { "192.0.2.0/ REJECT", "192.0.2.0", true },
    { "192.0.2.0/0/1 REJECT", "192.0.2.0", true },
    { "1:2:3:4:5:6:7:8:9 REJECT", "1:2:3:4:5:6:7:8", true },
    { "1:2:3:4:5:6:7 REJECT", "1:2:3:4:5:6:7:0", true },
    { "1::2::3 REJECT", "1::3", true },
    { ":1:2:3:4:5:6:7 REJECT", "::1:2:3:4:5:6:7", true },
    { "1:2:3:4:5:6:7: REJECT", "1:2:3:4:5:6:7:0", true },
    { "1:2:3:4::5:6:7:8 REJECT", "1:2:3:4:5:6:7:8", true },
    { "12345:: REJECT", "2345::", false },
    { "::12345 REJECT", "::2345", true },
    { "::1.2.3 REJECT", "::1", true },
    { "::1.2.3.4.5 REJECT", "::1", true },
    { "2001:db8::/129 REJECT", "2001:db8::", true },
    { "0:0:0:0:0:0:0:000000000000000000000000000000000001 REJECT", "::1", true },
    { "192.0.2.7", "192.0.2.7", true },
    { "example.com REJECT", "192.0.2.7", true },
    { "beef REJECT", "192.0.2.7", true },
  } do
    local line, ip, named = table.unpack(row)
    test.file(TABLE, "# first line\n" .. line .. "\n" .. ip .. " REJECT last, no line end")
    local answer, s = connect(ip)
    test.equal(answer.lines[1], "550 5.0.0 last, no line end", tostring(line))
    local log = s:log()
    test.match(table.remove(log), "^[%x:.]+: REJECT last, no line end %(line 3%)$")
    local said = TABLE .. ":2: left out, not an address or network and an action: " .. line
    test.equal(log, named and { said } or {}, tostring(line))
  end
end)

test.case("an unknown action refuses nobody, and is in the log", function()
  test.file(TABLE, "192.0.2.7 REJCT\r\n192.0.2.8 OK\r\n192.0.2.9 REJECT away\r\n192.0.2.10 250 fine\r\n192.0.2.11 650 no\r\n192.0.2.12 560 no\r\n192.0.2.13 5500 no\r\n192.0.2.14 499\r\n192.0.2.15 400 soon\r\n192.0.2.16 559 never\r\n")
  local answer, s = connect "192.0.2.7"
  test.accepted(answer)
  test.match(s:log(), TABLE .. ":1: unknown action, nobody is refused by it: REJCT")
  lets_in "192.0.2.8"
  refuses("192.0.2.9", "550 5.0.0 away")
  for i = 10, 14 do
    answer, s = connect("192.0.2." .. i)
    test.accepted(answer)
    test.match(s:log(), ": unknown action, nobody is refused by it: ")
  end
  refuses("192.0.2.15", "400 4.0.0 soon")
  refuses("192.0.2.16", "559 5.0.0 never")
end)

test.case("what was found is in the log, with the line", function()
  test.file(TABLE, "\n192.0.2.0/24 REJECT 5.7.1 no\n192.0.2.9 OK\n")
  local _, refused = connect "192.0.2.7"
  test.equal(refused:log(), { "192.0.2.7: REJECT 5.7.1 no (line 2)" })
  local _, taken = connect "192.0.2.9"
  test.equal(taken:log(), { "192.0.2.9: OK (line 3)" })
  local _, other = connect "198.51.100.1"
  test.equal(other:log(), {})
end)

test.case("without a table mail goes on, and one line in the log says so", function()
  test.env { SMTPF_ACCESS = test.tmp() .. "/none" }
  local answer, s = connect "192.0.2.7"
  test.accepted(answer)
  test.equal(s:log(), { "no access table, nobody is refused: " .. test.tmp() .. "/none: No such file or directory" })
  test.env { SMTPF_ACCESS = test.tmp() }
  local _, other = connect "192.0.2.7"
  test.match(other:log()[1], "no access table, nobody is refused: .*[Ii]s a directory")
end)

test.case("the environment names another table", function()
  test.env { SMTPF_ACCESS = test.file("other", "192.0.2.7 REJECT by the other") }
  refuses("192.0.2.7", "550 5.0.0 by the other")
end)

test.case("an edit counts from the next connection on, and for all messages of one", function()
  test.file(TABLE, "")
  local answer, old = connect "192.0.2.7"
  test.accepted(answer)
  test.file(TABLE, "192.0.2.7 REJECT now")
  old:rset()
  test.accepted(old:mail "someone@example.org")
  local refused, new = connect "192.0.2.7"
  test.reply(refused, 550, "now")
  test.reply(new:mail "another@example.org", 550, "now")
end)

test.case("mail of this host is not from the network", function()
  test.file(TABLE, "0.0.0.0/0 REJECT\n::/0 REJECT\n")
  local answer, s = connect "/run/mail.sock"
  test.accepted(answer)
  test.equal(s:log(), {})
end)

test.case("Sendmail passes on the text, as it is told at MAIL", function()
  test.file(TABLE, "192.0.2.7 REJECT 5.7.1 call our postmaster\n")
  test.reply(connect("192.0.2.7", "sendmail"), 550, "5.7.1 .*call our postmaster")
end)
