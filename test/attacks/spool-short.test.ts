/** The spool takes no more, or the process has no descriptor left for it: the action, one line, and recovery by itself. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { childrenOf, type Milter, startMilter } from '../program/milter-client.ts';

const needsRoot = process.getuid?.() === 0 ? {} : { skip: 'only root can mount a file system' };

const READS =
  'function smtp.do_dot(file) local f = assert(io.open(file)) f:close() return 550, "5.7.1 read" end';
const DEFERS = ['--workers', '1', '--on-error', 'tempfail', '--warm-up', '0'];
const SHORT = ['short'];
const LONG = new Array<string>(8).fill(`${'x'.repeat(998)}\r\n`.repeat(50));

/** What becomes of a message in a session of its own. */
async function fate(milter: Milter, body: readonly string[]): Promise<string> {
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', 'mx.example');
  await mta.helo('mx.example');
  await mta.mail('<a@b.example>');
  await mta.rcpt('<c@d.example>');
  const { letter, text } = await mta.content([['Subject', ' x']], ...body);
  await mta.quit();
  return text === '' ? letter : text;
}

const lines = (milter: Milter, pattern: RegExp) =>
  milter.running.stderr.split('\n').filter((line) => pattern.test(line));

test('a full file system', needsRoot, async (t) => {
  const spool = mkdtempSync(join(tmpdir(), 'smtpf-milter-full-'));
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'none', spool]).status, 0);
  t.after(() => {
    spawnSync('umount', ['-l', spool]);
    rmdirSync(spool);
  });
  const milter = await startMilter(t, READS, DEFERS, [], spool);
  const workers = childrenOf(milter.running.child.pid);
  for (const body of [SHORT, LONG]) assert.equal(await fate(milter, body), '550 5.7.1 read');
  const filler = join(spool, 'filler');
  assert.throws(() => writeFileSync(filler, Buffer.alloc(2 << 20)), { code: 'ENOSPC' });
  for (const body of [SHORT, LONG, SHORT]) assert.match(await fate(milter, body), /^(t|451 )/);
  rmSync(filler);
  for (const body of [SHORT, LONG]) assert.equal(await fate(milter, body), '550 5.7.1 read');
  await milter.running.until(
    'stderr',
    /notice .*message files can be written to .* again: 3 messages were without/,
  );
  assert.equal(lines(milter, /message files can/).length, 2, milter.running.stderr);
  assert.match(
    lines(milter, /message files cannot/).join(),
    / error .*full-\w+: no space left on the device: smtp\.do_dot fails for each message \(--on-error tempfail\) until they can$/,
  );
  assert.deepEqual(readdirSync(spool), []);
  assert.deepEqual(childrenOf(milter.running.child.pid), workers);
});

test('no descriptor left', async (t) => {
  const milter = await startMilter(
    t,
    `local kept = {}
    function smtp.do_mail(sender)
      if sender ~= "hoard@b.example" then return end
      for i = 1, 64 do kept[i] = io.open("/dev/null") end
    end
    ${READS}`,
    DEFERS,
    ['sh', '-c', 'ulimit -n 192; exec "$0" "$@"'],
  );
  const workers = childrenOf(milter.running.child.pid);
  assert.equal(await fate(milter, SHORT), '550 5.7.1 read');
  const hoarders = [];
  for (let i = 0; i < 4; i++) {
    const mta = await milter.connect();
    hoarders.push(mta);
    await mta.connect('192.0.2.7', 'mx.example');
    await mta.helo('mx.example');
  }
  // What waits to send has its descriptor already.
  const waiting = await milter.connect();
  await waiting.connect('192.0.2.7', 'mx.example');
  await waiting.helo('mx.example');
  for (const mta of hoarders) await mta.mail('<hoard@b.example>');
  await waiting.mail('<a@b.example>');
  await waiting.rcpt('<c@d.example>');
  const { letter, text } = await waiting.content([['Subject', ' x']], ...SHORT);
  assert.match(text === '' ? letter : text, /^(t|451 )/);
  for (const mta of hoarders) mta.socket.destroy();
  let last = '';
  for (let tries = 0; tries < 200 && last !== '550 5.7.1 read'; tries++) {
    last = await fate(milter, SHORT).catch(() => '');
    if (last !== '550 5.7.1 read') await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.equal(last, '550 5.7.1 read');
  await milter.running.until('stderr', /message files can be written to .* again/);
  assert.match(
    lines(milter, /message files cannot/).join(),
    /spool: too many open files: smtp\.do_dot fails/,
  );
  assert.equal(lines(milter, /message files can/).length, 2, milter.running.stderr);
  assert.deepEqual(childrenOf(milter.running.child.pid), workers);
});
