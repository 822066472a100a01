/** The command check: what it prints, and how it ends. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { directory, PROGRAM, run } from '../program/program.ts';

function policy(t: TestContext, text: string | Buffer, name = 'policy.lua'): string {
  const path = join(directory(t), name);
  writeFileSync(path, text);
  return path;
}

const TEN_MISTAKES = `local LIMIT = 5*1024*1024*1024

function smtp.do_rctp(recipient, params)
  return smtp.code.reject, "5.7.1 no"
end

function smtp.do_mail(sender, params)
  seen = sender
  if smtp.sess.hello == "localhost" then
    return smtp.code.rejekt, "5.7.1 you are not"
  end
  if tonumber(params.SIZE or 0) > LIMIT then
    return 552, "4.3.4 too large"
  end
  if smtp.tran.sender == "" and smtp.sess.ptr == "" then
    return 550
  end
end

function smtp.do_data()
  header:add("X-Policy", "checked")
  os.exit(1)
end

function smtp.rset()
  return 550, "5.7.1 too late"
end

function smtp.close() end
function smtp.do_close() end
`;

const FOUND = [
  '1:15 error integer-overflow',
  '3:10 error misspelt-callback',
  '8:3 warning accidental-global',
  '9:6 error unknown-field',
  '10:12 error unknown-constant',
  '13:17 error enhanced-code',
  '16:12 warning reply-without-text',
  '21:3 error wrong-arguments',
  '22:3 error unavailable-call',
  '26:10 warning ignored-result',
  '30:10 warning double-callback',
];

describe('check', { concurrency: 3 }, () => {
  test('finds planted mistakes, one line each, and fails', async (t) => {
    const script = policy(t, TEN_MISTAKES);
    const { code, stdout, stderr } = await run(['check', script]);
    assert.deepEqual({ code, stderr }, { code: 1, stderr: '' });
    const lines = stdout.trimEnd().split('\n');
    assert.deepEqual(
      lines.slice(0, -2).map((line) => {
        const [, at, severity, rule] = /:(\d+:\d+): (\w+): .* \[([a-z-]+)\]$/.exec(line) ?? [];
        assert.ok(line.startsWith(`${script}:`), line);
        return `${at} ${severity} ${rule}`;
      }),
      FOUND,
    );
    assert.deepEqual(lines.slice(-2), [
      `${script}: 7 errors, 4 warnings`,
      `${script}: callbacks: do_mail do_data rset close`,
    ]);
    assert.match(stdout, /3:10: error: smtp\.do_rctp is no callback.*\(did you mean smtp\.do_rcpt\?\)/);
  });

  test('prints the same as JSON', async (t) => {
    const script = policy(t, TEN_MISTAKES);
    const { code, stdout } = await run(['check', '--json', script]);
    assert.equal(code, 1);
    const report = JSON.parse(stdout);
    assert.deepEqual(
      report.findings.map(
        ({ line, column, severity, rule }: Record<string, string>) => `${line}:${column} ${severity} ${rule}`,
      ),
      FOUND,
    );
    const { file, callbacks, problem, errors, warnings } = report;
    assert.deepEqual(
      { file, callbacks, problem, errors, warnings },
      {
        file: script,
        callbacks: ['do_mail', 'do_data', 'rset', 'close'],
        problem: null,
        errors: 7,
        warnings: 4,
      },
    );
    assert.match(report.hash, /^[0-9a-f]{12}$/);
    assert.deepEqual(report.findings[1], {
      rule: 'misspelt-callback',
      severity: 'error',
      message: 'smtp.do_rctp is no callback: it is never called',
      suggestion: 'smtp.do_rcpt',
      line: 3,
      column: 10,
      endLine: 3,
      endColumn: 22,
    });
  });

  test('opens maps in files that the script names, also those of its callbacks', async (t) => {
    const broken = policy(t, 'a.example REJECT\nb.example\n');
    const script = policy(
      t,
      `function smtp.do_mail(sender)\n  local access = map.open "hash:${broken}"\n  map.open "pcre:${broken}-none"\n  map.open "ldap:${broken}"\n  map.open "dbx:/a"\n  return access:get(sender)\nend\n`,
    );
    const { stdout } = await run(['check', script]);
    assert.match(
      stdout,
      new RegExp(`:2:\\d+: warning: map\\.open: ${broken}:2: a key without a value \\[unreadable-map\\]`),
    );
    assert.match(
      stdout,
      new RegExp(`:3:\\d+: warning: map\\.open: ${broken}-none: no such file \\[unreadable-map\\]`),
    );
    assert.match(
      stdout,
      new RegExp(`:4:\\d+: warning: map\\.open: ${broken}:1: no name = value \\[unreadable-map\\]`),
    );
    assert.match(stdout, /:5:\d+: error: .*unknown type dbx/);
    // What keeps the main chunk from running is said once.
    const main = (
      await run(['check', policy(t, `access = map.open "hash:${broken}" function smtp.do_mail() end`)])
    ).stdout;
    assert.equal(main.match(/a key without a value/g)?.length, 1, main);
  });

  test('warnings fail with --strict only', async (t) => {
    const script = policy(t, 'function smtp.do_mail()\n  count = 1\nend\n');
    const { code, stdout } = await run(['check', script]);
    assert.equal(code, 0);
    assert.match(stdout, /:2:3: warning: .*\[accidental-global\]\n.*: 1 warning\n.*: callbacks: do_mail\n$/);
    assert.equal((await run(['check', '--strict', script])).code, 1);
    assert.equal((await run(['check', '--strict=no', script])).code, 0);
    const right = policy(t, 'function smtp.do_mail() end\n');
    assert.equal((await run(['check', '--strict', right])).code, 0);
  });

  test('what keeps the script from running is said as ever, and in JSON', async (t) => {
    const broken = policy(t, 'local x =\nprint(smtp.code.rejekt');
    const { code, stdout } = await run(['check', broken]);
    assert.equal(code, 1);
    assert.match(stdout, /^[^\n]*policy\.lua:2: [^\n]*\n$/, 'a syntax error alone');
    const { stdout: json } = await run(['check', '--json', broken]);
    const report = JSON.parse(json);
    assert.deepEqual([report.hash, report.errors, report.callbacks], [null, 1, []]);
    assert.deepEqual([report.findings[0].rule, report.findings[0].line], ['syntax', 2]);

    const failing = policy(t, 'print(smtp.code.rejekt)\nerror("no list")\n');
    const { code: failed, stdout: account } = await run(['check', failing]);
    assert.equal(failed, 1);
    assert.match(account, /:1:7: error: .*\n.*: 1 error\n.*policy\.lua:2: no list\n$/);
    assert.equal(
      JSON.parse((await run(['check', '--json', failing])).stdout).findings.at(-1).rule,
      'main-chunk',
    );
  });

  test('names that only the run shows are known', async (t) => {
    const modules = directory(t);
    writeFileSync(
      join(modules, 'rules.lua'),
      'function refuse() return 550, "5.7.1 no" end\nsmtp.helper = refuse\n',
    );
    const script = join(modules, 'policy.lua');
    writeFileSync(script, 'require "rules"\nfunction smtp.do_mail() smtp.helper() return refuse() end\n');
    const { code, stdout } = await run(['check', script]);
    assert.deepEqual({ code, stdout }, { code: 0, stdout: `${script}: callbacks: do_mail\n` });
    writeFileSync(script, 'require "rules"\nfunction smtp.do_mail() return refsue() end\n');
    assert.match((await run(['check', script])).stdout, /:2:32: error: there is no global variable refsue/);
  });

  test('options that allow more are heeded', async (t) => {
    const script = policy(t, 'function smtp.do_mail() os.execute("true") end\n');
    assert.equal((await run(['check', script])).code, 1);
    assert.equal((await run(['check', '--allow-execute', script])).code, 0);
  });

  test('a file of tests is read, not run', async (t) => {
    const file = policy(t, 'test.case("x", function() test.equal(1, 1) end)\n', 'policy_test.lua');
    const { code, stdout } = await run(['check', file]);
    assert.deepEqual(
      { code, stdout },
      { code: 0, stdout: `${file}: tests, to be run by smtpf-milter test\n` },
    );
    const wrong = policy(t, 'test.case("x", function() tset.equal(1, 1) end)\n', 'policy_test.lua');
    assert.equal((await run(['check', wrong])).code, 1);
  });

  test('says so when the linter cannot read what Lua can', async (t) => {
    const script = policy(t, 'function smtp.do_mail() end\nfunction smtp.mail() end\nlocal half = 0x.8p0\n');
    const { code, stdout } = await run(['check', script]);
    assert.equal(code, 0);
    assert.match(
      stdout,
      /\[not-read\]\n.*both smtp\.do_mail and smtp\.mail.*\n.*: 2 warnings\n.*: callbacks: do_mail\n$/,
    );
  });

  test('a callback that is no function is said once, read by the linter or not', async (t) => {
    const script = policy(t, 'function smtp.do_mail() end\nsmtp.do_rcpt = setmetatable({}, {})\n');
    const warning = 'smtp.do_rcpt is a table and no function: it is never called';
    const { code, stdout } = await run(['check', script]);
    const line = `${script}:2:1: warning: ${warning} [uncallable-callback]`;
    const summary = `${script}: 1 warning\n${script}: callbacks: do_mail`;
    assert.deepEqual({ code, stdout }, { code: 0, stdout: `${line}\n${summary}\n` });
    const { findings } = JSON.parse((await run(['check', '--json', script])).stdout);
    assert.deepEqual(
      findings.map(({ rule, message }: Record<string, string>) => [rule, message]),
      [['uncallable-callback', warning]],
    );
    const unread = policy(t, 'smtp.do_rcpt = {}\nlocal half = 0x.8p0\n');
    const unreadLines = (await run(['check', unread])).stdout.split('\n');
    assert.equal(unreadLines[1], `${unread}:1:1: warning: ${warning} [uncallable-callback]`);
  });

  test('bytes of the script come out as they are', async (t) => {
    const script = policy(t, 'print(smtp["hélo"])\n');
    assert.match((await run(['check', script])).stdout, /smtp has no hélo/);
    assert.match(JSON.parse((await run(['check', '--json', script])).stdout).findings[0].message, /hélo/);
    const latin1 = policy(t, Buffer.from('print(smtp["h\xe9lo"])\n', 'latin1'));
    const { findings } = JSON.parse((await run(['check', '--json', latin1])).stdout);
    assert.equal(findings[0].message, 'smtp has no hélo', 'readable as UTF-8 all the same');
  });

  test('shows the place on a terminal', async (t) => {
    const script = policy(t, 'function smtp.do_mail()\n  return smtp.code.rejekt, "no"\nend\n');
    const [command = '', ...before] = PROGRAM;
    const line = [command, ...before, 'check', script].map((word) => `'${word}'`).join(' ');
    const { stdout, status } = spawnSync('script', ['-qec', line, '/dev/null'], { encoding: 'utf8' });
    assert.equal(status, 1, stdout);
    assert.match(
      stdout.replaceAll('\r', ''),
      /\[unknown-constant\]\n {4}2 \| {3}return smtp\.code\.rejekt, "no"\n {6}\| {10}\^~{15}\n/,
    );
  });
});
