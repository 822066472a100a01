/** Text of strangers in all that the program prints: no control, no turn of direction and no stray byte gets out. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { formatExcerpt } from '../../src/lint/report.ts';
import { Source } from '../../src/lint/source.ts';
import { visible, visibleLines, visibleText } from '../../src/text/visible.ts';
import { startMilter, view } from './milter-client.ts';
import { directory, PROGRAM } from './program.ts';

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

/** All below U+00A0 but NUL and letters, marks and overrides of direction, separators, the byte order mark. */
const HARMFUL = [
  ...range(1, 0x1f),
  ...range(0x7f, 0x9f),
  ...[0x61c, 0x200e, 0x200f, 0x2028, 0x2029],
  ...range(0x202a, 0x202e),
  ...range(0x2066, 0x2069),
  0xfeff,
];
const CHARACTERS = HARMFUL.map((code) => String.fromCodePoint(code)).join('x');
/** One character a byte: those in UTF-8, and C1 as bytes of their own. */
const BYTES = `${Buffer.from(CHARACTERS).toString('latin1')}x${range(0x80, 0x9f)
  .map((code) => `${String.fromCharCode(code)}x`)
  .join('')}`;
/** As it may stand in a file name, an address and an argument. */
const NAME = CHARACTERS.replace(/[\n/]/g, '');
const ADDRESS = BYTES.replace(/[\r\n]/g, '');

const lua = (bytes: string): string => `"${bytes.replace(/[^a-z]/gs, (byte) => `\\x${hex(byte)}`)}"`;

function hex(byte: string): string {
  return byte.charCodeAt(0).toString(16).padStart(2, '0');
}

/** Of output that goes to a terminal: UTF-8, in lines, without anything of the above but line ends. */
function assertHarmless(output: Buffer | string, what: string): void {
  const text = typeof output === 'string' ? output : new TextDecoder('utf-8', { fatal: true }).decode(output);
  for (const character of text.replace(/^\t/gm, '')) {
    const code = character.codePointAt(0) ?? 0;
    const bad = code === 0 || (HARMFUL.includes(code) && character !== '\n');
    assert.ok(!bad, `U+${code.toString(16)} in ${what}: ${JSON.stringify(text.slice(0, 2000))}`);
  }
}

/** Runs the program, and looks at both outputs. */
function ran(what: string, args: readonly string[], cwd?: string): string {
  const [command = '', ...before] = PROGRAM;
  const { stdout, stderr } = spawnSync(command, [...before, ...args], { cwd, input: '' });
  assertHarmless(stdout, `${what}: stdout`);
  assertHarmless(stderr, `${what}: stderr`);
  return stdout.toString();
}

describe('visible', () => {
  test('escapes each of these characters and bytes, in text of bytes and of characters', () => {
    for (const code of HARMFUL) {
      const character = String.fromCodePoint(code);
      const bytes = Buffer.from(character).toString('latin1');
      const escaped =
        code > 0x7f
          ? `\\u{${code.toString(16)}}`
          : ({ 9: '\\t', 10: '\\n', 13: '\\r' }[code] ?? `\\x${hex(bytes)}`);
      assert.equal(visible(`a${bytes}b`), `a${escaped}b`);
      assert.equal(visible(`\xff${bytes}\xfe`), `\\xff${escaped}\\xfe`, 'beside bytes that are no UTF-8');
      assert.equal(visibleText(`ä${character}€`), `ä${escaped}€`);
    }
    assert.equal(visible('\0'), '\\x00');
    for (const code of range(0x80, 0xff)) {
      const byte = String.fromCharCode(code);
      assert.equal(visible(byte), `\\x${hex(byte)}`);
      assert.equal(visible(`${byte}a`), `\\x${hex(byte)}a`);
    }
  });

  test('leaves all other characters', () => {
    for (const code of [...range(0x20, 0x7e), ...range(0xa0, 0x24ff), 0xfffd, 0x1f600, 0x10ffff]) {
      if (HARMFUL.includes(code)) continue;
      const character = String.fromCodePoint(code);
      const bytes = Buffer.from(character).toString('latin1');
      assert.equal(visible(bytes), bytes);
      assert.equal(visibleText(character), character);
    }
  });

  test('takes surrogates and longer forms than needed for bytes', () => {
    assert.equal(visible('\xed\xa0\x80'), '\\xed\\xa0\\x80');
    assert.equal(visible('\xc0\x9b\xe0\x80\x9b'), '\\xc0\\x9b\\xe0\\x80\\x9b');
    assert.equal(visible('\xf4\x90\x80\x80'), '\\xf4\\x90\\x80\\x80');
  });

  test('of lines keeps tabs, and the excerpt of a policy its mark below the place', () => {
    assert.equal(visibleLines('a\tb\x1b\n\tc'), 'a\tb\\x1b\n\tc');
    const finding = {
      rule: 'r',
      severity: 'error',
      message: 'm',
      line: 1,
      column: 8,
      endLine: 1,
      endColumn: 11,
    } as const;
    assert.equal(
      formatExcerpt(new Source('\tx"\x1b\x9b" bad'), finding),
      '    1 | \tx"\\x1b\\x9b" bad\n      | \t            ^~~',
    );
  });
});

describe('hostile text', { concurrency: 2 }, () => {
  test('in try', (t) => {
    const policy = `print(${lua(BYTES)}) syslog.info(${lua(BYTES)})
      function smtp.do_helo(name) print(name) end
      function smtp.do_mail() pcall(dns.txt, ${lua(BYTES)}) end
      function smtp.do_headers(lines) header.add("X-H", "x") smtp.quarantine("q") print(lines[1]) end
      function smtp.do_dot() error(${lua(BYTES)}) end`;
    const folder = directory(t);
    const file = join(folder, `${NAME}.lua`);
    writeFileSync(file, policy);
    writeFileSync(join(folder, NAME), `X: ${BYTES}\r\nSubject: ${ADDRESS}\r\n\r\n${BYTES}\r\n`, 'latin1');
    const helo = NAME.replace('\r', '');
    const args = [file, join(folder, NAME), '--helo', helo];
    ran('try', ['try', ...args]);
    ran('try --from', ['try', file, '--from', `<"${NAME}"@x.example>`]);
    const { calls, script } = JSON.parse(ran('try --json', ['try', ...args, '--json']));
    const latin1 = (text: string): string => Buffer.from(text).toString('latin1');
    assert.equal(script.path, latin1(file));
    const [called] = calls.filter(({ name }: { name: string }) => name === 'smtp.do_helo');
    assert.deepEqual(called.args, [latin1(helo)]);
    mkdirSync(join(folder, 'box'));
    writeFileSync(join(folder, 'box', NAME), 'A: b\n\n');
    ran('try --repeat', ['try', file, '--repeat', join(folder, 'box')]);
    ran('try --repeat --json', ['try', file, '--repeat', join(folder, 'box'), '--json']);
    writeFileSync(join(folder, 's'), `EHLO ${ADDRESS}\nMAIL FROM:<${ADDRESS}@x>\n${ADDRESS}\n`, 'latin1');
    ran('try --session', ['try', file, '--session', join(folder, 's')]);
  });

  test('in check', (t) => {
    const folder = directory(t);
    const sources = {
      lint: `function smtp.do_mail() return 550, "x", ${lua(BYTES)} end smtp.code[${lua(BYTES)}] = ${lua(BYTES)}()`,
      fails: `error(${lua(BYTES)})`,
      syntax: `x = ${ADDRESS}`,
      string: `x = "${ADDRESS.replaceAll('"', '')}`,
      missing: `require(${lua(ADDRESS)})`,
    };
    for (const [name, source] of Object.entries(sources)) {
      const file = join(folder, `${name}${NAME}.lua`);
      writeFileSync(file, source, 'latin1');
      ran(`check ${name}`, ['check', file]);
      const report = JSON.parse(ran(`check ${name} --json`, ['check', '--json', file]));
      assert.equal(report.file, file);
    }
  });

  test('in test', (t) => {
    const folder = directory(t);
    writeFileSync(join(folder, `a${NAME}.lua`), `function smtp.do_mail() return 550, ${lua(BYTES)} end`);
    const tests = `
      test.case(${lua(BYTES)}, function() print(${lua(BYTES)}) error(${lua(BYTES)}) end)
      test.case("b", function() test.accepted(test.session{ helo = ${lua(ADDRESS)} }:mail "a@b.example") end)
      test.case("c", function() test.equal({ ${lua(BYTES)} }, { 1 }) end)`;
    writeFileSync(join(folder, `a${NAME}_test.lua`), tests);
    for (const option of ['--coverage', '--tap', '--junit=-', '--lcov=-'])
      ran(`test ${option}`, ['test', folder, option]);
    const { files } = JSON.parse(ran('test --json', ['test', folder, '--json']));
    assert.equal(files[0].file, join(folder, `a${NAME}_test.lua`));
    assert.ok(files[0].cases[0].printed.length > 0);
    writeFileSync(join(folder, `b${NAME}_test.lua`), `error(${lua(BYTES)})`);
    ran('test of a broken file', ['test', folder]);
  });

  test('in what is said of wrong use', (t) => {
    const folder = directory(t);
    for (const args of [
      [NAME],
      [`--${NAME}`],
      ['check', NAME],
      ['try', 'x', `--ip=${NAME}`],
      ['test', NAME],
      ['why', NAME, '--journal', NAME],
      ['why', NAME, '--control', join(folder, NAME)],
      ['--listen', NAME],
      ['--script', 'x', '--config', NAME],
    ]) {
      ran(args.join(' '), args, folder);
    }
  });

  for (const format of ['text', 'json']) {
    test(`in serve, its log (${format}), status, trace and why`, async (t) => {
      await serves(t, format);
    });
  }
});

async function serves(t: TestContext, format: string): Promise<void> {
  const folder = directory(t);
  const journal = join(folder, 'journal');
  const args = ['--workers', '0', '--log-format', format, '--journal', journal, '--log-level', 'debug'];
  const policy = `
    print(${lua(BYTES)}) syslog.info(${lua(BYTES)})
    function smtp.do_connect(ip, ptr) end
    function smtp.do_helo(name) print(name) end
    function smtp.do_mail(sender) print(sender) end
    function smtp.do_rcpt(rcpt) if rcpt ~= "a@b" then error(rcpt) end end
    function smtp.do_dot() return 550, ${lua(ADDRESS)} end`;
  const milter = await startMilter(t, policy, args);
  const chunks: Buffer[] = [];
  milter.running.child.stderr?.removeAllListeners('data');
  milter.running.child.stderr?.on('data', (chunk: Buffer | string) => chunks.push(Buffer.from(chunk)));
  const [tracing, tracingJson] = [[], ['--json']].map((more) =>
    view(t, ['trace', '--spool', milter.spool, ...more]),
  );
  await tracing?.until('stderr', /attached/);
  await tracingJson?.until('stderr', /attached/);
  const mta = await milter.connect();
  await mta.connect('192.0.2.7', ADDRESS);
  await mta.helo(ADDRESS);
  mta.macro('R', 'i', ADDRESS);
  await mta.mail(`<${ADDRESS}>`);
  await mta.rcpt(`<${ADDRESS}>`);
  await mta.rcpt('<a@b>');
  const shown = ran('top', ['top', '--once', '--spool', milter.spool]);
  assert.match(shown, / 192\.0\.2\.7 /);
  JSON.parse(ran('top --json', ['top', '--once', '--json', '--spool', milter.spool]));
  await mta.data();
  await mta.content([['A', ADDRESS]], ADDRESS);
  await mta.quit();
  await tracing?.until('stdout', /reject: /);
  await tracingJson?.until('stdout', /"kind":"decision"/);
  assertHarmless(tracing?.stdout ?? '', 'trace');
  assertHarmless(tracingJson?.stdout ?? '', 'trace --json');
  for (const command of [['status'], ['why', 'a@b']]) {
    ran(command.join(' '), [...command, '--spool', milter.spool]);
    JSON.parse(ran(`${command.join(' ')} --json`, [...command, '--json', '--spool', milter.spool]));
  }
  const [found] = JSON.parse(ran('why --json', ['why', 'a@b', '--json', '--journal', journal]));
  assert.ok(found.client.helo.includes('\u0001x\u0002x'));
  milter.edit(`error(${lua(BYTES)})`);
  await (await milter.connect()).connect('192.0.2.7', 'x');
  ran('status', ['status', '--spool', milter.spool]);
  await milter.running.stop();
  assertHarmless(milter.running.stdout, 'serve: stdout');
  const log = Buffer.concat(chunks);
  assert.ok(log.length > 1000);
  assertHarmless(log, 'serve: stderr');
}
