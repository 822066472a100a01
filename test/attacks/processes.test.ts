/** Processes that are killed or stopped: nothing is left of them, and the others serve on. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Mta } from '../helpers/mta.ts';
import { childrenOf, isAlive, mailReply, startMilter, until } from '../program/milter-client.ts';
import { directory, start } from '../program/program.ts';

const POLICY = 'function smtp.do_mail() return 550, "5.7.1 no" end';
const QUIET = ['--warm-up', '0'];

function killAfter(t: TestContext, pids: readonly number[]): void {
  t.after(() => {
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // As it should be.
      }
    }
  });
}

test('what a policy runs does not outlive its worker', async (t) => {
  const folder = directory(t);
  const milter = await startMilter(
    t,
    `function smtp.do_mail(sender)
      if sender == "hang@b.example" then os.execute("echo $$ > ${folder}/pid; sleep 600; true") end
      return 550, tostring(select(3, os.execute("exit 3"))) .. " " .. tostring(select(2, os.execute("kill -TERM $$")))
    end`,
    ['--workers', '1', '--allow-execute', '--deadline', '600', ...QUIET],
  );
  // How a command ends is told as ever.
  assert.equal(await mailReply(milter), '550 5.0.0 3 signal');
  const mta = await milter.connect();
  await mta.connect('192.0.2.7');
  await mta.helo('x');
  void mta.mail('<hang@b.example>').catch(() => {});
  const file = join(folder, 'pid');
  await until(() => existsSync(file) && readFileSync(file, 'utf8').trim() !== '');
  const shell = Number(readFileSync(file, 'utf8'));
  killAfter(t, [shell]);
  const sleepers = childrenOf(shell);
  const [worker = 0] = childrenOf(milter.running.child.pid);
  process.kill(worker, 'SIGKILL');
  await until(() => !isAlive(shell) && sleepers.every((pid) => !isAlive(pid)));
  // Another worker has taken its place.
  let text = '';
  while (text === '') text = await mailReply(milter).catch(() => '');
  assert.equal(text, '550 5.0.0 3 signal');
});

test('workers serve on while the supervisor is stopped', async (t) => {
  // One place in all is given in advance to nobody: each connection asks.
  const milter = await startMilter(t, POLICY, ['--workers', '1', '--max-connections', '4', ...QUIET]);
  assert.equal(await mailReply(milter), '550 5.7.1 no');
  const { pid = 0 } = milter.running.child;
  process.kill(pid, 'SIGSTOP');
  t.after(() => process.kill(pid, 'SIGCONT'));
  for (let i = 0; i < 3; i++) assert.equal(await mailReply(milter), '550 5.7.1 no');
  await milter.running.until('stderr', /the supervisor does not answer: this worker serves on/);
  process.kill(pid, 'SIGCONT');
  await milter.running.until('stderr', /the supervisor answers again/);
  // The bound holds again, and no place is lost.
  const open = await Promise.all(Array.from({ length: 4 }, () => Mta.open({ port: milter.port })));
  t.after(() => {
    for (const mta of open) mta.socket.destroy();
  });
  await assert.rejects(Mta.open({ port: milter.port }));
});

test('a stopped worker whose supervisor was killed does not keep the next start from the port', async (t) => {
  const milter = await startMilter(t, POLICY, ['--workers', '2', ...QUIET]);
  const workers = childrenOf(milter.running.child.pid);
  killAfter(t, workers);
  for (const pid of workers) process.kill(pid, 'SIGSTOP');
  milter.running.child.kill('SIGKILL');
  await until(() => !isAlive(milter.running.child.pid ?? 0));
  const again = start(t, [
    ...['--listen', `inet:${milter.port}@127.0.0.1`, '--script', milter.script, '--spool', milter.spool],
    ...['--workers', '1', ...QUIET],
  ]);
  await again.ready();
  assert.match(again.stderr, new RegExp(`worker process ${workers[0]} killed: its supervisor is gone`));
  assert.ok(workers.every((pid) => !isAlive(pid)));
  assert.equal(await mailReply(milter), '550 5.7.1 no');
});

test('the workers of another server are left alone', async (t) => {
  const one = await startMilter(t, POLICY, ['--workers', '1', ...QUIET]);
  const workers = childrenOf(one.running.child.pid);
  const other = await startMilter(t, POLICY, ['--workers', '1', ...QUIET]);
  assert.equal(await mailReply(other), '550 5.7.1 no');
  assert.ok(workers.every(isAlive));
  assert.equal(await mailReply(one), '550 5.7.1 no');
});
