/** The module `net` as a script sees it. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { LogRecorder } from '../../helpers/milter-server.ts';
import { servicesWith } from '../../helpers/services.ts';

const TEMPLATE = new Template(policyLibraries(servicesWith()));

/** What an expression gives, or the error that it raises. */
async function evaluated(expression: string, template = TEMPLATE): Promise<string> {
  const source = `return tostring(${expression})`;
  const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
  const outcome = await evaluate(context);
  context.dispose();
  if (outcome.kind === 'done') return outcome.value;
  return 'message' in outcome ? outcome.message.replace(/^test\.lua:1: /, 'error: ') : outcome.kind;
}

const cases = (name: string, table: readonly (readonly [expression: string, value: string])[]): void => {
  test(name, async () => {
    for (const [expression, value] of table) assert.equal(await evaluated(expression), value, expression);
  });
};

cases('net.prefix gives the network of an address', [
  ['net.prefix("192.0.2.7")', '192.0.2.0/24'],
  ['net.prefix("192.0.2.255", 25)', '192.0.2.128/25'],
  ['net.prefix("192.0.2.7", 0)', '0.0.0.0/0'],
  ['net.prefix("192.0.2.7", 32)', '192.0.2.7/32'],
  ['net.prefix("255.255.255.255", 9)', '255.128.0.0/9'],
  ['net.prefix("::ffff:192.0.2.7")', '192.0.2.0/24'],
  ['net.prefix("::FFFF:C000:0207", 30, 8)', '192.0.2.4/30'],
  ['net.prefix("2001:db8:1:2:3:4:5:6")', '2001:db8:1:2::/64'],
  ['net.prefix("2001:DB8:0001:0002::1")', '2001:db8:1:2::/64'],
  ['net.prefix("2001:db8:1:ffff::", 24, 50)', '2001:db8:1:c000::/50'],
  ['net.prefix("2001:db8::1", 24, 128)', '2001:db8::1/128'],
  ['net.prefix("fe80::1%eth0", 24, 10)', 'fe80::/10'],
  ['net.prefix("::1", 24, 0)', '::/0'],
  ['net.prefix("")', 'nil'],
  ['net.prefix("/run/mail.sock")', 'nil'],
  ['net.prefix("192.0.2")', 'nil'],
  ['net.prefix("192.0.2.07")', 'nil'],
  ['net.prefix(("1"):rep(10000))', 'nil'],
  ['net.prefix("192.0.2.7", 33)', "error: bad argument #2 to 'prefix' (from 0 to 32 bits expected)"],
  ['net.prefix("::1", 24, -1)', "error: bad argument #3 to 'prefix' (from 0 to 128 bits expected)"],
  ['net.prefix()', "error: bad argument #1 to 'prefix' (string expected, got no value)"],
]);

cases('net.reverse gives an address as lists in the DNS have it', [
  ['net.reverse("192.0.2.7")', '7.2.0.192'],
  ['net.reverse("::ffff:192.0.2.7")', '7.2.0.192'],
  ['net.reverse("2001:db8::567:89ab")', 'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2'],
  ['net.reverse("mail.example")', 'nil'],
]);

// Names of the algorithm at https://publicsuffix.org/list/ and of its test data.
cases('net.domain gives the registrable domain of a host', [
  ['net.domain("example.com")', 'example.com'],
  ['net.domain("WWW.Example.COM.")', 'example.com'],
  ['net.domain("com")', 'nil'],
  ['net.domain("")', 'nil'],
  ['net.domain(".")', 'nil'],
  ['net.domain(".example.com")', 'nil'],
  ['net.domain("a..example.com")', 'nil'],
  ['net.domain("b.example.uk.com")', 'uk.com'],
  ['net.domain("b.example.uk.com", true)', 'example.uk.com'],
  ['net.domain("co.uk")', 'nil'],
  ['net.domain("mail.example.co.uk")', 'example.co.uk'],
  ['net.domain("_dmarc.example.co.uk")', 'example.co.uk'],
  ['net.domain("a.b.c.kobe.jp")', 'b.c.kobe.jp'],
  ['net.domain("www.city.kobe.jp")', 'city.kobe.jp'],
  ['net.domain("c.kobe.jp")', 'nil'],
  ['net.domain("a.ck")', 'nil'],
  ['net.domain("b.test.ck")', 'b.test.ck'],
  ['net.domain("www.www.ck")', 'www.ck'],
  ['net.domain("someone.github.io")', 'github.io'],
  ['net.domain("www.someone.github.io", true)', 'someone.github.io'],
  ['net.domain("host.corp.internal")', 'corp.internal'],
  ['net.domain("localhost")', 'nil'],
  ['net.domain("192.0.2.7")', 'nil'],
  ['net.domain("2001:db8::1")', 'nil'],
  ['net.domain("[192.0.2.7]")', 'nil'],
  ['net.domain("www.食狮.公司.cn")', 'xn--85x722f.xn--55qx5d.cn'],
  ['net.domain("www.xn--85x722f.xn--55qx5d.cn")', 'xn--85x722f.xn--55qx5d.cn'],
  ['net.domain("a b.example.com")', 'nil'],
  ['net.domain(("a."):rep(100000) .. "com")', 'nil'],
  ['net.domain(nil)', "error: bad argument #1 to 'domain' (string expected, got nil)"],
]);

const LIST =
  'net.list { "192.0.2.0/24", "198.51.100.7", "10.0.0.0/8", "2001:db8::/32", "::ffff:203.0.113.0/120" }';
cases('a list has the addresses of its networks', [
  ...(
    [
      ['192.0.2.0', true],
      ['192.0.2.255', true],
      ['192.0.3.0', false],
      ['192.0.1.255', false],
      ['198.51.100.7', true],
      ['198.51.100.8', false],
      ['10.200.3.4', true],
      ['::ffff:10.1.2.3', true],
      ['::ffff:0a01:0203', true],
      ['203.0.113.9', true],
      ['203.0.112.9', false],
      ['2001:db8::1', true],
      ['2001:DB8:ffff::', true],
      ['2001:db9::', false],
      ['2001:db8::1%eth0', true],
      ['', false],
      ['/run/mail.sock', false],
      ['192.0.2', false],
      ['192.0.2.7 ', false],
    ] as const
  ).map(([ip, isIn]) => [`(${LIST}):has("${ip}")`, String(isIn)] as const),
  ['net.list({}):has("192.0.2.1")', 'false'],
  ['net.list({ "0.0.0.0/0" }):has("192.0.2.1")', 'true'],
  ['net.list({ "0.0.0.0/0" }):has("::1")', 'false'],
  ['net.list({ "::/0" }):has("::1")', 'true'],
  ['net.list({ "192.0.2.7/24" }):has("192.0.2.1")', 'true'],
  ['getmetatable(net.list({}))', 'net.networks'],
]);

cases('what is no network raises an error', [
  ...[
    '192.0.2',
    '192.0.2.0/33',
    '2001:db8::/129',
    '192.0.2.0/',
    '192.0.2.0/24/1',
    'example.com',
    '',
    '192.0.2.0 /24',
  ].map(
    (text) =>
      [
        `net.list { "10.0.0.1", "${text}" }`,
        `error: bad argument #1 to 'list' (networks expected, not "${text}")`,
      ] as const,
  ),
  ['net.list { true }', "error: bad argument #1 to 'list' (networks expected, not no text)"],
  [
    'net.list { ("x\\xff"):rep(100) }',
    `error: bad argument #1 to 'list' (networks expected, not "${'x?'.repeat(30)}")`,
  ],
  ['net.list()', "error: bad argument #1 to 'list' (table expected, got no value)"],
  [
    '(function() local t = {} for i = 1, 10001 do t[i] = "192.0.2.1" end return net.list(t) end)()',
    "error: bad argument #1 to 'list' (at most 10000 networks expected: more are a file)",
  ],
  ['net.list({}).has({}, "192.0.2.1")', "error: bad argument #1 to 'has' (net.networks expected, got table)"],
  [
    'net.list({}).has(job.start(dns.a, "x.test"), "x")',
    "error: bad argument #1 to 'has' (net.networks expected, got job.job)",
  ],
]);

// By https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry.
cases('net.is_reserved knows what is none of the Internet', [
  ...`0.1.2.3 10.1.2.3 100.64.0.1 100.127.255.255 127.0.0.1 169.254.1.1 172.16.0.1 172.31.255.255 192.0.0.1 192.0.2.1
    192.168.1.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    ::1 :: ::ffff:10.0.0.1 64:ff9b:1::1 100::1 2001:2::1 2001::1 2001:db8::1 2002:c000:201::1 3fff::1 fc00::1 fd12::1
    fe80::1 fe80::1%eth0 ff02::1`
    .split(/\s+/)
    .map((ip) => [`net.is_reserved("${ip}")`, 'true'] as const),
  ...`1.1.1.1 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.1.1.1 128.0.0.1 172.15.255.255 172.32.0.1 192.0.0.9
    192.0.1.1 192.0.3.1 192.169.0.1 198.17.255.255 198.20.0.1 223.255.255.255 ::ffff:8.8.8.8 64:ff9b::808:808
    2001:1::1 2001:3::1 2001:4:112::1 2001:20::1 2001:200::1 2001:db7::1 2a00::1 2600::1`
    .split(/\s+/)
    .map((ip) => [`net.is_reserved("${ip}")`, 'false'] as const),
  ['net.is_reserved("")', 'false'],
  ['net.is_reserved("localhost")', 'false'],
]);

test('a file of networks is read again when it changes, and stays as it was while it cannot be read', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-net-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'blöcked');
  const log = new LogRecorder();
  const template = new Template(policyLibraries(servicesWith({ log })));
  const list = `net.list(${JSON.stringify(file)})`;
  const has = (ip: string) => evaluated(`${list}:has("${ip}")`, template);
  const until = async (ip: string, value: string): Promise<void> => {
    const end = performance.now() + 30_000;
    while ((await has(ip)) !== value) {
      assert.ok(performance.now() < end, `${ip} is not ${value}`);
      await sleep(50);
    }
  };
  assert.equal(
    await evaluated(list, template),
    `error: net.list: ${Buffer.from(file).toString('latin1')}: no such file`,
  );
  writeFileSync(file, '192.0.2.1\nnonsense # here\n');
  assert.match(
    await evaluated(list, template),
    /^error: net\.list: .*bl\xc3\xb6cked:2: no network: "nonsense"$/,
  );
  writeFileSync(file, '# ours\r\n\n192.0.2.0/24 # test\r\n  2001:db8::/32\n198.51.100.7');
  assert.equal(await has('192.0.2.7'), 'true');
  assert.equal(await has('198.51.100.7'), 'true');
  assert.equal(await has('2001:db8::7'), 'true');
  assert.equal(await has('203.0.113.7'), 'false');
  writeFileSync(file, '203.0.113.0/24\n');
  await until('203.0.113.7', 'true');
  assert.equal(await has('192.0.2.7'), 'false');
  writeFileSync(file, '192.0.2.0/24\n203.0.113.0/99\n');
  const line = /the version before it serves: .*blöcked:2: no network: "203\.0\.113\.0\/99"$/;
  const end = performance.now() + 30_000;
  while (!log.lines.some((text) => line.test(Buffer.from(text, 'latin1').toString()))) {
    assert.ok(performance.now() < end, log.lines.join('\n'));
    assert.equal(await has('203.0.113.7'), 'true');
    await sleep(50);
  }
  rmSync(file);
  await sleep(1100);
  assert.equal(await has('203.0.113.7'), 'true');
  assert.equal(await has('192.0.2.7'), 'false');
  writeFileSync(file, '192.0.2.0/24\n');
  chmodSync(file, 0o644);
  await until('192.0.2.7', 'true');
  assert.equal(
    await evaluated('net.list("/proc/self/mem")', template),
    'error: net.list: /proc/self/mem: Permission denied (procfs)',
  );
  assert.match(await evaluated(`net.list(${JSON.stringify(directory)})`, template), /is no regular file$/);
});
