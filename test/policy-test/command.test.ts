/** `smtpf-milter test` as a program: what it prints and writes, and its exit codes. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Ended, PROGRAM, Running, run } from '../program/program.ts';
import { place } from './run-tests.ts';

const EXAMPLES = fileURLToPath(new URL('../../examples', import.meta.url));

const POLICY = `function smtp.do_mail(sender)
  if sender == "" then
    return 550, "5.7.1 no bounces"
  end
end
`;
const PASSING = `test.case("bounces <&> are refused", function()
  print("hello")
  test.reply(test.session { helo = "x" }:mail "", 550, "no bounces")
end)
`;
const FAILING = `test.case("all are taken", function()
  test.accepted(test.session { helo = "x" }:mail "")
end)
test.case("not mine # 2", function() test.equal(1, 1) end)
`;

/** Runs the command in a directory with these files; DIR stands for it in what comes out. */
async function tested(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  ...args: readonly string[]
): Promise<Ended & { readonly directory: string }> {
  const directory = place(t, files);
  const ended = await run(['test', directory, ...args]);
  const short = (text: string) =>
    text
      .replaceAll(directory, 'DIR')
      .replace(/\(\d+ ms\)/g, '(N ms)')
      .replace(/, [\d.]+ s$/gm, ', N s');
  return { ...ended, stdout: short(ended.stdout), stderr: short(ended.stderr), directory };
}

const BOTH = { 'a.lua': POLICY, 'a_test.lua': PASSING, 'sub/b.lua': POLICY, 'sub/b_test.lua': FAILING };

test('the tests of all examples pass, and run every line but one', async () => {
  // To count lines makes large messages dearer.
  const { code, stdout } = await run(['test', EXAMPLES, '--json', '--coverage', '--cpu-ms', '10000']);
  const { failed, broken, passed, files, coverage } = JSON.parse(stdout);
  assert.deepEqual([code, failed, broken], [0, 0, 0], stdout);
  assert.ok(passed >= 50);
  const name = (path: string) => path.replace(/^.*\//, '');
  const tests = [
    'access',
    'attachments',
    'closed-list',
    'dmarc',
    'greylist',
    'helo',
    'notify',
    'senders',
    'sign',
    'smtpf',
  ];
  assert.deepEqual(
    files.map(({ file }: { file: string }) => name(file)),
    tests.map((example) => `${example}_test.lua`),
  );
  assert.deepEqual(
    coverage.map(({ file, uncovered }: { file: string; uncovered: unknown[] }) => [
      name(file),
      uncovered.length,
    ]),
    tests.map((example) => [`${example}.lua`, example === 'sign' ? 1 : 0]),
  );
});

test('a report for people, in the order of the files, and exit code 1 for a failure', async (t) => {
  const { code, stdout, stderr } = await tested(t, BOTH);
  assert.equal(stderr, '');
  assert.equal(
    stdout,
    `DIR/a_test.lua
  ✓ bounces <&> are refused (N ms)
    | hello

DIR/sub/b_test.lua
  ✗ all are taken (N ms)

    DIR/sub/b_test.lua:2: MAIL FROM:<>
      > test.accepted(test.session { helo = "x" }:mail "")
      expected: no refusal
      got:      550 5.7.1 no bounces
      from:     smtp.do_mail, DIR/sub/b.lua:3
      the session:
        connect 192.0.2.7  220 mx.example ESMTP Postfix
        EHLO x             250 mx.example
        MAIL FROM:<>       550 5.7.1 no bounces  DIR/sub/b.lua:3

  ✓ not mine # 2 (N ms)

2 passed, 1 failed in 2 files, N s
`,
  );
  assert.equal(code, 1);
});

test('several processes report the same', async (t) => {
  const files: Record<string, string> = {};
  for (let i = 0; i < 6; i++) {
    files[`p${i}.lua`] = POLICY;
    files[`p${i}_test.lua`] = i === 3 ? FAILING : PASSING;
  }
  const one = await tested(t, files, '--jobs', '1', '--coverage');
  const three = await tested(t, files, '--jobs', '3', '--coverage');
  assert.equal(three.stdout.replaceAll(three.directory, 'DIR'), one.stdout.replaceAll(one.directory, 'DIR'));
  assert.deepEqual([one.code, three.code], [1, 1]);
  assert.match(three.stdout, /6 passed, 1 failed in 6 files/);
});

test('files that cannot be run are broken: exit code 3, and the others run', async (t) => {
  const { code, stdout } = await tested(t, {
    ...BOTH,
    'c_test.lua': 'test.case("x", function() end)',
    'd.lua': 'if\n',
    'd_test.lua': 'test.case("x", function() end)',
    'e.lua': POLICY,
    'e_test.lua': 'test.case("x", function()\n',
    'f.lua': POLICY,
    'f_test.lua': 'error("at once")',
    'g.lua': POLICY,
    'g_test.lua': '-- nothing here',
  });
  assert.equal(code, 3);
  for (const line of [
    'cannot read DIR/c.lua: No such file or directory',
    'DIR/d.lua:2: unexpected symbol near <eof>',
    "DIR/e_test.lua:2: 'end' expected (to close 'function' at line 1) near <eof>",
    'DIR/f_test.lua:1: at once',
    'DIR/g_test.lua: no test.case in it',
  ]) {
    assert.ok(stdout.includes(`  ✗ broken: ${line}\n`), `${line}\n${stdout}`);
  }
  assert.match(stdout, /2 passed, 1 failed, 5 broken files in 7 files/);
});

test('TAP', async (t) => {
  const { code, stdout } = await tested(t, { ...BOTH, 'c_test.lua': 'x x' }, '--tap');
  assert.equal(code, 3);
  assert.equal(
    stdout.replace(/duration_ms: [\d.]+/g, 'duration_ms: N'),
    `TAP version 14
# hello
ok 1 - DIR/a_test.lua: bounces <&> are refused
  ---
  duration_ms: N
  ...
not ok 2 - DIR/c_test.lua
  ---
  message: "DIR/c_test.lua:1: syntax error near 'x'"
  ...
not ok 3 - DIR/sub/b_test.lua: all are taken
  ---
  duration_ms: N
  message: |-
    MAIL FROM:<>
      expected: no refusal
      got:      550 5.7.1 no bounces
      from:     smtp.do_mail, DIR/sub/b.lua:3
  at: "DIR/sub/b_test.lua:2"
  ...
ok 4 - DIR/sub/b_test.lua: not mine \\# 2
  ---
  duration_ms: N
  ...
1..4
`,
  );
});

test('JUnit and lcov files beside the report', async (t) => {
  const out = place(t, {});
  const { code, directory } = await tested(
    t,
    { ...BOTH, 'c_test.lua': 'x x' },
    '--junit',
    join(out, 'junit.xml'),
    '--lcov',
    join(out, 'lcov.info'),
  );
  assert.equal(code, 3);
  const xml = readFileSync(join(out, 'junit.xml'), 'utf8')
    .replaceAll(directory, 'DIR')
    .replace(/time="[\d.]+"/g, 'time="N"');
  assert.equal(
    xml,
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="smtpf-milter" tests="3" failures="1" errors="1" time="N">
  <testsuite name="DIR/a_test.lua" tests="1" failures="0" errors="0" time="N">
    <testcase name="bounces &lt;&amp;&gt; are refused" classname="DIR/a_test.lua" file="DIR/a_test.lua" time="N">
      <system-out>hello</system-out>
    </testcase>
  </testsuite>
  <testsuite name="DIR/c_test.lua" tests="0" failures="0" errors="1" time="N">
    <testcase name="DIR/c_test.lua" classname="DIR/c_test.lua">
      <error message="DIR/c_test.lua:1: syntax error near 'x'">DIR/c_test.lua:1: syntax error near 'x'</error>
    </testcase>
  </testsuite>
  <testsuite name="DIR/sub/b_test.lua" tests="2" failures="1" errors="0" time="N">
    <testcase name="all are taken" classname="DIR/sub/b_test.lua" file="DIR/sub/b_test.lua" line="2" time="N">
      <failure message="MAIL FROM:&lt;&gt;">DIR/sub/b_test.lua:2
MAIL FROM:&lt;&gt;
  expected: no refusal
  got:      550 5.7.1 no bounces
  from:     smtp.do_mail, DIR/sub/b.lua:3
connect 192.0.2.7 -&gt; 220 mx.example ESMTP Postfix
EHLO x -&gt; 250 mx.example
MAIL FROM:&lt;&gt; -&gt; 550 5.7.1 no bounces (DIR/sub/b.lua:3)</failure>
    </testcase>
    <testcase name="not mine # 2" classname="DIR/sub/b_test.lua" file="DIR/sub/b_test.lua" time="N"/>
  </testsuite>
</testsuites>
`,
  );
  assert.equal(
    readFileSync(join(out, 'lcov.info'), 'utf8').replaceAll(directory, 'DIR'),
    ['a.lua', 'sub/b.lua']
      .map((name) => `TN:\nSF:DIR/${name}\nDA:1,2\nDA:2,1\nDA:3,1\nDA:5,2\nLF:4\nLH:4\nend_of_record\n`)
      .join(''),
  );
});

test('--filter leaves out cases, --bail ends a file at its first failure', async (t) => {
  const mine = await tested(t, BOTH, '--filter', 'NOT mine');
  assert.equal(mine.code, 0);
  assert.equal(mine.stdout, 'DIR/sub/b_test.lua\n  ✓ not mine # 2 (N ms)\n\n1 passed in 2 files, N s\n');
  const bailed = await tested(t, BOTH, '--bail');
  assert.equal(bailed.code, 1);
  assert.match(bailed.stdout, /1 passed, 1 failed in 2 files/);
});

test('wrong use has exit code 64 and one line that says why', async (t) => {
  const none = place(t, { 'a.lua': POLICY });
  for (const [args, message] of [
    [[none], `test: no file *_test.lua in ${none}`],
    [[EXAMPLES, '--filter', '('], '--filter: "(" is no regular expression'],
    [[EXAMPLES, '--filter', 'no such case'], '--filter: no test.case matches "no such case"'],
    [[EXAMPLES, '--jobs', '0'], '--jobs: "0" must be a number from 1 to 999'],
    [[EXAMPLES, '--onerror'], '--onerror: unknown option'],
    [[EXAMPLES, '--listen', 'x'], '--listen: not an option of test'],
  ] as const) {
    const { code, stderr } = await run(['test', ...args]);
    assert.equal(code, 64, message);
    assert.ok(stderr.startsWith(`smtpf-milter: ${message}`), stderr);
  }
});

test('a report of --junit, --lcov or --coverage may stand on standard output alone', async (t) => {
  const directory = place(t, { 'a.lua': POLICY, 'a_test.lua': PASSING });
  const junit = await run(['test', directory, '--junit', '-']);
  assert.match(junit.stdout, /^<\?xml [\s\S]*<\/testsuites>\n$/);
  const lcov = await run(['test', directory, '--lcov', '/dev/stdout']);
  assert.match(lcov.stdout, /^TN:\n[\s\S]*end_of_record\n$/);
  const tap = await run(['test', directory, '--tap', '--coverage']);
  assert.match(
    tap.stdout,
    /^TAP version 14\n[\s\S]*ok 1 [\s\S]*\n1\.\.1\n# coverage [\s\S]*\n# \S*a\.lua .*\n$/,
  );
});

test('--watch runs again when a policy, a module or a test changes', async (t) => {
  const directory = place(t, {
    'a.lua': 'local text = require "m"\nfunction smtp.do_mail() return 550, text end\n',
    'lib/m.lua': 'return "no bounces"',
    'a_test.lua': PASSING,
  });
  const [node = '', ...before] = PROGRAM;
  const args = ['test', directory, '--watch', '--package-path', `${directory}/lib/?.lua`];
  const program = new Running(
    spawn(node, [...before, ...args], { cwd: fileURLToPath(new URL('../..', import.meta.url)) }),
  );
  t.after(() => program.child.kill());
  const round = async (pattern: RegExp): Promise<void> => {
    await program.until('stdout', new RegExp(`${pattern.source}[\\s\\S]*waiting for changes\n`));
    program.stdout = '';
  };
  await round(/1 passed in 1 file/);
  writeFileSync(join(directory, 'lib/m.lua'), 'return "other"');
  await round(/changed: \S*lib\/m\.lua[\s\S]*1 failed in 1 file/);
  // As editors do: another file in its place.
  writeFileSync(join(directory, 'a.lua.new'), POLICY);
  renameSync(join(directory, 'a.lua.new'), join(directory, 'a.lua'));
  await round(/changed: \S*a\.lua[\s\S]*1 passed in 1 file/);
  writeFileSync(join(directory, 'b.lua'), POLICY);
  writeFileSync(join(directory, 'b_test.lua'), FAILING);
  await round(/2 passed, 1 failed in 2 files/);
  writeFileSync(join(directory, 'b_test.lua'), 'syntax error');
  await round(/1 passed, 1 broken file in 2 files/);
});
