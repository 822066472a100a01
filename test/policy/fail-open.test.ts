/** A policy that cannot be read or run: what becomes of mail, and that the operator is told, at the start and later. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Mta } from '../helpers/mta.ts';
import { type Milter, mailReply, startMilter, statusOf } from '../program/milter-client.ts';
import { directory, run, start } from '../program/program.ts';

const CONSEQUENCES = {
  continue: ['c', 'its callbacks are skipped: mail passes UNFILTERED (--on-error continue)'],
  tempfail: ['t', '--on-error tempfail is applied: all mail is deferred'],
  reject: ['r', '--on-error reject is applied: all mail is refused'],
  accept: ['a', '--on-error accept is applied: all mail is accepted UNFILTERED'],
} as const;
const GOOD = 'function smtp.do_rcpt() return 550, "5.7.1 no" end\n';
const SYNTAX = '\nfunction smtp.do_rcpt(\n';

/** What cannot be run, made at `path`, and what the log says of it. */
const UNUSABLE: Readonly<Record<string, readonly [make: (path: string) => void, reason: RegExp]>> = {
  'a missing file': [() => {}, /cannot read \S+: No such file or directory/],
  'a directory': [(path) => mkdirSync(path), /cannot read \S+: Is a directory/],
  'half a file': [(path) => writeFileSync(path, SYNTAX), /policy\.lua:3: /],
  'a main chunk that fails': [(path) => writeFileSync(path, `${GOOD}error("oops")`), /policy\.lua:2: oops/],
  'NUL bytes': [(path) => writeFileSync(path, '\0'.repeat(100)), /policy\.lua:1: unexpected symbol/],
  'UTF-16': [(path) => writeFileSync(path, `\ufeff${GOOD}`, 'utf16le'), /policy\.lua:1: unexpected symbol/],
};

async function startWith(t: TestContext, make: (path: string) => void, args: readonly string[]) {
  const folder = directory(t);
  const script = join(folder, 'policy.lua');
  const spool = join(folder, 'spool');
  make(script);
  const given = ['--listen', 'inet:0@127.0.0.1', '--script', script, '--spool', spool];
  const running = start(t, [...given, ...args]);
  const port = await running.port();
  await running.until('stderr', / error /);
  const milter: Milter = {
    running,
    port,
    spool,
    script,
    connect: () => Mta.open({ port }),
    edit: (lua) => writeFileSync(script, lua),
  };
  return milter;
}

const errorsIn = (milter: Milter): string[] =>
  milter.running.stderr.split('\n').filter((line) => / error /.test(line));

describe('at the start', { concurrency: 2 }, () => {
  for (const [what, [make, reason]] of Object.entries(UNUSABLE)) {
    test(`${what}: one error line says what that means, and status exits 1`, async (t) => {
      const milter = await startWith(t, make, ['--workers', '0']);
      const [line = '', ...more] = errorsIn(milter);
      assert.deepEqual(more, []);
      const [letter, consequence] = CONSEQUENCES.continue;
      assert.ok(line.includes(`script does not run, ${consequence}: `), line);
      assert.match(line, reason);
      assert.equal(await mailReply(milter), letter);
      const { code, stdout } = await run(['status', '--spool', milter.spool]);
      assert.equal(code, 1);
      assert.ok(stdout.includes(`policy.lua (does not run) since `) && stdout.includes(consequence), stdout);
      assert.match(stdout, reason);
      assert.doesNotMatch(stdout, /as edited/);
    });
  }

  for (const [onError, [letter, consequence]] of Object.entries(CONSEQUENCES)) {
    test(`--on-error ${onError} in its own words, in workers too`, async (t) => {
      const milter = await startWith(t, (path) => writeFileSync(path, SYNTAX), [
        '--workers',
        '2',
        '--on-error',
        onError,
      ]);
      assert.equal(errorsIn(milter).length, 1);
      assert.ok(errorsIn(milter)[0]?.includes(consequence), milter.running.stderr);
      assert.ok(milter.running.stdout.includes(`\n${consequence}\n`), milter.running.stdout);
      assert.equal(await mailReply(milter), letter);
      const { code, stdout } = await run(['status', '--spool', milter.spool]);
      assert.equal(code, 1);
      assert.ok(stdout.includes(consequence), stdout);
      milter.edit(GOOD);
      for (let session = 0; session < 6; session++) assert.equal(await mailReply(milter), 'c');
      await milter.running.until('stderr', / notice .*script changed: .*, callbacks: do_rcpt$/m);
      assert.equal((await run(['status', '--spool', milter.spool])).code, 0);
    });
  }

  test('a script without callbacks', async (t) => {
    const milter = await startWith(t, (path) => writeFileSync(path, '-- nothing\n'), ['--workers', '2']);
    assert.match(
      errorsIn(milter).join('\n'),
      /policy\.lua \([0-9a-f]{12}\), callbacks: none, mail passes UNFILTERED \(/,
    );
    const { code, stdout } = await run(['status', '--spool', milter.spool]);
    assert.equal(code, 1);
    assert.match(stdout, /^defines {5}none: mail passes UNFILTERED /m);
  });
});

describe('while it runs, with --on-bad-script skip', { concurrency: 2 }, () => {
  for (const [what, [make, reason]] of Object.entries(UNUSABLE)) {
    test(`${what}: the same line, once`, async (t) => {
      const milter = await startMilter(t, GOOD, ['--workers', '0']);
      rmSync(milter.script);
      make(milter.script);
      assert.equal(await mailReply(milter), 'c');
      const [line] = await milter.running.until('stderr', / error .*/);
      assert.ok(line.includes(CONSEQUENCES.continue[1]), line);
      assert.match(line, reason);
      assert.equal(await mailReply(milter), 'c');
      assert.equal(errorsIn(milter).length, 1);
      const { code, stdout } = await run(['status', '--spool', milter.spool]);
      assert.equal(code, 1);
      assert.match(stdout, /^script .* \(does not run\) .*UNFILTERED/m);
    });
  }

  test('a file that has lost all its callbacks', async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '0']);
    milter.edit('');
    assert.equal(await mailReply(milter), 'c');
    await milter.running.until(
      'stderr',
      / error .*script changed: \S+ \([0-9a-f]{12}\), callbacks: none, mail passes UNFILTERED \(/,
    );
    assert.deepEqual((await statusOf(milter)).script.callbacks, []);
    assert.equal((await run(['status', '--spool', milter.spool])).code, 1);
  });

  test('an unreadable file', { skip: process.getuid?.() === 0 && 'root reads everything' }, async (t) => {
    const milter = await startMilter(t, GOOD, ['--workers', '0']);
    chmodSync(milter.script, 0);
    assert.equal(await mailReply(milter), 'c');
    await milter.running.until('stderr', / error .*UNFILTERED .*cannot read \S+: Permission denied/);
  });
});

describe('the announcement', () => {
  const said = async (t: TestContext, ...args: string[]): Promise<[string, string]> => {
    const { running } = await startMilter(t, GOOD, ['--workers', '0', ...args]);
    await running.stop();
    return [running.stdout, running.stderr];
  };
  const FAILS_OPEN =
    /--on-error continue: mail goes on where a callback fails, so whoever can make one fail/g;

  test('says once what --on-error continue means', async (t) => {
    for (const text of await said(t)) assert.equal(text.match(FAILS_OPEN)?.length, 1, text);
  });

  test('has no need to with another action', async (t) => {
    for (const text of await said(t, '--on-error', 'tempfail')) assert.doesNotMatch(text, FAILS_OPEN);
  });
});
