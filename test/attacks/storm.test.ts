/** The storm, for some seconds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { childrenOf, startMilter } from '../program/milter-client.ts';
import { residentMb, STORM_OPTIONS, STORM_POLICY, storm } from './storm.ts';

test('good sessions are answered rightly in a storm', async (t) => {
  const milter = await startMilter(t, STORM_POLICY, STORM_OPTIONS);
  const workers = (): number[] => childrenOf(milter.running.child.pid);
  const report = await storm({
    port: milter.port,
    seconds: 15,
    rate: 10,
    killEverySeconds: 6,
    killWorker: () => process.kill(workers()[0] ?? 0, 'SIGKILL'),
  });
  const memory = workers().map((pid) => Math.round(residentMb(pid)));
  t.diagnostic(JSON.stringify({ ...report, memory }));
  assert.deepEqual(report.wrong, []);
  assert.ok(report.sessions > 30, String(report.sessions));
});
