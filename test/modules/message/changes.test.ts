/** Changes to messages, from a Lua script to the bytes of the modifications. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startServer, type TestServer } from '../../helpers/milter-server.ts';
import { Mta, type Reply } from '../../helpers/mta.ts';

const HEADERS = [
  ['Received', ' from mx.example.net'],
  ['From', ' =?utf-8?Q?J=C3=BCrgen?= <j@B.Example>,\n\t"Doe, Jane" <jane@b.example>'],
  ['Subject', ' =?iso-8859-1?Q?caf=E9?= \xe9'],
  ['X-Spam', ' one'],
  ['x-spam', 'two'],
  ['X-Spam', ' three'],
] as const;

interface Given {
  readonly callback?: string;
  readonly actions?: number;
  readonly protocol?: number;
  readonly version?: number;
  readonly options?: Record<string, string>;
}

async function start(t: TestContext, source: string, options = {}): Promise<TestServer> {
  const server = await startServer({ source }, options);
  t.after(() => server.close());
  return server;
}

/** One message with two recipients. */
async function message(mta: Mta): Promise<Reply> {
  await mta.mail('<a@b.example>', 'SIZE=1000');
  await mta.rcpt('<C@D.example>', 'NOTIFY=NEVER');
  await mta.rcpt('bare@d.example');
  await mta.data();
  return mta.content(HEADERS, 'body\r\n');
}

const shown = ({ modifications }: Reply): string[] =>
  modifications.map(({ letter, payload }) => {
    const index = 'im'.includes(letter) ? `${payload.readUInt32BE(0)} ` : '';
    const text = payload.subarray('im'.includes(letter) ? 4 : 0).toString('latin1');
    return `${letter} ${index}${JSON.stringify(letter === 'b' ? text : text.replaceAll('\0', '|'))}`;
  });

/** What `code`, as the body of a callback, makes of a message; its results are logged. */
async function run(t: TestContext, code: string, given: Given = {}) {
  const callback = given.callback ?? 'do_headers';
  const source = `
    local function log(...)
      local t = table.pack(...)
      for i = 1, t.n do t[i] = tostring(t[i]) end
      syslog.info("GOT " .. table.concat(t, " | "))
    end
    function smtp.${callback}()
      ${code}
    end`;
  const server = await start(t, source, given.options);
  const mta = await Mta.open(server, given.version, given.actions, given.protocol);
  await mta.connect('192.0.2.7');
  await mta.helo('mx.example.net');
  const reply = await message(mta);
  await mta.quit();
  const { lines } = server.log;
  const got = lines.filter((line) => line.includes('GOT ')).map((line) => line.replace(/^.*?GOT /, ''));
  return { reply, sent: shown(reply), got, lines, mta };
}

test('every change goes out at the end of the message, in its packet', async (t) => {
  const { reply, sent, got } = await run(
    t,
    `log(header.add("X-Added: \\233", { raw = true }), header.add("X-Name", "value"))
    log(header.insert("X-Top:top", 0))
    log(header.modify("subject", 1, "new\\r\\n\\tfold"), header.delete("X-Spam"), header.set("From", "<x@y.example>"))
    log(smtp.add_rcpt("x@y.example"), smtp.add_rcpt("<z@y.example>", { "NOTIFY=NEVER", "ORCPT=rfc822;z" }))
    log(smtp.del_rcpt("C@d.example"), smtp.del_rcpt("<bare@d.example>"), smtp.del_rcpt("c@d.example"))
    log(smtp.set_sender("", "RET=HDRS"), smtp.quarantine("caf\\233\\r\\nwhy"))
    log(body.replace("one\\r\\n"), body.replace("two\\0\\255\\r\\n"))`,
  );
  assert.equal(reply.letter, 'c');
  assert.deepEqual(sent, [
    'm 1 "From| <x@y.example>|"',
    'm 1 "Subject| new\\n\\tfold|"',
    'm 3 "X-Spam||"',
    'm 2 "x-spam||"',
    'm 1 "X-Spam||"',
    'i 0 "X-Top|top|"',
    'h "X-Added| é|"',
    'h "X-Name| value|"',
    'e "<>|RET=HDRS|"',
    '+ "<x@y.example>|"',
    '2 "<z@y.example>|NOTIFY=NEVER ORCPT=rfc822;z|"',
    '- "<C@D.example>|"',
    '- "bare@d.example|"',
    'q "café  why|"',
    'b "two\\u0000ÿ\\r\\n"',
  ]);
  assert.deepEqual(got, [
    'true | true',
    'true',
    'true | true | true',
    'true | true',
    'true | true | false',
    'true | true',
    'true | true',
  ]);
});

for (const callback of ['do_mail', 'do_rcpt', 'do_data', 'do_headers', 'do_chunk', 'do_dot']) {
  test(`a change made in ${callback} goes out`, async (t) => {
    const { sent } = await run(t, 'header.set("Subject", "s") header.delete("x-spam", 2)', { callback });
    const twice = callback === 'do_rcpt';
    assert.deepEqual(sent, ['m 1 "Subject| s|"', ...(twice ? ['m 3 "X-Spam||"'] : []), 'm 2 "x-spam||"']);
  });
}

test('headers are read as people read them, with the edits of the script', async (t) => {
  const { got, sent } = await run(
    t,
    `log(header.get("subject"), header.get("X-Spam", 2), header.get("X-Spam", 4))
    log(table.concat(header.all("X-Spam"), ","), #header.all("X-None"))
    log(header.find("X-SPAM", 2))
    log(header.find("From", 1))
    for _, m in ipairs(header.addr("From")) do log(m.name, m.addr, m.user, m.domain) end
    log(#header.addr("To"), header.find("To", 1))
    header.delete("X-Spam", 1) header.add("X-Spam", "four") header.insert("X-Spam: zero", 0)
    log(table.concat(header.all("X-Spam"), ","))`,
  );
  assert.deepEqual(sent.length, 3);
  assert.deepEqual(got, [
    'caf\xc3\xa9 \xe9 | two | nil',
    'one,two,three | 0',
    '5 | x-spam:two',
    '2 | From: =?utf-8?Q?J=C3=BCrgen?= <j@B.Example>,\r\n\t"Doe, Jane" <jane@b.example>',
    'J\xc3\xbcrgen | j@b.example | j | b.example',
    'Doe, Jane | jane@b.example | jane | b.example',
    '0 | nil',
    'zero,two,three,four',
  ]);
});

test('before do_headers only what the script added is found', async (t) => {
  const { got } = await run(
    t,
    'header.add("X-Spam", "own") log(header.get("X-Spam"), header.get("Subject")) header.delete("X-Spam")',
    { callback: 'do_data' },
  );
  assert.deepEqual(got, ['own | nil']);
});

for (const [what, code, complaint] of [
  ['no colon', 'header.add("no colon")', /bad argument #1 to 'add' \(header line without a colon\)/],
  [
    'an injected header',
    'header.add("X", "a\\r\\nEvil: b")',
    /bad argument #2 to 'add' \(line end in a header/,
  ],
  ['an injected header in a line', 'header.insert("X: a\\nEvil: b", 0)', /bad argument #1 to 'insert'/],
  ['the end of the headers', 'header.set("X", "a\\r\\n\\r\\nbody")', /bad argument #2 to 'set'/],
  ['a NUL', 'header.modify("Subject", 1, "a\\0b")', /bad argument #3 to 'modify' \(NUL byte/],
  ['a bad name', 'header.set("X Y", "v")', /bad argument #1 to 'set' \(header name/],
  ['a name with a line end', 'header.delete("X\\r\\nY")', /bad argument #1 to 'delete'/],
  [
    'the zeroth header',
    'header.modify("X", 0, "v")',
    /bad argument #2 to 'modify' \(headers of a name are counted from 1/,
  ],
  ['a negative index', 'header.insert("X: v", -1)', /bad argument #2 to 'insert'/],
  ['nil as value', 'header.add("X-Spam", nil)', /bad argument #2 to 'add' \(string expected, got nil/],
  ['no value', 'header.modify("X-Spam", 1)', /bad argument #3 to 'modify'/],
  [
    'two recipients',
    'smtp.add_rcpt("a@b.example,c@d.example")',
    /bad argument #1 to 'add_rcpt' \(not one mail address/,
  ],
  ['a recipient with a line end', 'smtp.add_rcpt("a@b\\r\\nDATA")', /bad argument #1 to 'add_rcpt'/],
  ['an empty recipient', 'smtp.add_rcpt("<>")', /bad argument #1 to 'add_rcpt' \(empty address/],
  ['an empty recipient to delete', 'smtp.del_rcpt("")', /bad argument #1 to 'del_rcpt' \(empty address/],
  ['two senders', 'smtp.set_sender("a@b.example, c@d.example")', /bad argument #1 to 'set_sender'/],
  [
    'a parameter with a line end',
    'smtp.set_sender("a@b", "RET=HDRS\\nX")',
    /bad argument #2 to 'set_sender' \(control/,
  ],
  [
    'parameters that are none',
    'smtp.add_rcpt("a@b", { {} })',
    /bad argument #2 to 'add_rcpt' \(ESMTP parameters are/,
  ],
  ['no reason', 'smtp.quarantine(" \\r\\n")', /bad argument #1 to 'quarantine' \(empty reason/],
  ['no body', 'body.replace()', /bad argument #1 to 'replace'/],
] as const) {
  test(`${what} is an error with the line of the script`, async (t) => {
    const { sent, lines } = await run(t, `\n${code}`);
    assert.deepEqual(sent, []);
    const error = lines.find((line) => complaint.test(line));
    assert.ok(error, lines.join('\n'));
    assert.match(error, /smtpf\.lua:9: bad argument/);
  });
}

for (const [code, actions, why] of [
  ['header.add("X: v")', 0x1ff & ~0x1, 'add headers'],
  ['header.insert("X: v", 0)', 0x1ff & ~0x1, 'add headers'],
  ['header.set("X-None", "v")', 0x1ff & ~0x1, 'add headers'],
  ['header.modify("Subject", 1, "v")', 0x1ff & ~0x10, 'change headers'],
  ['header.modify("Subject", 1, nil)', 0x1ff & ~0x10, 'change headers'],
  ['header.delete("Subject")', 0x1ff & ~0x10, 'change headers'],
  ['header.set("Subject", "v")', 0x1ff & ~0x10, 'change headers'],
  ['body.replace("x")', 0x1ff & ~0x2, 'replace the body'],
  ['smtp.add_rcpt("x@y.example")', 0x1ff & ~0x4, 'add recipients'],
  ['smtp.add_rcpt("x@y.example", "NOTIFY=NEVER")', 0x1ff & ~0x80, 'add recipients with parameters'],
  ['smtp.del_rcpt("C@d.example")', 0x1ff & ~0x8, 'delete recipients'],
  ['smtp.set_sender("x@y.example")', 0x1ff & ~0x40, 'change the sender'],
  ['smtp.quarantine("why")', 0x1ff & ~0x20, 'quarantine messages'],
] as const) {
  test(`${code} says so where the MTA does not offer it`, async (t) => {
    const { sent, got } = await run(t, `log(${code})`, { actions });
    assert.deepEqual(sent, []);
    assert.deepEqual(got, [`nil | refused: the MTA has not agreed to let this filter ${why}`]);
    const others = await run(t, `log(${code})`, { actions: 0x1ff });
    assert.deepEqual(others.got, ['true']);
    assert.equal(others.sent.length, 1);
  });
}

test('to change a header takes no right to add one', async (t) => {
  const { sent } = await run(t, 'header.modify("Subject", 1, "v")', { actions: 0x10 });
  assert.deepEqual(sent, ['m 1 "Subject| v|"']);
});

test('without leading spaces from the MTA the space is left to it', async (t) => {
  const { sent } = await run(
    t,
    'header.add("X", "v") header.add("Y: v") header.add("Z:v") header.set("Subject", "")',
    {
      protocol: 0xfffff,
    },
  );
  assert.deepEqual(sent, ['m 1 "Subject| |"', 'h "X|v|"', 'h "Y|v|"', 'h "Z|v|"']);
});

for (const answer of ['550, "no"', '451, "later"', 'smtp.code.discard']) {
  test(`nothing is sent with ${answer}`, async (t) => {
    const { reply, sent } = await run(t, `header.add("X", "v") smtp.add_rcpt("x@y") return ${answer}`, {
      callback: 'do_dot',
    });
    assert.deepEqual(sent, []);
    assert.ok('yd'.includes(reply.letter), reply.letter);
  });
}

test('changes go out with accept, also with one before the end', async (t) => {
  const { reply, sent } = await run(t, 'header.add("X", "v") return smtp.code.accept', {
    callback: 'do_dot',
  });
  assert.deepEqual([reply.letter, ...sent], ['a', 'h "X| v|"']);
  const source = `
    function smtp.do_rcpt() header.set("Subject", "s") return smtp.code.accept end
    function smtp.do_headers() syslog.info("NOT CALLED") return 550, "no" end`;
  const server = await start(t, source);
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('x');
  const early = await message(mta);
  assert.deepEqual([early.letter, ...shown(early)], ['a', 'm 1 "Subject| s|"']);
  assert.ok(!server.log.lines.some((line) => line.includes('NOT CALLED')));
  await mta.quit();
});

test('accept without changes is given at once', async (t) => {
  const server = await start(t, 'function smtp.do_rcpt() return smtp.code.accept end');
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('x');
  await mta.mail('<a@b.example>');
  assert.equal((await mta.rcpt('<c@d.example>')).letter, 'a');
  await mta.quit();
});

test('a message has its own changes only', async (t) => {
  const source = `
    local n = 0
    function smtp.do_mail() n = n + 1 if n < 3 then header.add("X-N", n) end end
    function smtp.do_headers() if n == 1 then return 550, "no" end end`;
  const server = await start(t, source);
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('x');
  assert.equal((await message(mta)).letter, 'y');
  assert.deepEqual(shown(await message(mta)), ['h "X-N| 2|"']);
  assert.deepEqual(shown(await message(mta)), []);
  await mta.quit();
});

test('a refused recipient cannot be deleted, an accepted one can in its own callback', async (t) => {
  const source = `
    function smtp.do_rcpt(addr)
      if addr == "C@d.example" then return 550, "no" end
      syslog.info("GOT " .. tostring(smtp.del_rcpt("C@d.example")) .. " " .. tostring(smtp.del_rcpt(addr)))
    end`;
  const server = await start(t, source);
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('x');
  assert.deepEqual(shown(await message(mta)), ['- "bare@d.example|"']);
  await server.log.until(/GOT false true/);
  await mta.quit();
});

test('a recipient that deletes itself and is refused takes no other with it', async (t) => {
  const source = `
    function smtp.do_rcpt(addr)
      if addr == "bare@d.example" then
        smtp.del_rcpt(addr)
        return 550, "no"
      end
    end
    function smtp.do_dot() syslog.info("GOT " .. tostring(smtp.del_rcpt("C@d.example"))) end`;
  const server = await start(t, source);
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('x');
  assert.deepEqual(shown(await message(mta)), ['- "bare@d.example|"', '- "<C@D.example>|"']);
  await server.log.until(/GOT true/);
  await mta.quit();
});

for (const [where, source] of [
  ['the main chunk', 'header.add("X", "v")'],
  ['do_connect', 'function smtp.do_connect() smtp.quarantine("x") end'],
  ['do_helo', 'function smtp.do_helo() return header.get("Subject") end'],
  ['close', 'function smtp.close() body.replace("x") end'],
] as const) {
  test(`outside a message a call is an error: ${where}`, async (t) => {
    const server = await start(t, source);
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    await mta.helo('x');
    await mta.quit();
    await server.log.until(/smtpf\.lua:1: no message: only callbacks/);
  });
}

test('what is asked of the MTA follows from the script', async (t) => {
  for (const [source, actions, headers] of [
    ['function smtp.do_rcpt() header.add("X", "v") end', 0x1ff, true],
    ['function smtp.do_rcpt() require("x").check() end', 0x1ff, true],
    ['function smtp.do_rcpt() end', 0x1ff, false],
    ['function smtp.do_connect() end', 0, false],
  ] as const) {
    const server = await start(t, source);
    const mta = await Mta.open(server);
    assert.equal(mta.actions, actions, source);
    assert.equal((mta.protocol & 0x20) === 0, headers, source);
    await mta.drop();
  }
});

test('edits made before the script went over its budget are kept', async (t) => {
  const source = `
    function smtp.do_rcpt() smtp.quarantine("suspect") header.set("Subject", "s") end
    function smtp.do_data() while true do end end`;
  const server = await start(t, source, { 'cpu-ms': '200' });
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  await mta.helo('x');
  assert.deepEqual(shown(await message(mta)), ['m 1 "Subject| s|"', 'q "suspect|"']);
  await mta.quit();
});

test('a body larger than a packet is one unbroken run', async (t) => {
  const { sent, reply } = await run(t, 'body.replace(("x"):rep(150000)) header.add("X", "v")');
  assert.equal(sent.length, 4);
  assert.equal(sent[0], 'h "X| v|"');
  assert.equal(Buffer.concat(reply.modifications.slice(1).map(({ payload }) => payload)).length, 150_000);
});

test('a lone CR in a new body ends a line', async (t) => {
  for (const [lua, sent] of [
    ['"a\\rb\\r\\nc\\r"', 'a\r\nb\r\nc\r\n'],
    ['"\\r\\r\\n\\n\\r"', '\r\n\r\n\n\r\n'],
    ['"a\\r\\n.\\r\\n"', 'a\r\n.\r\n'],
    ['""', ''],
  ] as const) {
    const { sent: packets } = await run(t, `body.replace(${lua})`);
    assert.deepEqual(packets, [`b ${JSON.stringify(sent)}`]);
  }
  const { reply } = await run(t, 'body.replace(("x"):rep(3000000) .. ("\\r"):rep(100000))');
  const body = Buffer.concat(reply.modifications.map(({ payload }) => payload)).toString('latin1');
  assert.ok(body === `${'x'.repeat(3_000_000)}${'\r\n'.repeat(100_000)}`);
});

test('addresses that Sendmail cannot take are errors, but where the MTA is Postfix', async (t) => {
  const address = `${'x'.repeat(300)}@y.example`;
  for (const [code, complaint] of [
    [`smtp.add_rcpt("${address}")`, /of more than 253 bytes, which Sendmail does not take/],
    ['smtp.add_rcpt("x@y..example", "NOTIFY=NEVER")', /with an empty label in its domain/],
    ['smtp.set_sender("\\195\\128@y.example")', /with a byte that Sendmail does not take/],
    ['smtp.add_rcpt("|x")', /that Sendmail takes for a program or a file/],
  ] as const) {
    const source = `function smtp.do_dot() ${code} end`;
    for (const [version, count] of [
      ['Postfix 3.7.11', 1],
      ['8.17.1', 0],
      [undefined, 0],
    ] as const) {
      const server = await start(t, source);
      const mta = await Mta.open(server);
      if (version !== undefined) mta.macro('C', 'v', version);
      await mta.connect('192.0.2.7');
      await mta.helo('x');
      assert.equal((await message(mta)).modifications.length, count, `${code} on ${version}`);
      assert.equal(
        server.log.lines.some((line) => complaint.test(line)),
        count === 0,
      );
      await mta.quit();
    }
  }
});

test('two sessions do not share edits', async (t) => {
  const server = await start(
    t,
    'function smtp.do_helo(name) who = name end function smtp.do_mail() header.add("X", who) end',
  );
  const both = await Promise.all([Mta.open(server), Mta.open(server)]);
  for (const [i, mta] of both.entries()) {
    await mta.connect('192.0.2.7');
    await mta.helo(`h${i}`);
  }
  const replies = await Promise.all(both.map(message));
  assert.deepEqual(replies.map(shown), [['h "X| h0|"'], ['h "X| h1|"']]);
  await Promise.all(both.map((mta) => mta.quit()));
});
