/** The spool directory goes while the milter runs, as when a cleaner of /tmp has been there. */
import assert from 'node:assert/strict';
import { existsSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { childrenOf, startMilter } from '../program/milter-client.ts';

const LUA = `function smtp.do_dot(file) local f = assert(io.open(file)) f:close() return 550, "5.7.1 read" end`;

test('a spool directory that has gone is made again, and one that cannot be is the action, with no worker lost', async (t) => {
  const milter = await startMilter(t, LUA, ['--workers', '1', '--on-error', 'tempfail']);
  const workers = childrenOf(milter.running.child.pid);
  const send = async (chunks: readonly string[]): Promise<string> => {
    const mta = await milter.connect();
    await mta.connect('192.0.2.7', 'mx.example');
    await mta.helo('mx.example');
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    const { letter, text } = await mta.content([['Subject', ' x']], ...chunks);
    await mta.quit();
    return text === '' ? letter : text;
  };
  for (const body of [['short'], new Array<string>(8).fill(`${'x'.repeat(998)}\r\n`.repeat(50))]) {
    rmSync(milter.spool, { recursive: true });
    assert.equal(await send(body), '550 5.7.1 read');
    assert.equal(statSync(milter.spool).mode & 0o777, 0o700);
    rmSync(milter.spool, { recursive: true });
    writeFileSync(milter.spool, 'a file in its place');
    assert.match(await send(body), /^(t|4\d\d )/);
    rmSync(milter.spool);
    assert.equal(await send(body), '550 5.7.1 read');
  }
  assert.ok(existsSync(milter.spool));
  assert.deepEqual(childrenOf(milter.running.child.pid), workers);
  await milter.running.until('stderr', /warning .*spool was gone, and has been made again/);
});
