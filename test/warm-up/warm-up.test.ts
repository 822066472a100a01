/** A process serves itself sessions after its start: unseen, and out of the way of those of an MTA. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { mailReply, startMilter, statusOf, until } from '../program/milter-client.ts';
import { directory, start } from '../program/program.ts';

const POLICY = 'function smtp.do_mail(sender) return 550, "5.7.1 not " .. sender end';
const WARM = /warm after (\d+) sessions of its own in \d+ ms/;

function warmUp(sessions: number, workers = 0): string[] {
  return ['--workers', String(workers), '--log-level', 'debug', '--warm-up', String(sessions)];
}

describe('warm-up', { concurrency: 2 }, () => {
  test('leaves no trace but its own line', async (t) => {
    const socket = join(directory(t), 'milter.sock');
    const milter = await startMilter(t, POLICY, [...warmUp(60), '--listen', `unix:${socket}`]);
    const [, sessions] = await milter.running.until('stderr', WARM);
    assert.equal(sessions, '60');
    const { sessions: counted, connections } = await statusOf(milter);
    assert.deepEqual(counted, { open: 0, total: 0, refused: 0 });
    assert.equal(connections, 0);
    assert.deepEqual(readdirSync(milter.spool), []);
    assert.doesNotMatch(milter.running.stderr, / error |203\.0\.113|example\.(?:net|org)/);
    assert.equal(await mailReply(milter, '<a@b.example>'), '550 5.7.1 not a@b.example');
    assert.equal(await milter.running.stop(), 0);
  });

  test('waits while an MTA is connected', async (t) => {
    for (let sessions = 400; ; sessions *= 2) {
      const milter = await startMilter(t, POLICY, warmUp(sessions));
      const mta = await milter.connect();
      const connected = Date.now();
      await new Promise((resolve) => setTimeout(resolve, 2_000));
      const [warm] = milter.running.stderr.match(new RegExp(`^.*${WARM.source}`, 'm')) ?? [];
      // A busy machine may have been done with it before the MTA came, or nearly.
      const isEarly = warm !== undefined && Date.parse(warm.slice(0, 23)) < connected + 500;
      if (!isEarly) assert.equal(warm, undefined);
      assert.equal((await mta.mail('<a@b.example>')).text, '550 5.7.1 not a@b.example');
      await mta.quit();
      await milter.running.until('stderr', WARM);
      if (!isEarly) return;
    }
  });

  test('ends with the program', async (t) => {
    const milter = await startMilter(t, POLICY, [
      ...warmUp(1_000_000),
      '--listen',
      `unix:${join(directory(t), 'milter.sock')}`,
    ]);
    await until(() => readdirSync(milter.spool).length === 2);
    assert.equal(await milter.running.stop(), 0);
    assert.deepEqual(readdirSync(milter.spool), []);
    assert.doesNotMatch(milter.running.stderr, /warm/);
  });

  test('each worker has its own', async (t) => {
    const milter = await startMilter(t, POLICY, warmUp(20, 2));
    await until(() => (milter.running.stderr.match(new RegExp(WARM, 'g')) ?? []).length === 2);
  });

  test('is done without where its socket cannot be', async (t) => {
    const folder = directory(t);
    const script = join(folder, 'policy.lua');
    writeFileSync(script, POLICY);
    const running = start(t, [
      ...warmUp(60),
      ...['--listen', 'inet:0@127.0.0.1', '--listen', `unix:${join(folder, 'milter.sock')}`],
      ...['--script', script, '--control', 'none', '--spool', join(folder, 'x'.repeat(100))],
    ]);
    await running.until('stderr', /no warm-up: longer than the \d+ bytes/);
    assert.equal(await running.stop(), 0);
  });
});
