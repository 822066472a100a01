/** `smtpf-milter reload`: what it prints and how it ends, whatever becomes of the edited policy. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { type Milter, mailReply, startMilter } from '../program/milter-client.ts';
import { directory, type Ended, run } from '../program/program.ts';

const GOOD = 'function smtp.do_mail() return 451, "first" end\n';
const BETTER = 'function smtp.do_mail() return 452, "second" end\nfunction smtp.do_rcpt() end\n';
const FIRST = '451 4.0.0 first';
const SECOND = '452 4.0.0 second';

const reload = ({ spool }: Milter, ...args: string[]): Promise<Ended> =>
  run(['reload', '--spool', spool, ...args]);

/** What it prints, with the policy's path and hashes taken out. */
const plain = ({ script }: Milter, { stdout }: Ended): string =>
  stdout.replaceAll(dirname(script), 'DIR').replaceAll(/\([0-9a-f]{12}\)/g, '(HASH)');

/** Of enough sessions for each worker to have had one, most likely. */
async function replies(milter: Milter): Promise<string[]> {
  const found = new Set<string>();
  for (let session = 0; session < 8; session++) found.add(await mailReply(milter));
  return [...found];
}

describe('reload', { concurrency: 3 }, () => {
  test('without --on-reload: live, unchanged, broken', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '2']);
    const unchanged = await reload(milter);
    assert.deepEqual(
      [unchanged.code, plain(milter, unchanged)],
      [0, 'unchanged: DIR/policy.lua (HASH), callbacks: do_mail\n'],
    );
    milter.edit(BETTER);
    const live = await reload(milter);
    assert.deepEqual(await replies(milter), [SECOND], 'all have it when it says so');
    assert.deepEqual(
      [live.code, plain(milter, live)],
      [
        0,
        'live: DIR/policy.lua (HASH), callbacks: do_mail do_rcpt\n' +
          '2 processes took it; sessions in progress keep the version before\nnew: do_rcpt\n',
      ],
    );
    milter.edit('\nfunction smtp.do_mail(\n');
    const broken = await reload(milter);
    assert.equal(broken.code, 1);
    assert.match(
      plain(milter, broken),
      /^refused: DIR\/policy\.lua:\d+: .*\nits callbacks are skipped: mail passes UNFILTERED \(--on-error continue\)\n$/,
    );
    milter.edit(GOOD);
    assert.match(plain(milter, await reload(milter)), /^live: .*: do_mail\n/);
    assert.deepEqual(await replies(milter), [FIRST]);
    assert.match(milter.running.stderr, / notice .*reload: live: \S+policy\.lua .*; new: do_rcpt$/m);
    assert.match(milter.running.stderr, / error .*reload: refused: \S+policy\.lua:\d+: /);
  });

  test('last-good: the reason, and what serves', async (t) => {
    const milter = await startMilter(t, BETTER, ['--workers', '0', '--on-bad-script', 'last-good']);
    milter.edit('error("no list")\n');
    const { code, stdout } = await reload(milter, '--json');
    const { outcome, reason, callbacks, gained, lost, passed, processes, silent } = JSON.parse(stdout);
    assert.equal(code, 1);
    assert.match(reason, /policy\.lua:1: no list/);
    assert.deepEqual(
      { outcome, callbacks, gained, lost, passed, processes, silent },
      {
        outcome: 'refused',
        callbacks: ['do_mail', 'do_rcpt'],
        gained: [],
        lost: [],
        passed: null,
        processes: 1,
        silent: 0,
      },
    );
    milter.edit(GOOD);
    assert.match(plain(milter, await reload(milter)), /^live: .*: do_mail\n.*\nno longer: do_rcpt\n$/);
  });

  test('--on-reload: after the trial, with its result', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '2', '--on-reload', 'check,test']);
    writeFileSync(
      join(dirname(milter.script), 'policy_test.lua'),
      'test.case("mail", function()\n  test.reply(test.session():mail "a@b.example", 452)\nend)\n',
    );
    // Several ask at the same time: one trial, and the same answer.
    milter.edit(BETTER);
    const both = await Promise.all([reload(milter), reload(milter, '--json')]);
    assert.deepEqual(await replies(milter), [SECOND]);
    assert.match(
      plain(milter, both[0]),
      /^(live|unchanged): DIR\/policy\.lua \(HASH\), callbacks: do_mail do_rcpt\n/,
    );
    assert.deepEqual(
      both.map(({ code }) => code),
      [0, 0],
    );
    const tests = both.map(({ stdout }) => /"passed": 1|1 test passed/.test(stdout));
    assert.ok(tests.includes(true), JSON.stringify(both));

    milter.edit(GOOD);
    const refused = await reload(milter);
    assert.equal(refused.code, 1);
    assert.match(
      plain(milter, refused),
      /^refused: DIR\/policy_test\.lua:2: test "mail" fails: .*\nDIR\/policy\.lua \(HASH\) serves\n$/,
    );
    assert.deepEqual(await replies(milter), [SECOND]);
    milter.edit(`${BETTER}function smtp.do_data() smtp.tran.frob() end\n`);
    assert.match(plain(milter, await reload(milter)), /^refused: DIR\/policy\.lua:3:\d+: error: /);
    milter.edit(BETTER);
    const again = await reload(milter);
    assert.deepEqual(
      [again.code, plain(milter, again)],
      [0, 'unchanged: DIR/policy.lua (HASH), callbacks: do_mail do_rcpt\n1 test passed\n'],
    );
  });

  test('where no server answers the exit code is 75', async (t) => {
    const { code, stdout, stderr } = await run(['reload', '--control', join(directory(t), 'none')]);
    assert.equal(code, 75);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /^smtpf-milter: reload: no server answers at \S+none .*: start it, (or name its --control|name its --control, or run as its user)\n$/,
    );
  });
});
