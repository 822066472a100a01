/** What `status` ends with, and that it and `why` say the place of a failure once. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { mailReply, startMilter } from '../program/milter-client.ts';
import { directory, run } from '../program/program.ts';

const GOOD = 'function smtp.do_mail() return 550, "5.7.1 good" end';

test('status: 0 as edited, 2 where the last good version serves, 1 where none does', async (t) => {
  for (const [choice, expected] of [
    ['last-good', 2],
    ['skip', 1],
  ] as const) {
    const milter = await startMilter(t, GOOD, ['--workers', '1', '--on-bad-script', choice]);
    const status = () => run(['status', '--spool', milter.spool]);
    assert.equal((await status()).code, 0);
    milter.edit('function smtp.do_mail(');
    milter.running.child.kill('SIGHUP');
    await milter.running.until('stderr', /SIGHUP: /);
    const { code, stdout } = await status();
    assert.equal(code, expected, stdout);
    assert.match(stdout, choice === 'skip' ? /does not run/ : /as edited it does not serve/);
    milter.edit(`${GOOD} --`);
    milter.running.child.kill('SIGHUP');
    await milter.running.until('stderr', /SIGHUP: script .*callbacks: do_mail/);
    assert.equal((await status()).code, 0);
    await milter.running.stop();
  }
});

test('the place of a failure is said once', async (t) => {
  const journal = join(directory(t), 'journal');
  const lua = 'function smtp.do_mail()\n  local x = nil\n  return x.y\nend';
  const args = ['--workers', '1', '--on-error', 'tempfail', '--journal', journal];
  const milter = await startMilter(t, lua, args);
  assert.match(await mailReply(milter), /^(t|451 )/);
  const place = `${milter.script}:3`;
  const { stdout: status } = await run(['status', '--spool', milter.spool]);
  const failed = status.split('\n').filter((line) => line.startsWith('failed'));
  assert.equal(failed.length, 1, status);
  assert.match(failed[0] ?? '', /--on-error tempfail: attempt to index a nil value/);
  const { stdout: why } = await run(['why', 'a@b.example', '--spool', milter.spool]);
  const told = why.split('\n').filter((line) => line.startsWith('  failed'));
  assert.match(told[0] ?? '', /smtp\.do_mail at .*:3: attempt to index a nil value/);
  for (const line of [...failed, ...told]) assert.equal(line.split(place).length, 2, line);
});
