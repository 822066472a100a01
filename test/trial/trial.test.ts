/** An edited policy on trial: what refuses it, which files it is about, and which tests are its own. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { resolveOptions } from '../../src/options/options.ts';
import { StderrSink } from '../../src/syslog/stderr-sink.ts';
import { type Loaded, type TrialEvents, tryPolicy, type Verdict } from '../../src/trial/trial.ts';
import { directory } from '../program/program.ts';

const POLICY = 'function smtp.do_mail() return 451, "first" end\n';
const caseOf = (code: number, name = 'mail') =>
  `test.case("${name}", function()\n  test.reply(test.session():mail "a@b.example", ${code})\nend)\n`;

interface Tried {
  readonly folder: string;
  readonly found: Loaded;
  readonly verdict: Verdict;
  readonly steps: readonly string[];
}

/** Has `policy.lua` among these files on trial. DIR/ is taken out of what is said. */
async function tried(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  {
    trials = 'check,test',
    during,
  }: { trials?: string; during?: (folder: string, what: string) => void } = {},
): Promise<Tried> {
  const folder = directory(t);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const spool = join(folder, 'spool');
  mkdirSync(spool);
  const given = { script: join(folder, 'policy.lua'), 'on-reload': trials, spool, store: 'memory' };
  const options = resolveOptions(new Map(Object.entries(given).map(([name, text]) => [name, [text]])), {});
  let found: Loaded | undefined;
  const steps: string[] = [];
  const events: TrialEvents = {
    loaded: (loaded) => {
      found = loaded;
    },
    trying: (what) => {
      steps.push(what.replaceAll(`${folder}/`, ''));
      during?.(folder, what);
    },
  };
  const start = { options, spool, secrets: [], before: undefined, id: 1 };
  const verdict = await tryPolicy(start, new StderrSink(), events);
  assert.ok(found);
  const refusal = verdict.refusal?.replaceAll(`${folder}/`, '');
  const warnings = verdict.warnings.map((text) => text.replaceAll(folder, 'DIR'));
  return { folder, found, verdict: { ...verdict, refusal, warnings }, steps };
}

const namesIn = ({ folder, found }: Tried) =>
  Object.fromEntries(
    [...found.release.files]
      .filter(([path]) => path.startsWith(folder))
      .map(([path, file]) => [path.slice(folder.length + 1), file === null ? null : file.bytes.toString()]),
  );

test('a policy that runs and whose tests pass is not refused', async (t) => {
  const { verdict, found } = await tried(t, { 'policy.lua': POLICY, 'policy_test.lua': caseOf(451) });
  assert.deepEqual([verdict.refusal, verdict.passed, verdict.warnings], [undefined, 1, []]);
  assert.deepEqual(found.report.callbacks, ['do_mail']);
  assert.equal(found.release.good?.hash, found.report.hash);
});

test('what keeps it from running refuses it, whatever is asked for', async (t) => {
  for (const trials of ['check', 'test', 'check,test']) {
    const { verdict } = await tried(t, { 'policy.lua': '\nerror("no list")\n' }, { trials });
    assert.match(verdict.refusal ?? '', /^policy\.lua:2: no list/);
  }
});

test('an error of the linter refuses it where check is asked for, with file, line and rule', async (t) => {
  const files = { 'policy.lua': `${POLICY}function smtp.do_rcpt()\n  return smtp.tran.frob()\nend\n` };
  const { verdict } = await tried(t, files, { trials: 'check' });
  assert.match(verdict.refusal ?? '', /^policy\.lua:3:\d+: error: .* \[[a-z-]+\]$/);
  assert.equal(verdict.passed, undefined);
  assert.equal((await tried(t, files, { trials: 'test' })).verdict.refusal, undefined);
});

test('warnings of the linter do not refuse it', async (t) => {
  const { verdict } = await tried(t, { 'policy.lua': 'local unused = 1\n' }, { trials: 'check' });
  assert.equal(verdict.refusal, undefined);
});

test('an error in a module refuses it, in one that only a callback requires too', async (t) => {
  const bad = 'local M = {}\nfunction M.f() return smtp.tran.frob() end\nreturn M\n';
  for (const policy of [
    `local m = require "m"\n${POLICY}`,
    `function smtp.do_mail() return require("m").f() end\n`,
    `local n = require "n"\n${POLICY}`,
  ]) {
    const files = {
      'policy.lua': policy,
      'm.lua': bad,
      'n.lua': 'return { f = function() return require "m" end }\n',
    };
    const { verdict } = await tried(t, files, { trials: 'check' });
    assert.match(verdict.refusal ?? '', /^m\.lua:2:\d+: error: /, policy);
  }
  const syntax = { 'policy.lua': 'function smtp.do_mail() require "m" end\n', 'm.lua': 'return {\n' };
  assert.match((await tried(t, syntax)).verdict.refusal ?? '', /^m\.lua:\d+: /);
});

test('the first case that fails is told, with its line and the number of others', async (t) => {
  const { verdict } = await tried(t, {
    'policy.lua': POLICY,
    'policy_test.lua': caseOf(451, 'right') + caseOf(452, 'wrong') + caseOf(453, 'wrong too'),
  });
  assert.match(
    verdict.refusal ?? '',
    /^policy_test\.lua:5: test "wrong" fails: \S.* \/ expected: 452 \/ got: 451 .* \(and 1 more failure\)$/,
  );
  assert.equal(verdict.passed, 1);
});

test('a file of tests that cannot be run refuses it', async (t) => {
  for (const [text, why] of [
    ['test.case(\n', /^policy_test\.lua:\d+: /],
    ['\nerror("not today")\n', /^policy_test\.lua:2: not today/],
    ['-- nothing\n', /^policy_test\.lua: no test\.case in it/],
  ] as const) {
    const { verdict } = await tried(t, { 'policy.lua': POLICY, 'policy_test.lua': text });
    assert.match(verdict.refusal ?? '', why);
  }
});

test('tests of other policies below the same directory do not count, those of its modules do', async (t) => {
  const others = {
    'policy.lua': POLICY,
    'other.lua': POLICY,
    'other_test.lua': caseOf(452),
    'old/policy.lua': POLICY,
    'old/policy_test.lua': caseOf(452),
  };
  const one = await tried(t, others, { trials: 'test' });
  assert.equal(one.verdict.refusal, undefined);
  assert.deepEqual(one.verdict.warnings, ['--on-reload test: no test of this policy (*_test.lua) in DIR']);
  const named = { ...others, 'tests/all_test.lua': `test.policy "../policy.lua"\n${caseOf(452)}` };
  assert.match((await tried(t, named)).verdict.refusal ?? '', /^tests\/all_test\.lua:3: test "mail" fails/);
  const module = {
    'policy.lua': `local other = require "other"\n${POLICY}`,
    'other.lua': POLICY,
    'other_test.lua': caseOf(452),
  };
  assert.match((await tried(t, module)).verdict.refusal ?? '', /^other_test\.lua:2: test "mail" fails/);
});

test('a release has the files as they were read, and knows of those that are not there', async (t) => {
  const one = await tried(t, {
    'policy.lua': `local a = require "a"\npcall(require, "local")\nfunction smtp.do_mail() require "lazy" end\n`,
    'a/init.lua': 'return {}\n',
    'lazy.lua': 'return 1\n',
  });
  assert.deepEqual(namesIn(one), {
    'a.lua': null,
    'a/init.lua': 'return {}\n',
    'local.lua': null,
    'local/init.lua': null,
    'lazy.lua': 'return 1\n',
  });
  assert.ok(one.found.versions.has(join(one.folder, 'policy.lua')));
  assert.equal(one.found.versions.get(join(one.folder, 'local.lua')), '');
});

test('a file that is edited during the trial is noticed', async (t) => {
  for (const name of ['policy.lua', 'm.lua', 'late.lua']) {
    const { verdict } = await tried(
      t,
      {
        'policy.lua': `pcall(require, "late")\nlocal m = require "m"\n${POLICY}`,
        'm.lua': 'return 1\n',
        'policy_test.lua': caseOf(451),
      },
      {
        during: (folder, what) => {
          if (what.endsWith('_test.lua')) writeFileSync(join(folder, name), 'return 22\n');
        },
      },
    );
    assert.equal(verdict.isMoved, true, name);
  }
});

test('another script or module is another digest, tests are not', async (t) => {
  const shared = { 'policy.lua': POLICY };
  const digest = async (files: Readonly<Record<string, string>>) => (await tried(t, files)).found.digest;
  const [one, same, other] = [
    await digest(shared),
    await digest({ ...shared, 'policy_test.lua': caseOf(451) }),
    await digest({ 'policy.lua': `-- edited\n${POLICY}` }),
  ];
  assert.equal(one, same);
  assert.notEqual(one, other);
});
