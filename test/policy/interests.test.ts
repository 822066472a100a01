/** What is negotiated for which script, seen on the wire. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { startServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';

async function agreed(t: TestContext, source: string, options: Record<string, string> = {}) {
  const server = await startServer({ source }, options);
  t.after(() => server.close());
  const mta = await Mta.open(server);
  const { actions, protocol } = mta;
  await mta.quit();
  return { actions, protocol };
}

/** From the protocol page, 4.3. */
const NO = {
  connect: 0x1,
  helo: 0x2,
  mail: 0x4,
  rcpt: 0x8,
  body: 0x10,
  headers: 0x20,
  eoh: 0x40,
  unknown: 0x100,
  data: 0x200,
};
const NR = { connect: 0x1000, helo: 0x2000, mail: 0x4000, rcpt: 0x8000, data: 0x10000, unknown: 0x20000 };

test('a script without callbacks has everything declined', async (t) => {
  const { actions, protocol } = await agreed(t, 'x = 1');
  assert.equal(protocol & 0x37f, 0x37f);
  assert.equal(actions, 0);
});

test('a script that looks at the client alone is told of nothing else', async (t) => {
  const { protocol } = await agreed(t, 'function smtp.do_connect() end');
  assert.equal(protocol & NO.connect, 0);
  assert.equal(protocol & NR.connect, 0);
  for (const event of ['helo', 'mail', 'rcpt', 'body', 'headers', 'eoh', 'unknown', 'data'] as const) {
    assert.equal(protocol & NO[event], NO[event], event);
  }
});

test('earlier events are streamed for their data, later ones declined', async (t) => {
  const { protocol } = await agreed(t, 'function smtp.do_rcpt() end');
  for (const event of ['connect', 'helo', 'mail'] as const) {
    assert.equal(protocol & NO[event], 0, event);
    assert.equal(protocol & NR[event], NR[event], event);
  }
  assert.equal(protocol & NR.rcpt, 0);
  for (const event of ['body', 'headers', 'eoh', 'unknown', 'data'] as const) {
    assert.equal(protocol & NO[event], NO[event], event);
  }
});

test('MAIL is answered where smtp.rset must come in time', async (t) => {
  const { protocol } = await agreed(t, 'function smtp.rset() end');
  assert.equal(protocol & (NO.mail | NR.mail), 0);
});

test('all changes are asked for where the script can make them, fewer with --actions', async (t) => {
  // 0x100: the macros that say what the MTA understands by an address.
  assert.equal((await agreed(t, 'function smtp.do_mail() end')).actions, 0x1ff);
  assert.equal((await agreed(t, 'function smtp.do_mail() end', { macros: 'none' })).actions, 0xff);
  const narrowed = await agreed(t, 'function smtp.do_mail() end', { actions: 'add-header,quarantine' });
  assert.equal(narrowed.actions, 0x121);
  assert.equal((await agreed(t, 'function smtp.do_mail() end', { actions: 'none' })).actions, 0x100);
});

test('a broken script asks for the envelope, for the log, and for an answer to MAIL when it must be refused', async (t) => {
  const { protocol } = await agreed(t, 'syntax error');
  // Content is not asked for, and nobody waits for an answer.
  assert.equal(protocol & 0x37f, 0x370);
  assert.equal(protocol & NR.mail, NR.mail);
  const refusing = await agreed(t, 'syntax error', { 'on-error': 'tempfail' });
  assert.equal(refusing.protocol & (NO.mail | NR.mail), 0);
});
