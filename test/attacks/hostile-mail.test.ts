/** Messages and archives that are made to harm, looked into one after the other: the neighbour is served meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HOSTILE } from '../modules/mime/hostile.ts';
import { sendMessage } from '../modules/mime/policy.ts';
import { childrenOf, startMilter } from '../program/milter-client.ts';
import { collectionsOf } from './collections.ts';
import { Neighbour } from './neighbour.ts';
import { longestTurns, TIMED } from './turns.ts';

/** A slice of work is 5 ms, the longest turn 8 to 12; the same work takes longer where others use the caches. */
const LONGEST_TURN_MS = 40;

const POLICY = `function smtp.do_dot()
  if smtp.tran.sender:find "good" then return end
  for _, part in ipairs(mime.parts) do
    local _ = part.name, part.size, part:kind(), part:files(), part:text(), part:sha256()
  end
  return 550, "5.7.1 looked into, " .. #mime.defects .. " defects"
end`;

test('two hundred messages that are made to harm', async (t) => {
  const milter = await startMilter(t, POLICY, ['--workers', '1', '--cpu-ms', '10000'], TIMED);
  const [worker] = childrenOf(milter.running.child.pid);
  const neighbour = await Neighbour.start(t, milter.port, worker);
  const began = performance.timeOrigin + performance.now();
  for (const { name, message } of HOSTILE) {
    const mta = await milter.connect();
    await mta.connect('192.0.2.7', 'mx.example');
    await mta.helo('mx.example');
    await mta.mail('<a@b.example>');
    await mta.rcpt('<c@d.example>');
    const { text } = await sendMessage(mta, message);
    assert.match(text, /^550 5\.7\.1 looked into, \d+ defects$/, name);
    await mta.quit();
  }
  await neighbour.stop(t, () => collectionsOf(worker, milter.running.stderr));
  const { own, withCollector } = longestTurns(worker, milter.running.stderr, began);
  t.diagnostic(
    `no turn of the worker took more than ${own.toFixed(1)} ms of CPU time, with the collector ${withCollector.toFixed(1)}`,
  );
  assert.ok(own < LONGEST_TURN_MS, `a turn of ${own} ms`);
});
