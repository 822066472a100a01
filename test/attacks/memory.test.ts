/** Sessions that keep so much that the heap of their worker would end, beside a neighbour that keeps nothing. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Mta } from '../helpers/mta.ts';
import { mta as packets } from '../helpers/packet-builder.ts';
import { childrenOf, type Milter, startMilter, statusUntil } from '../program/milter-client.ts';
import { collectionsOf, RECORDED } from './collections.ts';
import { Neighbour } from './neighbour.ts';

const start = (
  t: TestContext,
  lua: string,
  args: readonly string[] = [],
  prefix: readonly string[] = [],
): Promise<Milter> =>
  // It is memory that ends who takes too much, and no time, on a slow machine neither.
  startMilter(
    t,
    lua,
    ['--workers', '1', '--warm-up', '0', '--on-error', 'tempfail', '--cpu-ms', '20000', ...args],
    prefix,
  );

async function envelope(milter: Milter): Promise<Mta> {
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  return mta;
}

test('60 messages with 4 MiB of headers each do not end a heap of 256 MiB', async (t) => {
  const policy = 'function smtp.do_dot() if header.get "X" then smtp.delay(3) end end';
  const milter = await start(t, policy, ['--heap-mb', '256'], RECORDED);
  const workers = childrenOf(milter.running.child.pid);
  const bytes = Buffer.concat([
    ...Array<Buffer>(64).fill(packets.header('X', ` ${'y'.repeat(64_000)}`)),
    packets.eoh(),
    packets.eom(),
  ]);
  const mtas: Mta[] = [];
  for (let i = 0; i < 60; i++) mtas.push(await envelope(milter));
  const neighbour = await Neighbour.start(t, milter.port);
  for (const mta of mtas) mta.socket.write(bytes);
  const texts = await Promise.all(mtas.map(async (mta) => (await mta.reply()).text));
  const deferred = texts.filter((text) => text === '451 4.3.2 Insufficient memory, try again later');
  t.diagnostic(`${deferred.length} of ${texts.length} messages were deferred`);
  assert.ok(deferred.length > 10 && deferred.length < 60);
  // Full collections of a heap that is nearly full stop the worker: on a busy machine for more than a second.
  await neighbour.stop(t, () => collectionsOf(workers[0], milter.running.stderr));
  assert.deepEqual(childrenOf(milter.running.child.pid), workers, 'the worker lives');
  for (const mta of mtas) mta.socket.destroy();

  // What those have kept is free again.
  const later = await envelope(milter);
  later.socket.write(bytes);
  assert.notEqual((await later.reply()).letter, 'y');
});

test('sessions that fill the heap have new messages deferred, and not the worker ended', async (t) => {
  const milter = await start(
    t,
    `local kept = {}
    function smtp.do_rcpt(to)
      if to:find "hoard" then for i = 1, 20000 do kept[i] = { i } end end
    end`,
    ['--heap-mb', '256'],
  );
  const workers = childrenOf(milter.running.child.pid);
  const mtas: Mta[] = [];
  let text = '';
  while (text === '' && mtas.length < 300) {
    const mta = await milter.connect();
    mtas.push(mta);
    await mta.connect('192.0.2.7', 'mx.example');
    await mta.helo('mx.example');
    // A policy without do_mail is told of no MAIL.
    await mta.mail('<a@b.example>');
    ({ text } = await mta.rcpt('<hoard@d.example>'));
  }
  t.diagnostic(`memory was short after ${mtas.length} sessions`);
  assert.equal(text, '451 4.3.2 Insufficient memory, try again later');
  await milter.running.until('stderr', /memory is short: \d+ MiB of a heap of \d+ MiB are in use/);
  await statusUntil(milter, ({ workers }) => workers[0]?.memoryShort === true);
  // Who is in a message goes on.
  const end = await mtas[0]?.content([['Subject', ' hello']], 'hello\r\n');
  assert.equal(end?.letter, 'c');

  for (const mta of mtas) mta.socket.destroy();
  await milter.running.until('stderr', /memory is not short any more: [1-9]\d* messages were deferred/);
  await statusUntil(milter, ({ workers }) => workers[0]?.memoryShort === false);
  const neighbour = await Neighbour.start(t, milter.port);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await neighbour.stop(t);
  assert.deepEqual(childrenOf(milter.running.child.pid), workers, 'the worker lives');
});

test('a session that keeps 25 MiB more at each RCPT is ended, and no neighbour for it', async (t) => {
  const milter = await start(
    t,
    `local kept = {}
    function smtp.do_rcpt(to)
      if to:find "hoard" then kept[#kept + 1] = ("x"):rep(25 * 1024 * 1024) .. #kept end
    end`,
  );
  const neighbour = await Neighbour.start(t, milter.port);
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  const letters: string[] = [];
  for (let i = 0; i < 29; i++) letters.push((await mta.rcpt('<hoard@d.example>')).letter);
  assert.equal(letters.join(''), `cct${'c'.repeat(26)}`);
  assert.equal((await mta.content([['Subject', ' hello']], 'hello\r\n')).letter, 't');
  await milter.running.until('stderr', /the session keeps 75 MiB, more than the 64 MiB of --session-mb/);
  await neighbour.stop(t);
  assert.doesNotMatch(milter.running.stderr, /memory is short/);
});

test('a session whose callbacks keep little at a time, or fail, is ended when that is too much', async (t) => {
  const milter = await start(
    t,
    `
    local kept = {}
    function smtp.do_rcpt(to)
      for i = 1, 2000 do kept[#kept + 1] = { i } end
      if #kept % 4000 == 0 then error "on purpose" end
    end`,
  );
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  for (let i = 0; i < 200; i++) await mta.rcpt('<c@d.example>');
  await milter.running.until('stderr', /the session keeps \d+ MiB, more than the 64 MiB of --session-mb/);
});

for (const [what, change] of Object.entries({
  'text of a body': 'body.replace(("x"):rep(10 * 1024 * 1024))',
  'a header again and again': 'for i = 1, 300 do header.add("X-" .. i, ("y "):rep(20000)) end',
})) {
  test(`changes to a message count for what a session keeps: ${what}`, async (t) => {
    const milter = await start(t, `function smtp.do_rcpt(to) if to:find "many" then ${change} end end`, [
      ...['--session-mb', '8', '--deadline', '120'],
    ]);
    const mta = await envelope(milter);
    assert.equal((await mta.rcpt('<many@d.example>')).letter, 't');
    await milter.running.until('stderr', /the session keeps \d+ MiB, more than the 8 MiB of --session-mb/);
  });
}

test('a session that makes much and keeps little goes on', async (t) => {
  const milter = await start(
    t,
    `
    local kept = {}
    function smtp.do_rcpt(to)
      kept[#kept % 3 + 1] = ("x"):rep(10 * 1024 * 1024)
      for i = 1, 5000 do kept.t = { i } end
    end`,
  );
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  for (let i = 0; i < 60; i++) assert.equal((await mta.rcpt('<c@d.example>')).letter, 'c');
});
