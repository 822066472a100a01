/** Edited scripts in the running program: when they take effect, what serves when they cannot run, and what the log says. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { type Milter, mailReply, startMilter, statusOf } from '../program/milter-client.ts';

const GOOD = 'function smtp.do_mail() return 451, "first" end\n';
const BETTER = 'function smtp.do_mail() return 452, "second" end\n';
const NO_SYNTAX = '\n\nfunction smtp.do_mail(\n';
const FAILS = '\nerror("no list")\n';

/** Enough sessions for each worker to have had one, most likely. */
async function replies(milter: Milter): Promise<Set<string>> {
  const found = new Set<string>();
  for (let session = 0; session < 12; session++) found.add(await mailReply(milter));
  return found;
}

function linesOf(milter: Milter, pattern: RegExp): string[] {
  return milter.running.stderr.split('\n').filter((line) => pattern.test(line));
}

for (const workers of ['0', '2']) {
  describe(`with --workers ${workers}`, { concurrency: 2 }, () => {
    test('an edit is noticed by itself, and said once', async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', workers]);
      assert.deepEqual(await replies(milter), new Set(['451 4.0.0 first']));
      const before = await milter.connect();
      await before.connect('192.0.2.7');
      milter.edit(BETTER);
      assert.deepEqual(await replies(milter), new Set(['452 4.0.0 second']));
      assert.equal((await before.mail('<a@b.example>')).text, '451 4.0.0 first');
      await milter.running.until('stderr', /notice .*script changed: .* callbacks: do_mail$/m);
      assert.equal(await milter.running.stop(), 0);
      assert.equal(linesOf(milter, /script changed/).length, 1);
    });

    for (const [bad, message] of [
      [NO_SYNTAX, /policy\.lua:\d+: /],
      [FAILS, /policy\.lua:2: no list/],
    ] as const) {
      test(`skip: callbacks are skipped, and ${message} is said once`, async (t) => {
        const milter = await startMilter(t, GOOD, ['--workers', workers]);
        milter.edit(bad);
        assert.deepEqual(await replies(milter), new Set(['c']));
        await milter.running.until('stderr', /error .*script does not run, its callbacks are skipped: /);
        const { script } = await statusOf(milter);
        assert.equal(script.hash, undefined);
        assert.match(script.problem ?? '', message);
        milter.edit(BETTER);
        assert.deepEqual(await replies(milter), new Set(['452 4.0.0 second']));
        assert.equal(await milter.running.stop(), 0);
        assert.equal(linesOf(milter, message).length, 1);
      });

      test(`last-good: the version before goes on, and ${message} is said once`, async (t) => {
        const milter = await startMilter(t, GOOD, ['--workers', workers, '--on-bad-script', 'last-good']);
        const good = (await statusOf(milter)).script.hash;
        milter.edit(bad);
        assert.deepEqual(await replies(milter), new Set(['451 4.0.0 first']));
        await milter.running.until(
          'stderr',
          /error .*script does not run, the last good version \([0-9a-f]{12}\) serves: /,
        );
        const { script } = await statusOf(milter);
        assert.equal(script.hash, good);
        assert.match(script.problem ?? '', message);
        milter.edit(BETTER);
        // A worker that is still compiling goes on with what it had.
        for (let tries = 0; tries < 20 && (await replies(milter)).has('451 4.0.0 first'); tries++);
        assert.deepEqual(await replies(milter), new Set(['452 4.0.0 second']));
        assert.equal(await milter.running.stop(), 0);
        assert.equal(linesOf(milter, message).length, 1);
      });
    }

    test('SIGHUP says once what the script is, and what serves', async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', workers, '--on-bad-script', 'last-good']);
      const { running } = milter;
      milter.edit(BETTER);
      running.child.kill('SIGHUP');
      await running.until('stderr', /notice .*SIGHUP: script .*, callbacks: do_mail$/m);
      milter.edit(NO_SYNTAX);
      running.child.kill('SIGHUP');
      await running.until(
        'stderr',
        /warning .*SIGHUP: .*policy\.lua:\d+: .*; the last good version \([0-9a-f]{12}\) serves$/m,
      );
      // A worker that is still compiling goes on with what it had.
      for (let tries = 0; tries < 20 && (await replies(milter)).has('451 4.0.0 first'); tries++);
      assert.deepEqual(await replies(milter), new Set(['452 4.0.0 second']));
      assert.equal(await running.stop(), 0);
      assert.equal(linesOf(milter, /SIGHUP/).length, 2);
      assert.equal(linesOf(milter, /script changed|script does not run/).length, 0);
    });

    test('last-good: at the start there is none, so callbacks are skipped', async (t) => {
      const milter = await startMilter(t, FAILS, ['--workers', workers, '--on-bad-script', 'last-good']);
      assert.deepEqual(await replies(milter), new Set(['c']));
      milter.edit(GOOD);
      assert.deepEqual(await replies(milter), new Set(['451 4.0.0 first']));
    });

    test('a main chunk that overruns its time in one session is the trouble of that session', async (t) => {
      const args = [
        '--workers',
        workers,
        '--on-bad-script',
        'last-good',
        '--on-error',
        'tempfail',
        '--cpu-ms',
        '50',
      ];
      const milter = await startMilter(t, '', args);
      const flag = `${milter.script}.flag`;
      milter.edit(`if io.open("${flag}") then while true do end end\n${GOOD}`);
      assert.deepEqual(await replies(milter), new Set(['451 4.0.0 first']));
      writeFileSync(flag, '');
      assert.equal(await mailReply(milter), 't');
      rmSync(flag);
      assert.deepEqual(await replies(milter), new Set(['451 4.0.0 first']));
      assert.match(
        (
          await milter.running.until(
            'stderr',
            /error .*script does not run, --on-error tempfail is applied: .*/,
          )
        )[0],
        /policy\.lua:1: /,
      );
      assert.equal(linesOf(milter, /script does not run/).length, 1);
    });

    test('skip: a module that is mended brings the script back without an edit', async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', workers]);
      const list = `${milter.script}.list`;
      milter.edit(`dofile("${list}")\n${BETTER}`);
      assert.deepEqual(await replies(milter), new Set(['c']));
      writeFileSync(list, '');
      assert.deepEqual(await replies(milter), new Set(['452 4.0.0 second']));
      await milter.running.until('stderr', /notice .*script changed: /);
    });
  });
}

test('last-good: a worker that is started later serves the same version', async (t) => {
  const milter = await startMilter(t, GOOD, ['--workers', '1', '--on-bad-script', 'last-good']);
  assert.equal(await mailReply(milter), '451 4.0.0 first');
  milter.edit(FAILS);
  assert.equal(await mailReply(milter), '451 4.0.0 first');
  const [worker] = (await statusOf(milter)).workers;
  process.kill(worker?.pid ?? 0, 'SIGKILL');
  assert.equal(await mailReply(milter), '451 4.0.0 first');
  assert.equal((await statusOf(milter)).restarts, 1);
});
