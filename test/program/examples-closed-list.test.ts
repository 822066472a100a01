/** examples/closed-list.lua over a milter connection. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startServer, type TestServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';

const POLICY = new URL('../../examples/closed-list.lua', import.meta.url).pathname;
const REFUSAL = '550 5.7.2 this list is closed: you may not send to it';

async function start(t: TestContext): Promise<TestServer> {
  const server = await startServer({ path: POLICY }, { 'on-error': 'tempfail' });
  t.after(() => server.close());
  return server;
}

/** Whether each recipient is let in. */
async function answers(
  server: TestServer,
  ip: string,
  sender: string,
  ...recipients: readonly string[]
): Promise<boolean[]> {
  const mta = await Mta.open(server);
  mta.macro('C', 'j', 'mx.example.com');
  await mta.connect(ip);
  await mta.mail(`<${sender}>`);
  const results: boolean[] = [];
  for (const recipient of recipients) {
    const [, spelling = recipient, meant] = / means /.test(recipient)
      ? (/^(.*) means (.*)$/.exec(recipient) ?? [])
      : [];
    mta.macro('R', ...(meant === undefined ? [] : ['{rcpt_addr}', meant]));
    const { letter, text } = await mta.rcpt(`<${spelling}>`);
    assert.ok(letter === 'c' || text === REFUSAL, `${recipient}: ${letter} ${text}`);
    results.push(letter === 'c');
  }
  await mta.quit();
  return results;
}

test('a list takes mail from its networks, or from its senders', async (t) => {
  const server = await start(t);
  for (const [ip, sender, allowed] of [
    ['198.51.100.7', 'stranger@example.org', false],
    ['198.51.100.7', '', false],
    ['198.51.100.7', 'postmaster', false],
    ['198.51.100.7', 'someone@example.com', false],
    ['2001:db8:1::7', 'stranger@example.org', false],
    ['192.0.2.7', 'stranger@example.org', true],
    ['192.0.2.7', '', true],
    ['127.0.0.1', '', true],
    ['2001:db8::7', 'stranger@example.org', true],
    ['198.51.100.7', 'ceo@example.net', true],
    ['198.51.100.7', 'CEO+travel@Example.NET.', true],
    ['198.51.100.7', 'ceo@mail.example.net', false],
    ['198.51.100.7', 'ceo@example.net@example.org', false],
    ['198.51.100.7', 'anyone@Partner.example', true],
    ['198.51.100.7', 'anyone@not.partner.example', false],
    ['198.51.100.7', '"x@partner.example"@example.org', false],
  ] as const) {
    assert.deepEqual(
      await answers(server, ip, sender, 'all-staff@example.com'),
      [allowed],
      `${ip} ${sender}`,
    );
  }
});

test('a list with both = true wants the sender and the network', async (t) => {
  const server = await start(t);
  for (const [ip, sender, allowed] of [
    ['192.0.2.7', 'marketing@example.com', true],
    ['2001:db8:0:ffff::7', 'Marketing@MAIL.example.com', true],
    ['198.51.100.7', 'marketing@example.com', false],
    ['192.0.2.7', 'sales@example.com', false],
    ['192.0.2.7', '', false],
  ] as const) {
    assert.deepEqual(
      await answers(server, ip, sender, 'customers@example.com'),
      [allowed],
      `${ip} ${sender}`,
    );
  }
});

test('a list is known in every spelling that reaches it, and other recipients are untouched', async (t) => {
  const server = await start(t);
  const list = [
    'all-staff@example.com',
    'All-Staff@EXAMPLE.com',
    'all-staff@example.com.',
    'all-staff@mail.example.com',
    'all-staff@localhost',
    'all-staff',
    'all-staff+monday@example.com',
    'all-staff+@example.com',
    '"all-staff"@example.com',
    '"all-\\staff"@example.com',
    'all\\-staff@example.com',
    '"all"-staff@example.com',
    'all-staff(hello)@example.com',
    'all-staff@example.com (hello)',
    'all-staff @ example.com',
    'all-staff@mx.example.com',
    'all-staff@[192.0.2.1]',
    // As Postfix says it, and Sendmail.
    'all-staff%example.com@mail.example.com means all-staff@example.com',
    '"all-staff@example.com"@example.com means all-staff@example.com',
    'example.com!all-staff@example.com means all-staff',
    'all-staff means all-staff@mx.example.com',
    '@relay.example:all-staff@example.com',
  ];
  const others = [
    'all@example.com',
    'all-staff@example.org',
    'all-staffs@example.com',
    '+all-staff@example.com',
    'all-staff%example.org@example.com means all-staff@example.org',
    'all-staff%example.com@example.org means all-staff%example.com@example.org',
    'postmaster',
    '',
    '@',
    '!',
    '%@example.com',
    `${'('.repeat(1000)}@example.com`,
  ];
  const seen = await answers(server, '198.51.100.7', 'stranger@example.org', ...list, ...others);
  assert.deepEqual(
    [...list, ...others].filter((_, index) => seen[index]),
    others,
  );
  assert.ok(
    server.log.lines.includes('s1 <stranger@example.org> may not send to <all-staff+monday@example.com>'),
  );
  assert.deepEqual(
    server.log.records.filter(({ severity }) => severity < 6),
    [],
  );
});
