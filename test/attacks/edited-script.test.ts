/** An edited script that takes its time: under last-good the old version serves until it has passed. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Milter, mailReply, startMilter } from '../program/milter-client.ts';

const start = (t: TestContext): Promise<Milter> =>
  startMilter(t, 'function smtp.do_mail() return 550, "5.7.1 old" end', [
    ...[
      '--workers',
      '1',
      '--warm-up',
      '0',
      '--on-bad-script',
      'last-good',
      '--deadline',
      '15',
      '--cpu-ms',
      '60000',
    ],
  ]);

test('whose main chunk waits', async (t) => {
  const milter = await start(t);
  assert.equal(await mailReply(milter), '550 5.7.1 old');
  milter.edit('smtp.delay(86400) function smtp.do_mail() return 550, "5.7.1 new" end');
  for (let i = 0; i < 5; i++) assert.equal(await mailReply(milter), '550 5.7.1 old');
  assert.doesNotMatch(milter.running.stderr, /does not run/, 'the trial still waits');
  await milter.running.until('stderr', /script does not run, the last good version/);
  assert.equal(await mailReply(milter), '550 5.7.1 old');
});

test('that takes long to compile and to run, and is good', async (t) => {
  const milter = await start(t);
  assert.equal(await mailReply(milter), '550 5.7.1 old');
  const functions = Array.from({ length: 4000 }, (_, i) => `function f${i}(a) return a .. "${i}" end`).join(
    '\n',
  );
  milter.edit(
    `${functions}\nlocal x = 0 for i = 1, 3000000 do x = x + i % 7 end
    function smtp.do_mail() return 550, "5.7.1 new" end`,
  );
  let olds = 0;
  let text = '';
  while (text !== '550 5.7.1 new') {
    text = await mailReply(milter);
    if (text === '550 5.7.1 old') olds += 1;
  }
  assert.ok(olds > 0, 'the old version served meanwhile');
});
