/** examples/access.lua over a milter connection. */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { startServer, type TestServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';
import { directory } from './program.ts';

const POLICY = new URL('../../examples/access.lua', import.meta.url).pathname;

/** The server, and where its table is. */
async function start(
  t: TestContext,
  table?: string,
  options: Readonly<Record<string, string>> = {},
): Promise<{ server: TestServer; path: string }> {
  const path = join(directory(t), 'access');
  process.env.SMTPF_ACCESS = path;
  t.after(() => {
    delete process.env.SMTPF_ACCESS;
  });
  if (table !== undefined) writeFileSync(path, table, 'latin1');
  const server = await startServer({ path: POLICY }, { 'on-error': 'tempfail', ...options });
  t.after(() => server.close());
  return { server, path };
}

/** What MAIL is answered; the text of a refusal, or the letter. */
async function answer(server: TestServer, ip: string): Promise<string> {
  const mta = await Mta.open(server);
  assert.equal((await mta.connect(ip)).letter, 'c');
  assert.equal((await mta.helo('x')).letter, 'c');
  const first = await mta.mail('<a@b.example>');
  // The second message of the session is answered as the first.
  assert.deepEqual(await mta.mail('<>'), first);
  await mta.quit();
  return first.text || first.letter;
}

const TABLE = `# a comment
   # and another
192.0.2.66          REJECT
198.51.100.0/24     reject  5.7.1 100% of you\t
198.51.100.25       OK
198.51.100.128/25   451 4.7.1 come back later
198.51.100.129/32   550
10.0.0.0/8 REJECT net 10
10.255.255.255 OK

::ffff:128.0.0.0/97 REJECT upper half
240.0.0.0/4         OK
2001:DB8:BAD::/48   REJECT v6
2001:db8:bad:0:0:0:0:7  OK
2001:db8:bad:8000::/49 421 4.7.0 bye
2001:db8:c0de::f8/125 REJECT eight of them
::ffff:203.0.113.0/120 REJECT mapped
::/8 REJECT low
fc00::/7 REJECT wide
`;

test('the most specific line counts', async (t) => {
  const { server } = await start(t, TABLE);
  for (const [ip, expected] of [
    ['192.0.2.66', '550 5.7.1 access denied'],
    ['192.0.2.67', '550 5.0.0 upper half'],
    ['8.8.8.8', 'c'],
    ['127.255.255.255', 'c'],
    ['128.0.0.0', '550 5.0.0 upper half'],
    ['239.255.255.255', '550 5.0.0 upper half'],
    ['255.255.255.255', 'c'],
    ['198.51.100.1', '550 5.7.1 100% of you'],
    ['198.51.100.25', 'c'],
    ['198.51.100.127', '550 5.7.1 100% of you'],
    ['198.51.100.128', '451 4.7.1 come back later'],
    ['198.51.100.129', '550 5.0.0 Requested action not taken: mailbox unavailable'],
    ['10.1.2.3', '550 5.0.0 net 10'],
    ['10.255.255.255', 'c'],
    ['2001:db8:bad::1', '550 5.0.0 v6'],
    ['IPv6:2001:db8:bad:0:0:0:0:7', 'c'],
    ['2001:db8:bad:7fff:ffff:ffff:ffff:ffff', '550 5.0.0 v6'],
    ['2001:db8:bad:8000::', '421 4.7.0 bye'],
    ['2001:db8:bae::1', 'c'],
    ['2001:db8:c0de::ff', '550 5.0.0 eight of them'],
    ['2001:db8:c0de::f7', 'c'],
    ['2001:db8:c0de::100', 'c'],
    ['203.0.113.9', '550 5.0.0 mapped'],
    ['::1', '550 5.0.0 low'],
    ['100::1', 'c'],
    ['fdff::1', '550 5.0.0 wide'],
    ['fe00::1', 'c'],
  ] as const) {
    assert.equal(await answer(server, ip), expected, ip);
  }
  assert.deepEqual(
    server.log.records.filter(({ severity }) => severity < 6),
    [],
  );
  assert.ok(server.log.lines.includes('s1 192.0.2.66: REJECT (line 3)'));
});

test('lines that are no entries are left out, and named in the log to whom they may be about', async (t) => {
  const { server, path } = await start(t);
  let sessions = 0;
  for (const [line, ip, named] of [
    ['256.0.0.1 REJECT', '0.0.0.1', false],
    ['010.0.0.1 REJECT', '10.0.0.1', true],
    ['1.2.3 REJECT', '1.2.3.0', true],
    ['1.2.3.4.5 REJECT', '1.2.3.4', true],
    ['192.0.2.0/33 REJECT', '192.0.2.0', true],
    ['192.0.2.0/33 REJECT', '193.0.2.0', false],
    ['192.0.2.0/ REJECT', '192.0.2.0', true],
    ['192.0.2.0/-1 REJECT', '198.51.100.1', true],
    ['192.0.2.0/0/1 REJECT', '192.0.2.0', true],
    ['1:2:3:4:5:6:7:8:9 REJECT', '1:2:3:4:5:6:7:8', true],
    ['1:2:3:4:5:6:7 REJECT', '1:2:3:4:5:6:7:0', true],
    ['1::2::3 REJECT', '1::3', true],
    [':1:2:3:4:5:6:7 REJECT', '::1:2:3:4:5:6:7', true],
    ['1:2:3:4:5:6:7: REJECT', '1:2:3:4:5:6:7:0', true],
    ['1:2:3:4::5:6:7:8 REJECT', '1:2:3:4:5:6:7:8', true],
    ['12345:: REJECT', '2345::', false],
    ['::12345 REJECT', '::2345', true],
    ['::1.2.3 REJECT', '::1', true],
    ['2001:db8::/129 REJECT', '2001:db8::', true],
    ['192.0.2.7', '192.0.2.7', true],
    ['example.com REJECT', '192.0.2.7', true],
    ['beef REJECT', '192.0.2.7', true],
  ] as const) {
    writeFileSync(path, `# first line\n${line}\n${ip} REJECT last, no line end`);
    assert.equal(await answer(server, ip), '550 5.0.0 last, no line end', line);
    sessions += 1;
    const said = `s${sessions} ${path}:2: left out, not an address or network and an action: ${line}`;
    assert.equal(server.log.lines.includes(said), named, line);
    assert.equal(server.log.lines.filter((text) => text.includes('left out')).length, named ? 1 : 0);
    server.log.records.length = 0;
  }
});

test('an unknown action refuses nobody, and is in the log', async (t) => {
  const { server, path } = await start(t, '192.0.2.7 REJCT\r\n192.0.2.8 OK\r\n192.0.2.9 REJECT away\r\n');
  assert.equal(await answer(server, '192.0.2.7'), 'c');
  assert.equal(await answer(server, '192.0.2.8'), 'c');
  assert.equal(await answer(server, '192.0.2.9'), '550 5.0.0 away');
  assert.ok(
    server.log.lines.some((line) => line.startsWith(`s1 ${path}:1: unknown action, nobody is refused by it`)),
  );
});

test('without a table mail goes on, and one line in the log says so', async (t) => {
  const { server, path } = await start(t);
  assert.equal(await answer(server, '192.0.2.7'), 'c');
  const said = server.log.records.filter(({ ident }) => ident === 'access');
  assert.deepEqual(
    said.map(({ severity, text }) => [severity, text]),
    [[4, `s1 no access table, nobody is refused: ${path}: No such file or directory`]],
  );
  mkdirSync(path);
  assert.equal(await answer(server, '192.0.2.7'), 'c');
  const complaint = /no access table, nobody is refused: .*[Ii]s a directory/;
  assert.ok(server.log.lines.some((line) => complaint.test(line)));
  rmSync(path, { recursive: true });
  writeFileSync(path, '');
  assert.equal(await answer(server, '192.0.2.7'), 'c');
  writeFileSync(path, '192.0.2.7 REJECT');
  assert.equal(await answer(server, '192.0.2.7'), '550 5.7.1 access denied');
});

test('a table of 10,000 lines is read within half of the budget for CPU time', async (t) => {
  const network = (i: number) => `${1 + (i % 223)}.${i >> 8}.${i & 255}`;
  const lines = Array.from({ length: 10_000 }, (_, i) => `${network(i)}.0/24 REJECT line ${i}`);
  const { server } = await start(t, lines.join('\n'), { 'cpu-ms': '500' });
  const begin = performance.now();
  let sessions = 0;
  // What else the machine does, and V8 with code that is new, costs CPU time now and then; what the policy does, each time.
  for (let inTime = 0; inTime < 5; sessions++) {
    assert.ok(sessions < 25, `${inTime} of ${sessions} sessions in time`);
    const found = await answer(server, `${network(9999)}.1`).catch(() => 'deferred');
    if (found !== 'deferred') {
      assert.equal(found, '550 5.0.0 line 9999');
      inTime += 1;
    }
  }
  t.diagnostic(`${((performance.now() - begin) / sessions).toFixed(0)} ms for a session`);
});
