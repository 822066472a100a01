/** `smtpf-milter try` as its own process. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readPlan } from '../../src/commands/try/try-options.ts';
import { directory, type Ended, PROGRAM } from '../program/program.ts';

/** Runs it with files of its own, in their directory. Output is latin1: bytes. */
async function tryIt(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  args: readonly string[],
  input?: string,
): Promise<Ended> {
  const cwd = directory(t);
  for (const [name, content] of Object.entries(files)) {
    if (name.includes('/')) mkdirSync(join(cwd, name, '..'), { recursive: true });
    writeFileSync(join(cwd, name), content, 'latin1');
  }
  const [command = '', ...before] = PROGRAM;
  const env = { ...process.env, TMPDIR: cwd };
  const child = spawn(command, [...before, 'try', 'policy.lua', ...args], { cwd, env });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('latin1').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdin.end(input === undefined ? '' : Buffer.from(input, 'latin1'));
  const [code] = await once(child, 'close');
  const left = readdirSync(cwd).filter((name) => name.startsWith('smtpf-milter-try-'));
  assert.deepEqual(left, [], 'no message file or directory stays behind');
  return { code, stdout, stderr };
}

/** What JSON.parse gives; the tests look into it as they like. */
// biome-ignore lint/suspicious/noExplicitAny: the shape is what is tested
type Parsed = any;

/** JSON is UTF-8; each character is a byte of the message. */
function parsed({ stdout }: Ended): Parsed {
  return JSON.parse(Buffer.from(stdout, 'latin1').toString('utf8'));
}

const POLICY = `
print('main', 1)
function smtp.do_connect(ip, ptr)
  syslog.warning('connect from ' .. ip)
  local code = dns.listed(ip, 'zen.example')
  if code then return 554, '5.7.1 listed as ' .. code end
end
function smtp.do_mail(sender, params) smtp.note = params.SIZE end
function smtp.do_rcpt(rcpt)
  if rcpt:find('^no') then return 550, '5.7.1 members only' end
  if rcpt:find('^later') then return 451, 'come\\nback' end
end
function smtp.do_headers(headers)
  header.set('Subject', '[EXT]' .. (header.all('Subject')[1] or ''), { raw = true })
  header.add('X-Seen', #headers)
  header.delete('X-Gone')
end
function smtp.do_chunk(chunk, size) end
function smtp.do_dot(path)
  local file = assert(io.open(path, 'rb'))
  local text = file:read('a')
  file:close()
  if text:find('quarantine me') then smtp.quarantine('asked for') end
  if text:find('discard me') then return smtp.code.discard end
  if text:find('replace me') then body.replace('replaced\\n') smtp.set_sender('new@example.org') smtp.add_rcpt('more@example.org') end
end
function smtp.do_unknown(line) return 502, '5.5.1 what' end
`;

const MESSAGE = `From: Me <me@example.com>
To: a@example.net, B <b@example.net>
Cc: c@example.net
Subject: caf\xe9
\tfolded
X-Gone: x

Hello \xff
.dot
no end`;

const ZONE = '66.2.0.192.zen.example A 127.0.0.4\n66.2.0.192.zen.example TXT why\n';

const FILES = { 'policy.lua': POLICY, 'message.eml': MESSAGE, zone: ZONE };

test('a message goes through: the whole account', async (t) => {
  const ended = await tryIt(t, FILES, ['message.eml', '--dns', 'zone', '--ip', '192.0.2.7']);
  assert.equal(ended.code, 0, ended.stderr);
  assert.equal(ended.stderr, '');
  const text = ended.stdout.replace(/(cpu [\d.]+ ms, )?wall [\d.]+ ms/g, 'TIME');
  for (const line of [
    'C: (connects)',
    '   main chunk  TIME',
    '      print: main\\t1',
    '   smtp.do_connect("192.0.2.7", "") -> continue  policy.lua:7  TIME',
    '      dns A 7.2.0.192.zen.example: nothing  TIME',
    '      log warning: connect from 192.0.2.7',
    'S: 220 mx.example ESMTP Postfix',
    'C: MAIL FROM:<me@example.com>',
    '   smtp.do_rcpt("b@example.net", {}) -> continue  policy.lua:12  TIME',
    'C: RCPT TO:<c@example.net>',
    'S: 250 2.0.0 Ok: queued as 5A000000001',
    'Changes asked for',
    '  add header       X-Seen: 5',
    '  delete header    X-Gone, number 1',
    '  a@example.net  accepted: 250 2.0.0 Ok: queued as 5A000000001',
    'The client of Postfix sees  250 2.0.0 Ok: queued as 5A000000001',
    'The message is accepted',
    '--- sent',
    '+++ delivered',
    '-X-Gone: x',
    '+X-Seen: 5',
    ' .dot',
  ]) {
    assert.ok(text.split('\n').includes(line), `${line}\n---\n${text}`);
  }
  assert.ok(text.includes('+Subject: [EXT]caf\\xe9'), text);
  assert.ok(!text.includes('\x1b'), 'no colours where nobody sees them');
});

test('JSON: verdict, recipients, calls, edits, delivery', async (t) => {
  const args = ['message.eml', '--dns', 'zone', '--json', '--from', 'x@y.example SIZE=10', '--to', 'no@z'];
  const ended = await tryIt(t, FILES, [...args, '--to', 'yes@z', '--to', 'later@z', '--mta', 'sendmail']);
  assert.equal(ended.code, 0, ended.stderr);
  const result = parsed(ended);
  assert.equal(result.mta, 'sendmail');
  assert.deepEqual(result.script.callbacks.slice(0, 2), ['smtp.do_connect', 'smtp.do_mail']);
  assert.deepEqual(result.verdict, {
    code: 250,
    enhanced: '2.0.0',
    text: '6AM00000000001 Message accepted for delivery',
    action: 'accept',
    callback: null,
    where: null,
  });
  const [no, yes, later] = result.recipients;
  assert.deepEqual(no, {
    address: 'no@z',
    code: 550,
    enhanced: '5.7.1',
    text: '<no@z>... members only',
    action: 'reject',
    rcpt: { code: 550, enhanced: '5.7.1', text: '<no@z>... members only' },
  });
  assert.deepEqual(
    [yes.code, yes.action, yes.rcpt],
    [250, 'accept', { code: 250, enhanced: '2.1.5', text: '<yes@z>... Recipient ok' }],
  );
  assert.deepEqual(
    [later.code, later.enhanced, later.text, later.action],
    [451, '4.0.0', 'come\nback', 'tempfail'],
  );
  assert.deepEqual(
    result.calls.map(({ name }: Parsed) => name),
    'connect mail rcpt rcpt rcpt headers chunk dot'.split(' ').map((name) => `smtp.do_${name}`),
  );
  const [connect, mail, refused, , , headers, chunk] = result.calls;
  assert.deepEqual(connect.args, ['192.0.2.1', '']);
  assert.deepEqual(connect.log, [{ level: 'warning', text: 'connect from 192.0.2.1' }]);
  assert.deepEqual(
    connect.lookups.map(({ service, question, answer, failure }: Parsed) => [
      `${service} ${question}`,
      answer,
      failure,
    ]),
    [['dns A 1.2.0.192.zen.example', [], null]],
  );
  assert.deepEqual(mail.args, ['x@y.example', ['SIZE=10']]);
  assert.deepEqual(refused.result, {
    action: 'reject',
    code: 550,
    enhanced: null,
    text: '5.7.1 members only',
  });
  assert.equal(refused.where, 'policy.lua:10');
  assert.equal(typeof refused.cpuMilliseconds, 'number');
  assert.deepEqual(headers.args[0][3], 'Subject: caf\xe9\r\n\tfolded');
  assert.deepEqual(chunk.args, ['Hello \xff\r\n.dot\r\nno end\r\n', 23]);
  assert.deepEqual(result.load.log, [{ level: 'print', text: 'main\t1' }]);
  assert.deepEqual(
    result.edits.map(({ kind, name }: Parsed) => [kind, name]),
    [
      ['changeHeader', 'Subject'],
      ['changeHeader', 'X-Gone'],
      ['addHeader', 'X-Seen'],
    ],
  );
  assert.deepEqual(result.delivery.recipients, [{ address: 'yes@z', params: [] }]);
  assert.match(
    result.delivery.message,
    /\r\nSubject: \[EXT\]caf\xe9\tfolded\r\nX-Seen: 5\r\n\r\nHello \xff\r\n/,
  );
  assert.equal(result.exit, 0);
});

test('a listed client: refused by Postfix at MAIL, in the words of the policy', async (t) => {
  const ended = await tryIt(t, FILES, ['--dns', 'zone', '--ip', '192.0.2.66', '--json']);
  assert.equal(ended.code, 1, ended.stderr);
  const { verdict, recipients, dialogue, delivery } = parsed(ended);
  assert.deepEqual(
    [verdict.code, verdict.text, verdict.callback, verdict.where],
    [554, 'listed as 127.0.0.4', 'smtp.do_connect', 'policy.lua:6'],
  );
  assert.deepEqual(dialogue[0], { client: '', server: ['554 mx.example ESMTP not accepting connections'] });
  assert.deepEqual(
    [recipients[0].address, recipients[0].code, recipients[0].rcpt],
    ['recipient@example.net', 554, null],
  );
  assert.equal(delivery, null);
});

test('exit codes: deferred, all recipients refused, one of them deferred', async (t) => {
  const code = async (...args: readonly string[]) =>
    (await tryIt(t, FILES, [...args.flatMap((to) => ['--to', to]), '--dns', 'zone'])).code;
  assert.equal(await code('later@x'), 2);
  assert.equal(await code('no@x', 'no2@x'), 1);
  assert.equal(await code('no@x', 'later@x'), 2, 'the client will come again');
  assert.equal(await code('no@x', 'yes@x'), 0);
});

test('script errors: a callback fails, the main chunk fails, the file does not compile or is not there', async (t) => {
  const failing = { 'policy.lua': 'function smtp.do_rcpt()\n  local x\n  return x.y\nend' };
  const goesOn = await tryIt(t, failing, ['--json']);
  assert.equal(goesOn.code, 3);
  const result = parsed(goesOn);
  assert.equal(result.verdict.action, 'accept', '--on-error continue');
  assert.match(result.calls[0].error, /^policy\.lua:3: attempt to index a nil value/);
  assert.deepEqual(result.problems, []);

  const deferred = await tryIt(t, failing, ['--on-error', 'tempfail']);
  assert.equal(deferred.code, 3);
  assert.match(deferred.stdout, /S: 451 4\.7\.1 Service unavailable/);
  assert.match(
    deferred.stdout,
    /-> error: policy\.lua:3: attempt to index a nil value .*\(--on-error tempfail\)/,
  );

  const broken = await tryIt(t, { 'policy.lua': 'function smtp.do_rcpt( return end' }, [
    '--on-error',
    'reject',
  ]);
  assert.equal(broken.code, 3);
  assert.match(broken.stdout, /^The script does not run: policy\.lua:1: /);
  assert.match(broken.stdout, /S: 550 5\.7\.1 Command rejected/);

  const main = await tryIt(t, { 'policy.lua': '\nerror("at once")' }, []);
  assert.equal(main.code, 3);
  assert.match(main.stdout, /^The script does not run: policy\.lua:2: at once/);
});

test('body, envelope, quarantine, discard', async (t) => {
  const message = (word: string) => `From: a@b.example\nDate: d\nMessage-Id: m\n\n${word}\n`;
  const files = { ...FILES, r: message('replace me'), q: message('quarantine me'), d: message('discard me') };
  const envelope = 'MAIL FROM:<a@b.example>\nRCPT TO:<one@example.net>\n';
  const session = `EHLO x\n${['r', 'q', 'd'].map((file) => `${envelope}DATA ${file}\n`).join('')}QUIT\n`;
  for (const mta of ['postfix', 'sendmail']) {
    const args = ['--json', '--dns', 'zone', '--mta', mta, '--session', 'session'];
    const ended = await tryIt(t, { ...files, session }, args);
    assert.equal(ended.code, 0, ended.stderr);
    const [replaced, quarantined, discarded] = parsed(ended).messages;
    assert.equal(replaced.delivery.sender.address, 'new@example.org');
    assert.deepEqual(
      replaced.delivery.recipients.map(({ address }: Parsed) => address),
      ['one@example.net', 'more@example.org'],
    );
    assert.match(replaced.delivery.message, /\r\n\r\nreplaced\r\n$/);
    assert.match(replaced.diff, /^-MAIL FROM:<a@b\.example>\n.*\n?\+MAIL FROM:<new@example\.org>$/m);
    assert.deepEqual(replaced.edits.at(-1), { kind: 'replaceBody', size: 9, body: 'replaced\n' });
    assert.deepEqual(
      [quarantined.verdict.code, quarantined.verdict.action, quarantined.delivery.reason],
      [250, 'quarantine', 'asked for'],
    );
    assert.deepEqual(
      [discarded.verdict.code, discarded.verdict.action, discarded.verdict.callback],
      [250, 'discard', 'smtp.do_dot'],
    );
  }
});

test('what the policy knows of the session', async (t) => {
  const policy = `function smtp.do_dot()
    local s = smtp.sess
    print(s.ip, s.ptr, s.helo, s.auth and s.auth.user, s.tls and s.tls.version, s.host, smtp.macro('{x}'), smtp.macro('client_addr'))
  end`;
  const args = [
    '--json',
    '--ip',
    '2001:DB8::1',
    '--ptr',
    'mx.example.com',
    '--auth',
    'jo\xc3\xa9',
    '--tls',
    '1.2',
  ];
  const macros = ['--macro', 'x=y=z', '--macro', 'j=mta.test'];
  const { calls, dialogue } = parsed(await tryIt(t, { 'policy.lua': policy }, [...args, ...macros]));
  assert.deepEqual(calls[0].log, [
    {
      level: 'print',
      text: '2001:db8::1\tmx.example.com\tmx.example.com\tjo\xc3\x83\xc2\xa9\tTLSv1.2\tmta.test\ty=z\t2001:DB8::1',
    },
  ]);
  const said = dialogue.map(({ client }: Parsed) => client.replace(/ .*/, ''));
  assert.deepEqual(said, ['', 'EHLO', 'STARTTLS', 'EHLO', 'AUTH', 'MAIL', 'RCPT', 'DATA', '.', 'QUIT']);
});

const SESSION = `# two messages, and what goes wrong between them
EHLO one.example
MAIL FROM:<a@b.example>
RCPT TO:<no@x>
RCPT TO:<yes@x>
FOO
RSET

MAIL FROM:<c@d.example>
RCPT TO:<yes@x>
DATA message.eml
MAIL FROM:<e@f.example>
RCPT TO:<no@x>
DATA
Subject: never sent

.
RSET
MAIL FROM:<g@h.example>
RCPT TO:<yes@x>
DATA
Subject: inline

..dot
.
QUIT
`;

test('a session script with several messages, from a file', async (t) => {
  const ended = await tryIt(t, { ...FILES, session: SESSION }, [
    '--session',
    'session',
    '--dns',
    'zone',
    '--json',
  ]);
  assert.equal(ended.code, 1, ended.stderr);
  const { messages, dialogue, verdict, calls } = parsed(ended);
  assert.deepEqual(
    messages.map((message: Parsed) => [
      message.sent.sender.address,
      message.verdict.code,
      message.recipients.length,
    ]),
    [
      ['c@d.example', 250, 1],
      ['e@f.example', 550, 1],
      ['g@h.example', 250, 1],
    ],
  );
  assert.match(messages[2].delivery.message, /\r\n\r\n\.dot\r\n$/);
  assert.equal(verdict.code, 250);
  assert.deepEqual(
    dialogue.find(({ client }: Parsed) => client === 'FOO'),
    { client: 'FOO', server: ['502 5.5.1 what'] },
  );
  assert.deepEqual(dialogue.at(-1), { client: 'QUIT', server: ['221 2.0.0 Bye'] });
  assert.equal(calls.filter(({ name }: Parsed) => name === 'smtp.do_mail').length, 4);
});

test('a session script from a pipe, and a client that goes', async (t) => {
  const policy = `function smtp.do_mail() end function smtp.rset() print('rset') end function smtp.close() print('close') end`;
  const script = 'EHLO a\nMAIL FROM:<a@b>\nRCPT TO:<caf\xc3\xa9@x>\n';
  const ended = await tryIt(t, { 'policy.lua': policy }, ['--session', '-'], script);
  assert.equal(ended.code, 0);
  assert.match(
    ended.stdout,
    /C: RCPT TO:<caf\xc3\xa9@x>\n(.*\n)*S: 250 2\.1\.5 Ok\n(.*\n)*.*print: rset\n(.*\n)*.*print: close\n/,
  );
});

test('421 ends the session, wherever it is given', async (t) => {
  const policy = `function smtp.do_connect() return 421, 'bye' end`;
  const ended = await tryIt(t, { 'policy.lua': policy }, ['--json']);
  assert.equal(ended.code, 2);
  const { verdict, dialogue } = parsed(ended);
  assert.deepEqual([verdict.code, verdict.enhanced, verdict.callback], [421, null, 'smtp.do_connect']);
  assert.equal(dialogue.length, 1);
});

const MBOX = `From a@b Mon Jan  1 00:00:00 2026
From: one@example.com
To: no@x

>From the start
From here

From b@c Mon Jan  1 00:00:00 2026
From: two@example.com
To: later@x, yes@x
X: y

quarantine me

From b@c Mon Jan  1 00:00:00 2026
From: three@example.com
To: later@x

last
`;

test('--repeat with an mbox: outcomes, lines of the script, slowest callbacks', async (t) => {
  const ended = await tryIt(t, { ...FILES, mbox: MBOX }, ['--repeat', 'mbox', '--dns', 'zone', '--json']);
  assert.equal(ended.code, 1, ended.stderr);
  assert.equal(ended.stderr, '', 'no progress bar where nobody sees it');
  const { messages, outcomes, lines, slowest } = parsed(ended);
  assert.deepEqual(
    messages.map(({ name, verdict }: Parsed) => [name, verdict.code, verdict.action]),
    [
      ['1', 550, 'reject'],
      ['2', 250, 'quarantine'],
      ['3', 451, 'tempfail'],
    ],
  );
  assert.deepEqual(outcomes, { accept: 0, quarantine: 1, discard: 0, tempfail: 1, reject: 1 });
  assert.deepEqual(lines, [
    { where: 'policy.lua:11', answer: '451 come / back', count: 2, messages: ['2', '3'] },
    { where: 'policy.lua:10', answer: '550 5.7.1 members only', count: 1, messages: ['1'] },
  ]);
  assert.equal(slowest.length, 10);
  assert.ok(slowest[0].wallMilliseconds >= slowest[9].wallMilliseconds);

  const table = await tryIt(t, { ...FILES, mbox: MBOX }, ['--repeat', 'mbox', '--dns', 'zone']);
  assert.equal(table.code, 1);
  assert.match(
    table.stdout,
    /^3 messages in .*\n\n {6}1 {2}quarantined\n {6}1 {2}tempfail\n {6}1 {2}refused\n/m,
  );
  assert.match(table.stdout, /^ {6}2 {2}policy\.lua:11 {2}451 come \/ back\n {9}2, 3$/m);
});

test('--repeat with a directory, and an error in one of its messages', async (t) => {
  const policy = `function smtp.do_headers(h) if h[1] == 'A: fail' then error('oops') end end`;
  const files = {
    'policy.lua': policy,
    'd/cur/2': 'A: fail\n\n',
    'd/cur/1': 'A: b\n\n',
    'd/.hidden': 'A: fail\n\n',
  };
  const ended = await tryIt(t, files, ['--repeat', 'd']);
  assert.equal(ended.code, 3);
  assert.match(ended.stdout, /^ {6}2 {2}accepted\n {6}1 {2}with script errors$/m);
  assert.match(ended.stdout, /^ {2}cur\/2: smtp\.do_headers: policy\.lua:1: oops/m);
});

test('what is wrong with options and files is said in one line, with exit code 64', async (t) => {
  for (const [args, message] of [
    [['--dns', 'bad'], /^smtpf-milter: --dns bad:1: "x": a name, a type and a value expected$/],
    [['--repeat', 'empty'], /^smtpf-milter: --repeat empty: no messages in it$/],
    [['--mta', 'exim'], /^smtpf-milter: --mta: "exim" must be postfix or sendmail$/],
    [['--jsn'], /^smtpf-milter: --jsn: unknown option \(did you mean --json\?\)$/],
    [['--listen', 'inet:1@127.0.0.1'], /^smtpf-milter: --listen: not an option of try$/],
  ] as const) {
    const ended = await tryIt(t, { 'policy.lua': '', bad: 'x\n', 'empty/.x': '' }, [...args]);
    assert.equal(ended.code, 64, args.join(' '));
    assert.match(ended.stderr.trimEnd(), message);
    assert.equal(ended.stdout, '');
  }
});

test('CPU time and time on the wall are told apart', async (t) => {
  const source = `
    function smtp.do_mail() smtp.delay(0.4) end
    function smtp.do_rcpt() local n = 0 for i = 1, 3e6 do n = n + i end end`;
  const files = { 'policy.lua': source };
  const { calls } = parsed(await tryIt(t, files, ['--json']));
  const [waits, works] = calls;
  assert.ok(waits.wallMilliseconds >= 395, `${waits.wallMilliseconds}`);
  assert.ok(waits.cpuMilliseconds < 200, `${waits.cpuMilliseconds}`);
  assert.ok(works.cpuMilliseconds > 10, `${works.cpuMilliseconds}`);
  assert.ok(works.cpuMilliseconds <= works.wallMilliseconds, JSON.stringify(works));
  const text = await tryIt(t, files, []);
  const [, wall] = /smtp\.do_mail\(.*\) -> .*cpu \d+\.\d ms, wall (\d+\.\d) ms$/m.exec(text.stdout) ?? [];
  assert.ok(Number(wall) >= 395, text.stdout);
});

test('a message and a mailbox may come from standard input', async (t) => {
  const files = { 'policy.lua': 'function smtp.do_headers(h) return 550, "5.7.1 " .. h[#h] end' };
  const message = await tryIt(t, files, ['-'], 'From: a@b.example\nSubject: piped\n\nx\n');
  assert.equal(message.code, 1);
  assert.match(message.stdout, /sees {2}550 5\.7\.1 Subject: piped$/m);
  const mbox = await tryIt(t, files, ['--repeat', '-'], 'From x\nA: one\n\nFrom y\nA: two\n\n');
  assert.match(mbox.stdout, /^2 messages in/m);
});

for (const [args, message] of [
  [{ ip: '1.2.3' }, /^--ip: "1\.2\.3" must be an IP address/],
  [{ tls: 'yes' }, /^--tls: "yes" must be a version of TLS/],
  [{ macro: ['a=b', 'i'] }, /^--macro: "i" must be NAME=VALUE$/],
  [{ to: '<>' }, /^--to: "<>" must be an address$/],
  [{ from: '<a' }, /^--from: "<a" must be an address$/],
  [{ session: 'x', repeat: 'y' }, /^try: --session and --repeat: only one of them at a time$/],
  [{ message: 'bad', repeat: 'y' }, /^try: MESSAGE and --repeat: only one of them at a time$/],
] as const) {
  test(`refused: ${JSON.stringify(args)}`, () => {
    assert.throws(() => readPlan({ policy: 'p.lua', ...args }), {
      name: 'OperatorError',
      exitCode: 64,
      message,
    });
  });
}
