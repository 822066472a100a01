/** --on-bad-script last-good: which versions of an edited script are taken, and that no other switches the policy off. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { EditedFile } from '../../src/lua/script/edited-file.ts';
import { type Milter, mailReply, startMilter, statusOf, until } from '../program/milter-client.ts';
import { directory, run } from '../program/program.ts';

const GOOD = 'function smtp.do_mail() return 451, "first" end\n';
const BETTER = 'function smtp.do_mail() return 452, "second" end\n';
const REFUSED = '451 4.0.0 first';
const LAST_GOOD = ['--on-bad-script', 'last-good'];

/** Enough sessions for each worker to have had one, most likely. */
async function replies(milter: Milter, sessions = 8): Promise<string[]> {
  const found = new Set<string>();
  for (let session = 0; session < sessions; session++) found.add(await mailReply(milter));
  return [...found];
}

/** Waits for the version that gives this reply: until it has passed its trial in each worker, the one before it serves. */
async function becomes(milter: Milter, reply: string): Promise<void> {
  const end = Date.now() + 60_000;
  let last = '';
  for (let same = 0; same < 8; ) {
    assert.ok(Date.now() < end, `still ${last}`);
    last = await mailReply(milter);
    same = last === reply ? same + 1 : 0;
  }
}

const errorsIn = ({ running }: Milter): string[] =>
  running.stderr.split('\n').filter((line) => / error /.test(line));

const NOTHING: Readonly<Record<string, string>> = {
  'an empty file': '',
  'white space': ' \n\t\n\n',
  comments: '-- To do: the policy\n--[[ function smtp.do_mail() end ]]\n',
  'a byte order mark': '\ufeff',
  'a first line for the shell': '#!/usr/bin/lua',
  'a main chunk without callbacks': 'local limit = 10\nreturn limit\n',
  'a table in the place of smtp': 'smtp = {}\n',
};

for (const workers of ['0', '2']) {
  describe(`with --workers ${workers}`, { concurrency: 2 }, () => {
    test('a policy that is written in place, slowly, is on all the time', async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', workers, ...LAST_GOOD]);
      const whole = 'function smtp.do_rcpt() end\nfunction smtp.do_mail()\n  return 452, "second"\nend\n';
      for (let length = 0; length < 32; length += 8) {
        milter.edit(whole.slice(28, 28 + length));
        assert.deepEqual(await replies(milter, 4), [REFUSED], JSON.stringify(whole.slice(28, 28 + length)));
      }
      milter.edit(whole);
      await becomes(milter, '452 4.0.0 second');
    });

    test('a version that has lost all callbacks is not taken, which is said once, with what to do', async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', workers, ...LAST_GOOD]);
      const good = (await statusOf(milter)).script.hash;
      let said = 0;
      for (const [what, lua] of Object.entries(NOTHING)) {
        milter.edit(lua);
        assert.deepEqual(await replies(milter), [REFUSED], what);
        said += 1;
        await until(() => errorsIn(milter).length >= said);
        assert.equal(errorsIn(milter).length, said, `${what}: ${milter.running.stderr}`);
      }
      for (const line of errorsIn(milter)) {
        assert.match(
          line,
          /script is not taken, the last good version \([0-9a-f]{12}\) serves: \S+policy\.lua defines no callback any more \(do_mail\): if that is meant, define one that does nothing: function smtp\.close\(\) end$/,
        );
      }
      const { code, stdout } = await run(['status', '--spool', milter.spool]);
      assert.equal(code, 2);
      assert.match(stdout, new RegExp(`policy\\.lua \\(${good}\\) since `));
      assert.match(
        stdout,
        /^defines {5}do_mail\n +as edited it does not serve: .* defines no callback any more/m,
      );
      milter.edit(BETTER);
      await becomes(milter, '452 4.0.0 second');
      await milter.running.until('stderr', / notice .*script changed: .*, callbacks: do_mail$/m);
      assert.equal((await statusOf(milter)).script.problem, undefined);
    });

    test('a policy without callbacks is taken where it says so', async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', workers, ...LAST_GOOD]);
      milter.edit('function smtp.close() end\n');
      await becomes(milter, 'c');
      await milter.running.until(
        'stderr',
        / warning .*script changed: .*, callbacks: close; no longer: do_mail$/m,
      );
      assert.deepEqual(errorsIn(milter), []);
    });

    test('a version with other callbacks alone has lost all of the one before, and is not taken', async (t) => {
      const close = 'function smtp.close() end\n';
      const milter = await startMilter(t, `${close}${GOOD}`, ['--workers', workers, ...LAST_GOOD]);
      for (const other of ['function smtp.do_helo() end\n', `function smtp.do_helo() end\n${close}`, close]) {
        milter.edit(other);
        assert.deepEqual(await replies(milter), [REFUSED], other);
      }
      await milter.running.until(
        'stderr',
        / error .*has lost all callbacks of the version before \(do_mail\): if that is meant, restart the milter$/m,
      );
      milter.edit(`${GOOD}function smtp.do_helo() end\n`);
      assert.deepEqual(await replies(milter), [REFUSED]);
    });

    test('a file that is cut short and still compiles is taken, with a warning that names what is gone', async (t) => {
      const milter = await startMilter(t, `${GOOD}function smtp.do_rcpt() end\n`, [
        '--workers',
        workers,
        ...LAST_GOOD,
      ]);
      milter.edit(GOOD);
      assert.deepEqual(await replies(milter), [REFUSED]);
      await milter.running.until(
        'stderr',
        / warning .*script changed: .*, callbacks: do_mail; no longer: do_rcpt$/m,
      );
    });

    test('a new name for the same callback is no loss', async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', workers, ...LAST_GOOD]);
      milter.edit('function smtp.mail() return 452, "second" end');
      await becomes(milter, '452 4.0.0 second');
      await milter.running.until('stderr', / notice .*script changed: .*, callbacks: mail$/m);
    });

    test('a file that is renamed into place is taken, and one that is gone is missed', async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', workers, ...LAST_GOOD]);
      for (const word of ['one', 'two', 'three']) {
        writeFileSync(`${milter.script}.new`, `function smtp.do_mail() return 452, "${word}" end\n`);
        renameSync(`${milter.script}.new`, milter.script);
        await becomes(milter, `452 4.0.0 ${word}`);
      }
      rmSync(milter.script);
      assert.deepEqual(await replies(milter), ['452 4.0.0 three']);
      mkdirSync(milter.script);
      assert.deepEqual(await replies(milter), ['452 4.0.0 three']);
      rmSync(milter.script, { recursive: true });
      milter.edit('\0'.repeat(500));
      assert.deepEqual(await replies(milter), ['452 4.0.0 three']);
      milter.edit(GOOD);
      await becomes(milter, REFUSED);
    });
  });
}

test('a worker that is started later, and while the file is empty, serves the last good version', async (t) => {
  const milter = await startMilter(t, GOOD, ['--workers', '1', ...LAST_GOOD]);
  milter.edit('');
  assert.equal(await mailReply(milter), REFUSED);
  const [worker] = (await statusOf(milter)).workers;
  process.kill(worker?.pid ?? 0, 'SIGKILL');
  assert.deepEqual(await replies(milter, 2), [REFUSED]);
  assert.equal((await statusOf(milter)).restarts, 1);
  await milter.running.until('stderr', / error .* is not taken/);
  assert.equal(errorsIn(milter).filter((line) => /is not taken/.test(line)).length, 1);
});

test('at the start there is no good version: the file is what it is, and that is an error', async (t) => {
  const milter = await startMilter(t, '-- nothing yet\n', ['--workers', '2', ...LAST_GOOD]);
  await milter.running.until('stderr', / error .*callbacks: none, mail passes UNFILTERED/);
  assert.deepEqual(await replies(milter), ['c']);
  milter.edit('-- still nothing\n');
  assert.deepEqual(await replies(milter), ['c']);
  milter.edit(GOOD);
  await becomes(milter, REFUSED);
  milter.edit('');
  assert.deepEqual(await replies(milter), [REFUSED]);
});

test('SIGHUP: what is not taken, and why', async (t) => {
  const milter = await startMilter(t, GOOD, ['--workers', '2', ...LAST_GOOD]);
  milter.edit('');
  milter.running.child.kill('SIGHUP');
  await milter.running.until(
    'stderr',
    / SIGHUP: .* defines no callback any more \(do_mail\): .*; the last good version \([0-9a-f]{12}\) serves$/m,
  );
  assert.deepEqual(await replies(milter), [REFUSED]);
});

describe('a file that changes and looks the same', () => {
  test('in the same second, with the same size', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '0', ...LAST_GOOD]);
    const second = Math.floor(Date.now() / 1000);
    for (const word of ['one', 'two', 'six', 'ten']) {
      milter.edit(`function smtp.do_mail() return 452, "${word}" end\n`);
      // As on a file system whose times are whole seconds, and with programs that set them.
      utimesSync(milter.script, second, second);
      await becomes(milter, `452 4.0.0 ${word}`);
    }
  });

  test('right after it was read', async (t) => {
    const path = `${directory(t)}/policy.lua`;
    const file = new EditedFile(path, 1000);
    for (let round = 0; round < 200; round++) {
      const word = String(1000 + round);
      writeFileSync(path, `function smtp.do_mail() return 452, "${word}" end\n`);
      assert.equal(file.content().bytes?.toString(), `function smtp.do_mail() return 452, "${word}" end\n`);
    }
  });
});

test('a file that cannot be read any more', {
  skip: process.getuid?.() === 0 && 'root reads all',
}, async (t) => {
  const milter = await startMilter(t, GOOD, ['--workers', '0', ...LAST_GOOD]);
  chmodSync(milter.script, 0);
  assert.deepEqual(await replies(milter), [REFUSED]);
});

describe('check', () => {
  test('warns of a policy without callbacks, which fails with --strict', async (t) => {
    const path = `${directory(t)}/policy.lua`;
    for (const lua of ['', '-- comment\n', 'local x = 1\nprint(x)\n']) {
      writeFileSync(path, lua);
      const { code, stdout } = await run(['check', path]);
      assert.equal(code, 0);
      assert.match(
        stdout,
        /:\d+:\d+: warning: this policy defines no callback: all mail passes; .*\[no-callbacks\]$/m,
      );
      assert.equal((await run(['check', '--strict', path])).code, 1);
    }
  });

  test('does not warn of one that means to, of a module, or of tests', async (t) => {
    const folder = directory(t);
    for (const [name, lua] of [
      ['policy.lua', 'function smtp.close() end\n'],
      ['silenced.lua', '-- smtpf: ignore-file no-callbacks\n'],
      ['module.lua', 'local M = {}\nfunction M.f() return 1 end\nreturn M\n'],
      ['policy_test.lua', 'test.case("x", function() end)\n'],
    ] as const) {
      writeFileSync(`${folder}/${name}`, lua);
      const { code, stdout } = await run(['check', '--strict', `${folder}/${name}`]);
      assert.equal(code, 0, stdout);
    }
  });
});
