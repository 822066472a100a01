-- Tests of helo.lua:    smtpf-milter test examples/helo_test.lua

local NOT_A_NAME = "501 5.5.2 that is not a host name"
local NO_BRACKETS = "501 5.5.2 an address belongs in brackets"
local NO_ADDRESS = "501 5.5.2 the brackets hold no address"
local OUR_NAME = "550 5.7.1 you are not me: that is my name"
local OUR_ADDRESS = "550 5.7.1 you are not me: that is my address"
local NOT_HERE = "550 5.7.1 you are not on this host"
local NO_DOMAIN = "550 5.7.1 give your full name, with its domain"

-- A refusal of HELO is told at MAIL.
local function greet(ip, name, mta)
  local s = test.session { ip = ip, helo = name, mta = mta }
  return s:mail("someone@example.org").lines[1], s
end

local function refuses(ip, name, expected)
  test.equal(greet(ip, name), expected, string.format("%s from %s", name, ip))
end

local function lets_in(ip, name)
  local line = greet(ip, name)
  assert(line:find("^250 "), string.format("%s from %s is refused: %s", name, ip, line))
end

local STRANGER = "198.51.100.7"

test.case("a host with a full name is let in", function()
  local label = ("a"):rep(63)
  for _, name in ipairs {
    "mx.example.net",
    "MX.Example.NET.",
    "a_b.example.net",
    "3com.example",
    "xn--mller-kva.example",
    "mail.example.com.example.net",
    "localhost.example.net",
    label .. ".example",
    (label .. "."):rep(3) .. ("b"):rep(59) .. ".xy",
    "a-b.example",
  } do
    lets_in(STRANGER, name)
  end
end)

test.case("an address in brackets is let in", function()
  for _, name in ipairs {
    "[198.51.100.7]",
    "[IPv6:2001:db8:0:1::7]",
    "[ipv6:2001:DB8:0:1::7]",
    "[IPv6:::ffff:198.51.100.7]",
    "[IPv6:1:2:3:4:5:6:7:8]",
    "[IPv6:1:2:3:4:5:6:7::]",
    "[IPv6:::192.0.2.1]",
    "[IPv6:ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]",
    "[IPv6:::]",
    "[IPv6:1:2:3:4:5:6:198.51.100.7]",
    "[255.255.255.255]",
    "[0.0.0.0]",
  } do
    lets_in(STRANGER, name)
  end
end)

test.case("our own name is nobody else's", function()
  for _, name in ipairs { "example.com", "Mail.EXAMPLE.com.", "mail.example.com" } do
    refuses(STRANGER, name, OUR_NAME)
  end
end)

test.case("our own address is nobody else's", function()
  for _, name in ipairs { "[192.0.2.1]", "[IPv6:2001:DB8:0:0::1]", "[IPv6:::ffff:192.0.2.1]", "[IPv6:::ffff:c000:201]" } do
    refuses(STRANGER, name, OUR_ADDRESS)
  end
  lets_in(STRANGER, "[192.0.2.2]")
  lets_in(STRANGER, "[193.0.2.1]")
  lets_in(STRANGER, "[IPv6:2001:db8::2]")
end)

test.case("localhost is not outside", function()
  for _, name in ipairs { "localhost", "LOCALHOST.localdomain", "localhost.localdomain.example", "me.localhost" } do
    refuses(STRANGER, name, NOT_HERE)
  end
end)

test.case("a name needs a domain", function()
  refuses(STRANGER, "mail", NO_DOMAIN)
  refuses(STRANGER, "mail.", NO_DOMAIN)
  refuses(STRANGER, "a", NO_DOMAIN)
end)

test.case("an address needs brackets", function()
  refuses(STRANGER, "198.51.100.7", NO_BRACKETS)
  refuses(STRANGER, "2001:db8:0:1::7", NO_BRACKETS)
  refuses(STRANGER, "::ffff:198.51.100.7", NO_BRACKETS)
end)

test.case("brackets need an address", function()
  for _, name in ipairs {
    "[]",
    "[198.51.100.256]",
    "[198.51.100]",
    "[198.51.100.7.7]",
    "[198.51.100.07]",
    "[198.51.100.0007]",
    "[2001:db8:0:1::7]",
    "[IPv6:198.51.100.7]",
    "[mx.example.net]",
    "[IPv6:1:2:3:4:5:6:7]",
    "[IPv6:1:2:3:4:5:6:7:8:9]",
    "[IPv6:1:2:3:4::5:6:7:8]",
    "[IPv6:1::2::3]",
    "[IPv6:12345::]",
    "[IPv6:1:2:3:4:5:6:7:]",
    "[IPv6:::ffff:198.51.100]",
    "[IPv6:" .. (":"):rep(2000) .. "]",
    "[IPv6:0000:0000:0000:0000:0000:0000:0000:0000:00000]",
  } do
    refuses(STRANGER, name, NO_ADDRESS)
  end
end)

test.case("what is no host name is refused", function()
  local label = ("a"):rep(63)
  for _, name in ipairs {
    "[198.51.100.7",
    "IPv6:2001:db8:0:1::7",
    "198.51.100.07",
    "1.2.3",
    ".",
    ".example.net",
    "mx..example.net",
    "-mx.example.net",
    "mx-.example.net",
    "mx example.net",
    "mx.ex\xe4mple.net",
    "a" .. label .. ".example",
    (label .. "."):rep(4) .. "b",
    ("x."):rep(1000),
  } do
    refuses(STRANGER, name, NOT_A_NAME)
  end
  -- 255 bytes are allowed, 256 are not.
  local long = (label .. "."):rep(3) .. ("b"):rep(61) .. ".x"
  test.equal(#long, 255)
  lets_in(STRANGER, long)
  refuses(STRANGER, long .. "y", NOT_A_NAME)
end)

test.case("local networks and this host may say what they like", function()
  for ip, is_local in pairs {
    ["127.0.0.1"] = true,
    ["126.255.255.255"] = false,
    ["128.0.0.1"] = false,
    ["10.0.0.0"] = true,
    ["10.255.255.255"] = true,
    ["11.0.0.0"] = false,
    ["172.16.0.1"] = true,
    ["172.31.255.255"] = true,
    ["172.32.0.1"] = false,
    ["172.15.255.255"] = false,
    ["192.168.1.1"] = true,
    ["192.169.1.1"] = false,
    ["192.0.2.1"] = true,
    ["192.0.2.2"] = false,
    ["::1"] = true,
    ["::2"] = false,
    ["fd00::1"] = true,
    ["fbff::1"] = false,
    ["fe80::1"] = true,
    ["febf::1"] = true,
    ["fec0::1"] = false,
    ["2001:db8::1"] = true,
    ["2001:db8::2"] = false,
    ["::ffff:10.0.0.1"] = true,
    ["::ffff:11.0.0.1"] = false,
    -- IPv4 and IPv6 with the same first bits.
    ["252.0.0.1"] = false,
    ["254.128.0.1"] = false,
    ["a00::1"] = false,
    ["/::1"] = true,
    ["/run/mail.sock"] = true,
    [""] = true,
  } do
    if is_local then lets_in(ip, "localhost") else refuses(ip, "localhost", NOT_HERE) end
  end
end)

test.case("Sendmail's clients are refused with the same words", function()
  test.equal(greet(STRANGER, "localhost", "sendmail"), NOT_HERE)
end)

test.case("a refusal is in the log, with the name; nothing else is", function()
  local _, refused = greet(STRANGER, "mail")
  test.equal(refused:log(), { "mail refused: 5.7.1 give your full name, with its domain" })
  local _, taken = greet(STRANGER, "mx.example.net")
  test.equal(taken:log(), {})
end)

test.case("refused once, a client may try again", function()
  local s = test.session { ip = STRANGER, helo = "localhost", mta = "sendmail" }
  test.equal(s:calls()[2].code, 550)
end)
