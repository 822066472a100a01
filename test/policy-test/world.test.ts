/** The world that a test owns, as the policy sees it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { failureOf, passes, run } from './run-tests.ts';

/** A policy that answers MAIL with what an expression gives. */
const telling = (expression: string) => `
  function smtp.do_mail(sender)
    return 550, "5.7.1 " .. tostring(${expression})
  end`;

const ask = (setup: string, expected: string) => `
  ${setup}
  local s = test.session { helo = "x" }
  test.equal(s:mail("a@b.example").text, ${expected})`;

test('the DNS has what the test says, and nothing else exists', async (t) => {
  const policy = `
    local function show(list, err)
      if not list then return tostring(list) .. " " .. tostring(err) end
      for i, item in ipairs(list) do
        list[i] = type(item) == "table" and item.pref .. " " .. item.host or item
      end
      return list[1] and table.concat(list, ",") or "none"
    end
    function smtp.do_rcpt()
      local call, name = smtp.tran.rcpts[#smtp.tran.rcpts].raw:match("^<(%w+)=(.*)>$")
      if call == "fcrdns" then return 550, tostring(dns.fcrdns(name)) end
      if call == "listed" then
        local code, text = dns.listed(name, "zen.example")
        return 550, tostring(code) .. " " .. tostring(text)
      end
      if call == "start" then
        local job = dns.start(dns.a, name)
        return 550, show(job:wait())
      end
      return 550, show(dns[call](name))
    end`;
  await passes(
    t,
    policy,
    `
    test.dns {
      ["example.com MX"] = { "20 mx2.example.com.", "10 mx1.example.com", "mx0.example.com" },
      ["Example.ORG. a"] = "192.0.2.1",
      ["two.example A"] = { "192.0.2.1", "192.0.2.2" },
      ["six.example AAAA"] = "2001:db8::1",
      ["text.example TXT"] = { "v=spf1 -all", "timeout" },
      ["words.example TXT"] = { "servfail" },
      ["192.0.2.7 PTR"] = "mx.example.net",
      ["mx.example.net A"] = "192.0.2.7",
      ["2.0.0.127.zen.example A"] = "127.0.0.2",
      ["2.0.0.127.zen.example TXT"] = "listed as a test",
      ["broken.example A"] = "servfail",
      ["slow.example MX"] = "timeout",
      ["ns.example NS"] = "a.example",
    }
    local s = test.session { helo = "x" }
    s:mail "a@b.example"
    for question, answer in pairs {
      ["mx=EXAMPLE.com"] = "10 mx1.example.com,10 mx0.example.com,20 mx2.example.com",
      ["a=example.org"] = "192.0.2.1",
      ["a=two.example"] = "192.0.2.1,192.0.2.2",
      ["start=two.example"] = "192.0.2.1,192.0.2.2",
      ["aaaa=six.example"] = "2001:db8::1",
      ["aaaa=two.example"] = "none",
      ["txt=text.example"] = "v=spf1 -all,timeout",
      ["txt=words.example"] = "servfail",
      ["ptr=192.0.2.7"] = "mx.example.net",
      ["ns=ns.example"] = "a.example",
      ["fcrdns=192.0.2.7"] = "mx.example.net",
      ["fcrdns=192.0.2.8"] = "false",
      ["listed=127.0.0.2"] = "127.0.0.2 listed as a test",
      ["listed=127.0.0.3"] = "false nil",
      ["a=broken.example"] = "nil servfail looking up A of broken.example",
      ["mx=slow.example"] = "nil timeout looking up MX of slow.example",
      ["a=localhost"] = "none",
      ["a=nowhere.example"] = "none",
    } do
      test.equal(s:rcpt(question).text, answer, question)
    end`,
  );
});

test('entries that the DNS could not hold are errors at their line', async (t) => {
  const policy = telling('1');
  for (const [entry, message] of [
    ['["example.com"] = "192.0.2.1"', /test\.dns: "example\.com" is no question/],
    ['["example.com SRV"] = "x"', /is no question: a name and A, AAAA, MX, TXT, PTR or NS/],
    ['["example.com A"] = "2001:db8::1"', /example\.com A: "2001:db8::1": an IPv4 address expected/],
    ['["example.com AAAA"] = { "192.0.2.1" }', /an IPv6 address expected/],
    ['["example.com MX"] = "ten mx"', /a preference and a host expected/],
    ['["a..b A"] = "192.0.2.1"', /"a\.\.b" is no name/],
    ['["example.com A"] = true', /each answer must be a text or a table of texts/],
  ] as const) {
    assert.match(await failureOf(t, policy, `test.dns { ${entry} }`), message, entry);
  }
});

test('the clock stands where it is set, and moves with advance and smtp.delay', async (t) => {
  const policy = `
    local began = os.time()
    function smtp.do_mail(sender)
      if sender == "wait@b.example" then smtp.delay(90.5) end
      return 550, "5.7.1 " .. os.time() - began .. " " .. os.date("!%Y-%m-%d %H:%M:%S")
    end`;
  await passes(
    t,
    policy,
    `
    test.clock(86400)
    local s = test.session { helo = "x" }
    test.equal(os.time(), 86400)
    test.match(s:mail("a@b.example").text, "^0 1970%-01%-02 00:00:00$")
    test.advance(3600)
    test.match(s:mail("a@b.example").text, "^3600 1970%-01%-02 01:00:00$")
    test.match(s:mail("wait@b.example").text, "^3690 1970%-01%-02 01:01:30$")
    test.equal(os.date("!%H:%M:%S", 60), "00:01:00")
    test.equal(os.time { year = 1970, month = 1, day = 2, hour = 12 } // 86400, 1)`,
  );
});

test('without test.clock the time is the real one, and can be advanced', async (t) => {
  const before = Math.floor(Date.now() / 1000);
  await passes(
    t,
    telling('os.time()'),
    `
    test.advance(1000000)
    local s = test.session { helo = "x" }
    local ahead = tonumber(s:mail("a@b.example").text) - ${before}
    assert(ahead >= 1000000 and ahead < 1000060, ahead)`,
  );
});

test('a delay checks its argument and counts as a wait', async (t) => {
  const policy = `
    function smtp.do_mail() smtp.delay(-1) end
    function smtp.do_rcpt() smtp.delay(86400) return 550, "x" end`;
  assert.match(await failureOf(t, policy, `test.session { helo = "x" }:mail "a"`), /seconds expected/);
});

test('the environment holds what the test says, and nothing else', async (t) => {
  Object.assign(process.env, { SMTPF_TEST_SECRET: 'x' });
  t.after(() => {
    Reflect.deleteProperty(process.env, 'SMTPF_TEST_SECRET');
  });
  const policy = telling('(os.getenv("ONE") or "none") .. tostring(os.getenv("SMTPF_TEST_SECRET"))');
  await passes(t, policy, ask('', '"nonenil"'));
  await passes(t, policy, ask('test.env { ONE = "a" } test.env { TWO = 2 }', '"anil"'));
});

test('files of the test stand for files of the system; others are the real ones', async (t) => {
  const read = (name: string) =>
    telling(`(function()
    local f, why = io.open("${name}", "rb")
    if not f then return why end
    local text = f:read("l")
    f:close()
    return text
  end)()`);
  await passes(t, read('/etc/mail/list'), ask('test.file("/etc/mail/list", "mine")', '"mine"'));
  await passes(t, read('/etc/mail/nolist'), ask('', '"/etc/mail/nolist: No such file or directory"'));
  await passes(t, read('/etc/passwd'), ask('', 'io.open("/etc/passwd"):read("l")'));
  await passes(
    t,
    telling('io.open(os.getenv("LIST")):read("a"):byte(4)'),
    ask('test.env { LIST = test.file("sub/list", "caf\\xe9") }', '"233"'),
  );
  await passes(
    t,
    `for line in io.lines("/etc/mail/list") do LAST = line end
     assert(os.rename("/etc/mail/list", "/etc/mail/old"))
     assert(dofile("/etc/mail/code.lua") == 7)
     function smtp.do_mail() return 550, LAST end`,
    `test.file("/etc/mail/list", "one\\ntwo\\n")
     test.file("/etc/mail/old", "")
     test.file("/etc/mail/code.lua", "return 7")
     test.equal(test.session { helo = "x" }:mail("a").text, "two")
     test.equal(io.open("/etc/mail/old"):read("a"), "one\\ntwo\\n")`,
  );
});

test('files can fail to open, or to be read', async (t) => {
  const policy = telling(`(function()
    local f, why = io.open("/etc/mail/list", "rb")
    if not f then return "open: " .. why end
    local text, reason = f:read("a")
    return "read: " .. tostring(text or reason)
  end)()`);
  await passes(
    t,
    policy,
    `test.unreadable "/etc/*/list" test.match(test.session { helo = "x" }:mail("a").text, "^open: .*No such file")`,
  );
  await passes(
    t,
    policy,
    `test.unreadable("*list", "read") test.match(test.session { helo = "x" }:mail("a").text, "s a directory$")`,
  );
  await passes(
    t,
    policy,
    `test.unreadable "*.list" test.match(test.session { helo = "x" }:mail("a").text, "^open: /etc/mail/list:")`,
  );
});

test('each case begins with the world of the file, and leaves nothing behind', async (t) => {
  const report = await run(t, {
    'p.lua': telling(
      '(os.getenv("NAME") or "") .. #dns.a("x.example") .. " " .. os.time() .. io.open("/etc/list"):read("a")',
    ),
    'p_test.lua': `
      test.env { NAME = "file" }
      test.clock(5)
      test.file("/etc/list", "file")
      local function ask() return test.session { helo = "x" }:mail("a").text end
      test.case("one", function()
        test.env { NAME = "case" }
        test.dns { ["x.example A"] = "192.0.2.1" }
        test.advance(5)
        local path = test.file("/etc/list", "case")
        test.equal(ask(), "case1 10case")
        print(test.tmp())
      end)
      test.case("two", function()
        test.equal(ask(), "file0 5file")
        print(test.tmp())
      end)`,
  });
  assert.equal(report.broken, undefined);
  assert.deepEqual(
    report.cases.map(({ failure }) => failure?.message),
    [undefined, undefined],
  );
  const [one = '', two = ''] = report.cases.map(({ printed }) => printed[0]);
  assert.notEqual(one, two);
  assert.ok(one.startsWith('/') && !existsSync(one) && !existsSync(two));
});

test('files of the test are found by whatever function of a policy opens files', async (t) => {
  const policy = `
    local rules = require "smtpf_test_rules"
    local blocked = net.list "/etc/mail/smtpf-test-blocked"
    local names = map.open "/etc/mail/smtpf-test-names"
    function smtp.do_mail(sender)
      local done = dofile "/etc/mail/smtpf-test-chunk.lua"
      return 550, table.concat({ rules.code, tostring(blocked:has(smtp.sess.ip)), names:get "joe", done }, " ")
    end`;
  await passes(
    t,
    policy,
    `
    test.file("/etc/mail/smtpf_test_rules.lua", "return { code = 42 }")
    test.file("/etc/mail/smtpf-test-blocked", "192.0.2.0/24 # test\\n")
    test.file("/etc/mail/smtpf-test-names", "joe yes\\n")
    test.file("/etc/mail/smtpf-test-chunk.lua", "return 'done'")
    local s = test.session { ip = "192.0.2.7", helo = "x" }
    test.equal(s:mail("a@b.example").text, "42 true yes done")`,
  );
});
