/** --on-reload: an edited policy goes live in all workers when it has stood its trial, and not before. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import {
  childrenOf,
  isAlive,
  type Milter,
  mailReply,
  startMilter,
  statusOf,
  until,
} from '../program/milter-client.ts';
import { directory, run, start } from '../program/program.ts';

const GOOD = 'function smtp.do_mail() return 451, "first" end\n';
const BETTER = 'function smtp.do_mail() return 452, "second" end\n';
const FIRST = '451 4.0.0 first';
const SECOND = '452 4.0.0 second';
const BOTH = ['--on-reload', 'check,test'];

const caseOf = (code: number) =>
  `test.case("mail", function()\n  test.reply(test.session():mail "a@b.example", ${code})\nend)\n`;
const besides = ({ script }: Milter, name: string) => join(dirname(script), name);

/** Of enough sessions for each worker to have had one, most likely. */
async function replies(milter: Milter): Promise<string[]> {
  const found = new Set<string>();
  for (let session = 0; session < 8; session++) found.add(await mailReply(milter));
  return [...found];
}

const linesOf = ({ running }: Milter, pattern: RegExp): string[] =>
  running.stderr.split('\n').filter((line) => pattern.test(line));

/** The line of the log about the latest refusal. */
async function refusal(milter: Milter, count: number): Promise<string> {
  const pattern = / error .*script is refused \(--on-reload\), /;
  await milter.running.until('stderr', new RegExp(`(${pattern.source}[\\s\\S]*){${count}}`));
  await milter.running.until('stderr', new RegExp(`(${pattern.source}[\\s\\S]*){${count}}\\n$`));
  const lines = linesOf(milter, pattern);
  assert.equal(lines.length, count);
  return lines.at(-1) ?? '';
}

/** The trial that this process has started. */
function trialOf(pid: number | undefined): number | undefined {
  return childrenOf(pid).find((child) =>
    readFileSync(`/proc/${child}/cmdline`, 'latin1').includes('trial of an edited policy'),
  );
}

describe('--on-reload', { concurrency: 2 }, () => {
  test('what is refused stays out, what passes goes live in all workers, and sessions go on', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '2', ...BOTH]);
    await milter.running.until('stderr', / warning .*--on-reload test: no test of this policy/);
    const first = (await statusOf(milter)).script.hash;
    writeFileSync(besides(milter, 'policy_test.lua'), caseOf(452));
    const session = await milter.connect();
    await session.connect('192.0.2.7');

    milter.edit(BETTER);
    await milter.running.until('stderr', / notice .*script changed: .*, callbacks: do_mail$/m);
    assert.deepEqual(await replies(milter), [SECOND], 'all have it when the log says so');
    assert.equal((await session.mail('<a@b.example>')).text, FIRST, 'a session keeps its version');
    const second = (await statusOf(milter)).script.hash;
    assert.notEqual(second, first);

    const trials = besides(milter, 'trials');
    milter.edit(
      `io.open("${trials}", "a"):write("x")\n${BETTER}function smtp.do_rcpt() smtp.tran.frob() end\n`,
    );
    assert.match(
      await refusal(milter, 1),
      new RegExp(
        `the last good version \\(${second}\\) serves: \\S+policy\\.lua:3:\\d+: error: .*\\[[a-z-]+\\]$`,
      ),
    );
    assert.deepEqual(await replies(milter), [SECOND]);
    const { code, stdout } = await run(['status', '--spool', milter.spool]);
    assert.equal(code, 2);
    assert.match(stdout, /as edited it does not serve: \S+policy\.lua:3:\d+: error: /);

    milter.edit(GOOD);
    assert.match(await refusal(milter, 2), /policy_test\.lua:2: test "mail" fails: .*451/);
    assert.deepEqual(await replies(milter), [SECOND]);
    assert.equal(readFileSync(trials, 'utf8'), 'x', 'a version that was refused is not tried again');

    // It was the test that was wrong.
    writeFileSync(besides(milter, 'policy_test.lua'), caseOf(451));
    await milter.running.until('stderr', /(script changed: [\s\S]*){2}/);
    assert.deepEqual(await replies(milter), [FIRST]);
    assert.equal((await statusOf(milter)).script.problem, undefined);
    assert.equal(await milter.running.stop(), 0);
    assert.equal(linesOf(milter, / error /).length, 2);
  });

  test('--workers 0: the one process does the same', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '0', ...BOTH]);
    writeFileSync(besides(milter, 'policy_test.lua'), caseOf(452));
    milter.edit(BETTER);
    await milter.running.until('stderr', /script changed: /);
    assert.equal(await mailReply(milter), SECOND);
    milter.edit(GOOD);
    assert.match(await refusal(milter, 1), /policy_test\.lua:2: test "mail" fails: .*451/);
    assert.equal(await mailReply(milter), SECOND);
    assert.equal((await run(['status', '--spool', milter.spool])).code, 2);
  });

  test('a module is part of the version: edited, it waits for its trial too', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '2', '--on-reload', 'check']);
    const module = besides(milter, 'texts.lua');
    const lazy = besides(milter, 'lazy.lua');
    writeFileSync(module, 'return { mail = "one" }\n');
    writeFileSync(lazy, 'return "lazy"\n');
    milter.edit(
      'local texts = require "texts"\nfunction smtp.do_mail() return 451, texts.mail .. require "lazy" end\n',
    );
    await milter.running.until('stderr', /script changed: /);
    assert.deepEqual(await replies(milter), ['451 4.0.0 onelazy']);

    writeFileSync(module, 'local M = { mail = "two" }\nfunction M.f() smtp.tran.frob() end\nreturn M\n');
    assert.match(await refusal(milter, 1), /texts\.lua:2:\d+: error: /);
    assert.deepEqual(await replies(milter), ['451 4.0.0 onelazy']);
    const { script, workers } = await statusOf(milter);
    assert.match(script.problem ?? '', /texts\.lua:2:/);
    assert.equal(script.unproven, undefined);

    // A worker that is started meanwhile serves what the others do, a module that is read late included.
    writeFileSync(lazy, 'return nil, nil +\n');
    for (const { pid } of workers) process.kill(pid, 'SIGKILL');
    await milter.running.until('stderr', /(worker \d \(process \d+\) started[\s\S]*){2}/);
    assert.deepEqual(await replies(milter), ['451 4.0.0 onelazy']);

    writeFileSync(lazy, 'return "later"\n');
    writeFileSync(module, 'return { mail = "two" }\n');
    await milter.running.until('stderr', /(script changed: [\s\S]*){2}/);
    assert.deepEqual(await replies(milter), ['451 4.0.0 twolater']);
    rmSync(module);
    await refusal(milter, linesOf(milter, /script is refused/).length + 1);
    assert.deepEqual(await replies(milter), ['451 4.0.0 twolater']);
  });

  test('a trial that is killed, or hangs, counts as failed; mail goes on meanwhile', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '1', ...BOTH, '--allow-execute']);
    const tests = besides(milter, 'policy_test.lua');
    const began = besides(milter, 'began');
    writeFileSync(tests, `test.case("hangs", function() os.execute("touch ${began}; sleep 1000.5") end)\n`);
    milter.edit(BETTER);
    await until(() => existsSync(began));
    assert.deepEqual(await replies(milter), [FIRST]);
    const trial = trialOf(milter.running.child.pid);
    assert.ok(trial);
    const [shell = 0] = childrenOf(trial);
    process.kill(trial, 'SIGKILL');
    assert.match(
      await refusal(milter, 1),
      /the process of its trial has ended \(SIGKILL\): \S+policy_test\.lua was under way$/,
    );
    assert.deepEqual(await replies(milter), [FIRST]);
    for (const pid of [shell, ...childrenOf(shell)]) if (isAlive(pid)) process.kill(pid, 'SIGKILL');

    // A server that ends while a trial hangs takes it with it.
    rmSync(began);
    milter.edit(`${BETTER}-- again\n`);
    await until(() => existsSync(began));
    const second = trialOf(milter.running.child.pid) ?? 0;
    const left = [second, ...childrenOf(second)];
    assert.equal(await milter.running.stop(), 0);
    await until(() => !left.some(isAlive));
    assert.equal(linesOf(milter, /script is refused/).length, 1);
  });

  test('what is not edited is not tried, and SIGHUP tries what was refused once more', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '2', ...BOTH]);
    const { running } = milter;
    running.child.kill('SIGHUP');
    await running.until('stderr', / notice .*SIGHUP: script .*, callbacks: do_mail$/m);
    milter.edit('\n\nerror("no list")\n');
    running.child.kill('SIGHUP');
    await running.until(
      'stderr',
      / error .*SIGHUP: \S+policy\.lua:3: no list.*; the last good version \([0-9a-f]{12}\) serves$/m,
    );
    running.child.kill('SIGHUP');
    await running.until('stderr', /(SIGHUP: \S+policy\.lua:3: no list[\s\S]*){2}/);
    // As it was: nothing new to serve.
    milter.edit(GOOD);
    await running.until('stderr', / notice .*script is again what serves: .*, callbacks: do_mail$/m);
    assert.equal((await statusOf(milter)).script.problem, undefined);
    assert.equal(linesOf(milter, /script is refused|script changed/).length, 0);
  });

  test('a version that has lost all callbacks, and one that is gone, are refused', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '1', '--on-reload', 'check']);
    milter.edit('');
    assert.match(await refusal(milter, 1), /defines no callback any more \(do_mail\): /);
    rmSync(milter.script);
    assert.match(await refusal(milter, 2), /cannot read \S+policy\.lua: No such file or directory$/);
    assert.deepEqual(await replies(milter), [FIRST]);
    milter.edit('function smtp.do_helo() end\nfunction smtp.do_mail() return 452, "second" end\n');
    await milter.running.until('stderr', /script changed: /);
    assert.deepEqual(await replies(milter), [SECOND]);
  });

  describe('at the start', { concurrency: 2 }, () => {
    test('a policy that is refused ends it, before anything is served', async (t) => {
      const folder = directory(t);
      const script = join(folder, 'policy.lua');
      writeFileSync(join(folder, 'policy_test.lua'), caseOf(451));
      const args = ['--listen', 'inet:0@127.0.0.1', '--script', script, ...BOTH];
      for (const [workers, policy, why] of [
        ['0', BETTER, /policy_test\.lua:2: test "mail" fails: .*452/],
        ['2', `${GOOD}function smtp.do_rcpt() smtp.tran.frob() end\n`, /policy\.lua:2:\d+: error: /],
      ] as const) {
        writeFileSync(script, policy);
        const running = start(t, [...args, '--workers', workers], { SMTPF_MILTER_ON_BAD_START: 'exit' });
        assert.equal(await running.ended(), 78);
        const [, what = '', reason = ''] =
          /^smtpf-milter: --script (\S+policy\.lua: is refused) \(--on-reload\): (.*)$/m.exec(
            running.stderr,
          ) ?? [];
        assert.equal(what, `${script}: is refused`, running.stderr);
        assert.match(reason, why);
        assert.match(reason, / \(--on-bad-start serve starts with it all the same\)$/);
        assert.doesNotMatch(running.stdout, /listening/);
      }
    });

    test('--on-bad-start serve: it serves, as there is no other, and everybody is told', async (t) => {
      const bad =
        'function smtp.do_mail() return 451, "first" end\nfunction smtp.do_rcpt() smtp.tran.frob() end\n';
      const milter = await startMilter(t, bad, ['--workers', '2', '--on-reload', 'check']);
      assert.deepEqual(await replies(milter), [FIRST]);
      await milter.running.until(
        'stderr',
        / error .*; refused \(--on-reload\), it serves as there is none before it: \S+policy\.lua:2:/,
      );
      const { code, stdout } = await run(['status', '--spool', milter.spool]);
      assert.equal(code, 2);
      assert.match(stdout, /it was refused, and serves as there is none before it: \S+policy\.lua:2:/);
      milter.edit(BETTER);
      await milter.running.until('stderr', /script changed: /);
      assert.deepEqual(await replies(milter), [SECOND]);
      assert.equal((await run(['status', '--spool', milter.spool])).code, 0);
    });

    test('--on-bad-start serve: where nothing runs, --on-error is applied until something does', async (t) => {
      const args = ['--workers', '0', '--on-reload', 'check', '--on-error', 'tempfail'];
      const milter = await startMilter(t, 'error("no list")\n', args);
      assert.deepEqual(await replies(milter), ['t']);
      assert.equal((await run(['status', '--spool', milter.spool])).code, 1);
      milter.edit(GOOD);
      await milter.running.until('stderr', /script changed: /);
      assert.deepEqual(await replies(milter), [FIRST]);
    });
  });

  test('--confine: checks and tests run within the workers’ walls', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '1', ...BOTH, '--confine']);
    writeFileSync(
      besides(milter, 'policy_test.lua'),
      `${caseOf(452)}test.case("walls", function() assert(not io.open("/etc/passwd")) end)\n`,
    );
    milter.edit(BETTER);
    await milter.running.until('stderr', /script (changed|is refused).*\n/);
    assert.deepEqual(linesOf(milter, /refused/), []);
    assert.deepEqual(await replies(milter), [SECOND]);
    assert.equal(readdirSync(milter.spool).includes('trial'), false, 'nothing is left of the tests');
  });
});
