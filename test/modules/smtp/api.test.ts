/** The smtpf Lua API as a script sees it, over a milter connection. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startServer, type TestServer } from '../../helpers/milter-server.ts';
import { Mta } from '../../helpers/mta.ts';

/** Logs every callback with its arguments and the fields of the API, one line each, then returns what `answers` says. */
const RECORDER = `
syslog.openlog("test", syslog.LOG_PID, syslog.LOG_MAIL)
local function show(v)
  if type(v) ~= "table" then return tostring(v) end
  local t = {}
  for i = 1, #v do t[i] = v[i] end
  return "{" .. table.concat(t, "|") .. "}"
end
local function record(name, ...)
  local t = { name }
  for i = 1, select("#", ...) do t[#t + 1] = show((select(i, ...))) end
  t[#t + 1] = "helo=" .. tostring(smtp.sess.helo) .. " sender=" .. tostring(smtp.tran.sender)
  syslog.info("CALL " .. table.concat(t, " "))
end
answers = answers or {}
for _, name in ipairs { "do_connect", "do_helo", "do_mail", "do_rcpt", "do_data", "do_headers", "do_chunk" } do
  smtp[name] = function(...) record(name, ...) if answers[name] then return answers[name](...) end end
end
function smtp.do_dot(path)
  local f = assert(io.open(path, "rb"))
  record("do_dot", (f:read("a"):gsub("\\r\\n", "~")))
  f:close()
  if answers.do_dot then return answers.do_dot(path) end
end
function smtp.rset() record("rset", smtp.tran.id) end
function smtp.close() record("close") end
`;

async function start(
  t: TestContext,
  source: string,
  options: Record<string, string> = {},
): Promise<TestServer> {
  const server = await startServer({ source }, options);
  t.after(() => server.close());
  return server;
}

async function calls(server: TestServer): Promise<string[]> {
  await server.log.until(/CALL close/);
  return server.log.lines
    .filter((line) => line.includes('CALL '))
    .map((line) => line.replace(/^.*CALL /, ''));
}

const names = (lines: readonly string[]) => lines.map((line) => line.split(' ')[0]);

test('a session calls every callback in order with the documented arguments', async (t) => {
  const server = await start(t, RECORDER);
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7', 'mx.example.net');
  await mta.helo('mx.example.net');
  await mta.mail('<a@b.example>', 'SIZE=1000', 'BODY=8BITMIME');
  await mta.rcpt('<c@d.example>', 'NOTIFY=NEVER');
  await mta.data();
  const reply = await mta.content(
    [
      ['Subject', ' hi\n\tthere'],
      ['X', 'v'],
    ],
    'one\r\n',
    'two\r\n',
  );
  assert.equal(reply.letter, 'c');
  await mta.quit();
  const rset = / helo=mx.example.net sender=a@b.example/;
  const seen = await calls(server);
  assert.deepEqual(seen.slice(0, -2), [
    'do_connect 192.0.2.7 mx.example.net helo=nil sender=nil',
    'do_helo mx.example.net helo=mx.example.net sender=nil',
    'do_mail a@b.example {SIZE=1000|BODY=8BITMIME} helo=mx.example.net sender=a@b.example',
    'do_rcpt c@d.example {NOTIFY=NEVER} helo=mx.example.net sender=a@b.example',
    'do_data helo=mx.example.net sender=a@b.example',
    'do_headers {Subject: hi\r\n\tthere|X:v} helo=mx.example.net sender=a@b.example'.replaceAll(
      /[\r\n\t]/g,
      (c) => c,
    ),
    'do_chunk one\r\n 5 helo=mx.example.net sender=a@b.example',
    'do_chunk two\r\n 5 helo=mx.example.net sender=a@b.example',
    'do_dot Subject: hi~\tthere~X:v~~one~two~ helo=mx.example.net sender=a@b.example',
  ]);
  assert.match(seen.at(-2) ?? '', /^rset s1\.1 /);
  assert.match(seen.at(-2) ?? '', rset);
  assert.equal(seen.at(-1), 'close helo=mx.example.net sender=nil');
});

test('addresses come in their canonical form, the null sender is empty, whoever wrote them', async (t) => {
  const server = await start(t, RECORDER);
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  for (const [written, seen] of [
    ['<>', ''],
    ['', ''],
    ['<@relay.example,@x.example:User@Example.COM>', 'User@example.com'],
    ['< "User" (x) @ Example.COM.>', 'User@example.com'],
    ['<user%example.com@mx.example>', 'user%example.com@mx.example'],
    ['bare@example.com', 'bare@example.com'],
    ['<"odd >local"@example.com>', '"odd >local"@example.com'],
  ] as const) {
    await mta.mail(written);
    assert.ok((await server.log.until(/CALL do_mail/)).at(-1)?.includes(`CALL do_mail ${seen} {}`), written);
  }
  await mta.quit();
});

test('the client is named by its address alone, and by a name only when the MTA has one', async (t) => {
  const server = await start(t, RECORDER);
  for (const [ip, hostname, shown] of [
    ['192.0.2.7', '[192.0.2.7]', 'do_connect 192.0.2.7  helo'],
    ['IPv6:2001:db8:0:0:0:0:0:1', '[IPv6:2001:db8:0:0:0:0:0:1]', 'do_connect 2001:db8::1  helo'],
    ['2001:db8::1', 'v6.example', 'do_connect 2001:db8::1 v6.example helo'],
  ] as const) {
    const mta = await Mta.open(server);
    await mta.connect(ip, hostname);
    await mta.quit();
    assert.ok(
      server.log.lines.some((line) => line.includes(shown)),
      shown,
    );
  }
});

test('rset comes before a HELO in mid-transaction, before a new MAIL, on ABORT, once each', async (t) => {
  const server = await start(t, RECORDER);
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('a');
  await mta.mail('<one@x>');
  await mta.helo('b');
  mta.abort();
  mta.abort();
  await mta.mail('<two@x>');
  await mta.mail('<three@x>');
  mta.abort();
  mta.abort();
  await mta.mail('<four@x>');
  await mta.drop();
  assert.deepEqual(names(await calls(server)), [
    'do_connect',
    'do_helo',
    'do_mail',
    'rset',
    'do_helo',
    'do_mail',
    'rset',
    'do_mail',
    'rset',
    'do_mail',
    'rset',
    'close',
  ]);
});

test('4yz and 5yz replies reach the MTA as returned, at every callback', async (t) => {
  for (const [index, callback] of [
    'do_connect',
    'do_helo',
    'do_mail',
    'do_rcpt',
    'do_data',
    'do_headers',
    'do_chunk',
    'do_dot',
  ].entries()) {
    const server = await start(
      t,
      `answers = { ${callback} = function() return 451, "4.7.${index} later 100%" end }\n${RECORDER}`,
    );
    const mta = await Mta.open(server);
    const replies = [await mta.connect('192.0.2.7'), await mta.helo('x'), await mta.mail('<a@b>')];
    if (index > 2) {
      replies.push(await mta.rcpt('<c@d>'), await mta.data());
      replies.push(await mta.content([['Subject', ' x']], 'body\r\n'));
    }
    const refused = replies.filter(({ letter }) => letter === 'y');
    assert.ok(refused.length >= 1, callback);
    for (const { text } of refused) assert.equal(text, `451 4.7.${index} later 100%`, callback);
    await mta.quit();
    const seen = names(await calls(server));
    assert.equal(
      seen.filter((name) => name === 'rset').length,
      seen.filter((name) => name === 'do_mail').length,
      callback,
    );
  }
});

test('what lets the mail go on, and what is a script error', async (t) => {
  const continues = [
    '',
    'nil',
    '0',
    '250',
    '"250"',
    'smtp.code.ok',
    '299',
    '0, "text"',
    'smtp.code.continue',
    '250.0',
  ];
  const refuses: [string, string][] = [
    ['550, "no"', '550 5.0.0 no'],
    ['"554", "5.7.9 no"', '554 5.7.9 no'],
    ['smtp.code.reject, "4.7.1 wrong class"', '550 5.0.0 wrong class'],
    ['421, "bye"', '421 4.0.0 bye'],
    ['550', '550 5.0.0 '],
    ['550, "two\\nlines"', '550-5.0.0 two\r\n550 5.0.0 lines'],
    ['550, "two\\r\\nlines"', '550-5.0.0 two\r\n550 5.0.0 lines'],
    ['550, { "two", "lines" }', '550-5.0.0 two\r\n550 5.0.0 lines'],
    ['550, "no", "5.1.1"', '550 5.1.1 no'],
    ['450, 42', '450 4.0.0 42'],
  ];
  const errors = ['354', '999', '{}', '"abc"', 'true', '550.5, "x"', '-1', '100', '550, {{}}', '550, true'];
  const server = await start(
    t,
    'function smtp.do_mail() return load("return " .. smtp.tran.raw_sender:sub(2, -2))() end',
    {
      'on-error': 'tempfail',
    },
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  for (const text of continues) assert.equal((await mta.mail(`<${text}>`)).letter, 'c', text);
  for (const [text, expected] of refuses) {
    const reply = await mta.mail(`<${text}>`);
    assert.ok(reply.text.startsWith(expected), `${text}: ${reply.text}`);
  }
  for (const text of errors) assert.equal((await mta.mail(`<${text}>`)).letter, 't', text);
  assert.equal(server.log.lines.filter((line) => /smtp\.do_mail: returned/.test(line)).length, errors.length);
  await mta.quit();
});

test('a reply text of any size costs no more than a reply can hold', async (t) => {
  const server = await start(
    t,
    `function smtp.do_mail(s)
      if s == "text" then return 550, ("x\\n"):rep(15e6) end
      local lines = {} for i = 1, 300000 do lines[i] = "x" end
      return 550, lines
    end`,
    { 'cpu-ms': '10000' },
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  for (const kind of ['text', 'array']) {
    const reply = await mta.mail(`<${kind}>`);
    assert.equal(reply.text.split('\r\n').length, 32, kind);
  }
  await mta.quit();
});

test('accept, discard and skip', async (t) => {
  const server = await start(
    t,
    `function smtp.do_rcpt(r) return smtp.code[r] end
     chunks = 0
     function smtp.do_chunk() chunks = chunks + 1 return smtp.code.skip end
     function smtp.do_dot() syslog.info("chunks " .. chunks) end`,
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.mail('<a@b>');
  assert.equal((await mta.rcpt('<accept>')).letter, 'a');
  await mta.mail('<a@b>');
  assert.equal((await mta.rcpt('<discard>')).letter, 'd');
  await mta.mail('<a@b>');
  assert.equal((await mta.rcpt('<continue>')).letter, 'c');
  assert.equal((await mta.content([], 'one', 'two', 'three')).letter, 'c');
  await server.log.until(/chunks 1$/);
  await mta.quit();
});

test('a failing callback is logged with file and line, and the configured action is taken', async (t) => {
  for (const [onError, letter] of [
    ['continue', 'c'],
    ['tempfail', 't'],
    ['reject', 'r'],
    ['accept', 'a'],
  ] as const) {
    const server = await start(t, 'function smtp.do_rcpt()\n  local x = nil\n  return x.y\nend', {
      'on-error': onError,
    });
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    mta.macro('M', 'i', 'QUEUE1');
    await mta.mail('<a@b>');
    assert.equal((await mta.rcpt('<c@d>')).letter, letter);
    const [line] = await server.log.until(/attempt to index/);
    assert.match(
      line ?? '',
      /^s1\.1: QUEUE1: smtp\.do_rcpt: .*smtpf\.lua:3: attempt to index a nil value \(local 'x'\)/,
    );
    assert.equal(server.log.records.find(({ text }) => text === line)?.severity, 3);
    await mta.quit();
  }
});

test('a script that cannot run is logged once per version; mail goes on, or is treated as configured', async (t) => {
  for (const [source, message] of [
    ['function smtp.do_rcpt( end', /smtpf\.lua:1: .*expected near/],
    ['error("at load")', /smtpf\.lua:1: at load/],
    ['local t = {} for i = 1, 1e9 do t[i] = {} end', /CPU time|memory/],
  ] as const) {
    for (const [onError, letter] of [
      ['continue', 'c'],
      ['tempfail', 't'],
      ['reject', 'r'],
      ['accept', 'a'],
    ] as const) {
      const server = await start(t, source, { 'on-error': onError, 'cpu-ms': '100' });
      for (let session = 0; session < 3; session++) {
        const mta = await Mta.open(server);
        await mta.connect('192.0.2.7');
        await mta.helo('x');
        assert.equal((await mta.mail('<a@b>')).letter, letter);
        await mta.quit();
      }
      assert.equal(server.log.lines.filter((line) => message.test(line)).length, 1);
      server.writeScript('function smtp.do_mail() return 550, "mended" end');
      const mta = await Mta.open(server);
      await mta.connect('192.0.2.7');
      assert.equal((await mta.mail('<a@b>')).text, '550 5.0.0 mended');
      await mta.quit();
    }
  }
});

test('a missing script is a script that cannot run', async (t) => {
  const server = await startServer({ path: '/nonexistent/smtpf.lua' });
  t.after(() => server.close());
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  assert.equal((await mta.mail('<a@b>')).letter, 'c');
  await mta.quit();
  assert.equal(
    server.log.lines.filter((line) => /\/nonexistent\/smtpf\.lua: No such file/.test(line)).length,
    1,
  );
});

test('an edit takes effect with the next connection, sessions in progress keep their script', async (t) => {
  const server = await start(t, 'function smtp.do_mail() return 550, "old" end');
  const first = await Mta.open(server);
  await first.connect('192.0.2.7');
  server.writeScript('function smtp.do_mail() return 550, "new" end');
  const second = await Mta.open(server);
  await second.connect('192.0.2.7');
  assert.equal((await first.mail('<a@b>')).text, '550 5.0.0 old');
  assert.equal((await second.mail('<a@b>')).text, '550 5.0.0 new');
  await first.quit();
  await second.quit();
});

test('sessions see nothing of each other', async (t) => {
  const server = await start(
    t,
    `function smtp.do_mail(s)
       local seen = tostring(X) .. tostring(string.x) .. tostring(smtp.code.x) .. tostring(("").x) .. tostring(package.loaded.x)
       X, string.x, smtp.code.x, package.loaded.x = 1, 1, 1, 1
       getmetatable("").__index.x = 1
       return 550, seen
     end`,
  );
  for (let i = 0; i < 3; i++) {
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    assert.equal((await mta.mail('<a>')).text, '550 5.0.0 nilnilnilnilnil');
    assert.equal((await mta.mail('<a>')).text, '550 5.0.0 11111');
    await mta.quit();
  }
});

test("the names of smtpf's own code are taken where the API's are absent", async (t) => {
  const server = await start(
    t,
    `function smtp.connect(ip) syslog.info("connect " .. ip) end
     function smtp.mail(s) return 550, "old name, " .. tostring(smtp.trans == smtp.tran) end
     function smtp.rcpt() error("not this one") end
     function smtp.do_rcpt() return 550, "new name" end
     function smtp.do_rset() syslog.info("do_rset") end
     function smtp.do_close() syslog.info("do_close") end`,
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  assert.equal((await mta.mail('<a@b>')).text, '550 5.0.0 old name, true');
  await mta.quit();
  await server.log.until(/do_close/);
  assert.ok(server.log.lines.some((line) => line.endsWith('do_rset')));
  const { warnings } = await server.policies.examine();
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]?.text ?? '', /smtp\.do_rcpt and smtp\.rcpt/);
});

test('the queue id is there as soon as the MTA knows it', async (t) => {
  const server = await start(
    t,
    `function smtp.do_mail() syslog.info("mail " .. tostring(smtp.tran.queue_id)) end
     function smtp.do_data() syslog.info("data " .. tostring(smtp.tran.queue_id)) end
     function smtp.rset() syslog.info("rset " .. tostring(smtp.tran.queue_id)) end
     function smtp.close() syslog.info("close " .. tostring(smtp.tran.queue_id)) end`,
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.mail('<a@b>'); // Postfix: no queue id yet.
  await mta.rcpt('<c@d>');
  mta.macro('T', 'i', '4Q1');
  await mta.data();
  await mta.content([], 'x');
  await mta.quit();
  await server.log.until(/close nil/);
  const lines = server.log.lines.map((line) => line.replace(/^\S+ /, ''));
  for (const line of ['mail nil', 'data 4Q1', 'rset 4Q1']) assert.ok(lines.includes(line), line);
});

test('the message file is private, complete, and gone after the callback, whatever happens', async (t) => {
  const server = await start(
    t,
    `function smtp.do_dot(path)
       local f = io.open(path, "rb")
       local s = f:read("a")
       syslog.info("size " .. #s .. " " .. path)
       if s:find("fail") then error("oops") end
     end`,
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  for (const body of ['short', 'fail', 'x'.repeat(65_535)]) {
    await mta.mail('<a@b>');
    await mta.rcpt('<c@d>');
    const reply = await mta.content([['A', ' b']], ...Array<string>(body.length > 1000 ? 40 : 1).fill(body));
    assert.equal(reply.letter, 'c');
  }
  await mta.quit();
  const lines = await server.log.until(/size \d/, 3);
  assert.deepEqual(
    lines.map((line) => Number(/size (\d+)/.exec(line)?.[1])),
    ['short', 'fail', 'x'.repeat(65_535 * 40)].map((body) => 'A: b\r\n\r\n'.length + body.length),
  );
  assert.deepEqual(readdirSync(join(server.directory, 'spool')), []);
});

test('nothing of JavaScript can be reached by default', async (t) => {
  const server = await start(
    t,
    `function smtp.do_mail(s)
       local found = {}
       for _, name in ipairs { "js", "fengari", "process", "fs", "child_process" } do
         if pcall(require, name) then found[#found + 1] = name end
       end
       if js ~= nil then found[#found + 1] = "global js" end
       if package.jspath then found[#found + 1] = "jspath" end
       if #package.searchers > 2 then found[#found + 1] = "searchers" end
       local f = package.loadlib("/usr/lib/node_modules/npm/index.js", "*")
       if f then found[#found + 1] = "loadlib" end
       if pcall(os.exit, 1) then found[#found + 1] = "exit" end
       for _, name in ipairs { "getregistry", "sethook", "setupvalue", "upvaluejoin", "setmetatable" } do
         if debug[name] and pcall(debug[name], print, 1, "x", 1) then found[#found + 1] = "debug." .. name end
       end
       return 550, "found: " .. table.concat(found, " ")
     end`,
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  const { text, letter } = await mta.mail('<a@b>');
  // os.exit ends the callback: the on-error action (continue) is as good a proof as the empty list.
  if (letter !== 'c') assert.equal(text.trim(), '550 5.0.0 found:');
  await mta.quit();
});

test('a refusal is logged with the line it was returned from, a wrong result too', async (t) => {
  const server = await start(
    t,
    `function smtp.do_mail(s)
       if s == "plain" then
         return 550, "no"
       end
       local function helper()
         return 451, "later"
       end
       if s == "tail" then
         return helper()
       end
       return 999
     end`,
  );
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  for (const sender of ['plain', 'tail', 'wrong']) await mta.mail(`<${sender}>`);
  await mta.quit();
  const lines = server.log.lines.join('\n');
  assert.match(lines, /smtp\.do_mail: 550 no at \S*smtpf\.lua:3 /);
  assert.match(lines, /smtp\.do_mail: 451 later at \S*smtpf\.lua:6 /);
  assert.match(lines, /smtpf\.lua:11: smtp\.do_mail: returned reply code 999/);
});
