/** The linter as a whole: comments that silence it, positions, and texts that it must live with. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { lint } from '../../src/lint/lint.ts';
import { formatExcerpt, formatFinding } from '../../src/lint/report.ts';
import { RULES } from '../../src/lint/rules/rules.ts';
import { Source } from '../../src/lint/source.ts';
import { findings } from './findings.ts';

const FACTS = { allowJs: false, allowExecute: false, isTest: false };

test('the examples and their tests have no findings', () => {
  const directory = new URL('../../examples/', import.meta.url);
  const files = readdirSync(directory).filter((name) => name.endsWith('.lua'));
  assert.ok(files.length >= 5);
  for (const name of files) {
    const text = readFileSync(new URL(name, directory), 'latin1');
    assert.deepEqual(findings(text, { isTest: name.endsWith('_test.lua') }), [], name);
  }
});

test('a comment silences a rule on its line, on the line below, or in the file', () => {
  const bad = 'print(smtp.code.rejekt, smtp.sess.hello)';
  assert.deepEqual(findings(`${bad} -- smtpf: ignore unknown-constant`), ['unknown-field 1:25']);
  assert.deepEqual(findings(`-- smtpf: ignore unknown-constant, unknown-field\n${bad}`), []);
  assert.deepEqual(findings(`-- smtpf: ignore unknown-constant unknown-field -- as of old\n${bad}`), []);
  assert.deepEqual(findings(`--[[ smtpf: ignore unknown-field ]]\n${bad}`), ['unknown-constant 2:7']);
  assert.deepEqual(findings(`${bad}\n${bad}\n-- smtpf: ignore-file unknown-field`), [
    'unknown-constant 1:7',
    'unknown-constant 2:7',
  ]);
  assert.deepEqual(findings(`-- smtpf: ignore unknown-constant\n\n${bad}`), [
    'unknown-constant 3:7',
    'unknown-field 3:25',
  ]);
  assert.deepEqual(findings(`print("-- smtpf: ignore unknown-field", smtp.sess.hello)`), [
    'unknown-field 1:41',
  ]);
});

test('a comment that names no rule is found itself', () => {
  assert.deepEqual(findings('-- smtpf: ignore unknown-feild'), ['unknown-rule? 1:1']);
  assert.deepEqual(findings('-- smtpf: ignore'), ['unknown-rule? 1:1']);
  assert.deepEqual(findings('-- smtpf: ignored by nobody\n-- smtpf ignore'), []);
});

test('every rule can be silenced, and has a name of its own', () => {
  const names = RULES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  assert.deepEqual(findings(`-- smtpf: ignore-file ${names.join(', ')}`), []);
});

test('columns are bytes, whatever stands before', () => {
  const text = Buffer.from(
    '#!/usr/bin/lua\nlocal t = "é" print(smtp.code.rejekt)\r\n\tprint(smtp.code.rejekt)',
  ).toString('latin1');
  assert.deepEqual(findings(text), ['unknown-constant 2:22', 'unknown-constant 3:8']);
  assert.deepEqual(findings(`\xef\xbb\xbf${text}`).length, 2);
});

test('a finding as text, and the place it is about', () => {
  const text = Buffer.from('local e = ""\n\tprint("é", smtp.code.rejekt, 1)').toString('latin1');
  const [finding] = lint(text, FACTS) ?? [];
  assert.ok(finding);
  assert.equal(
    formatFinding('a.lua', finding),
    'a.lua:2:14: error: unknown constant smtp.code.rejekt (did you mean smtp.code.reject?) [unknown-constant]',
  );
  assert.equal(
    Buffer.from(formatExcerpt(new Source(text), finding), 'latin1').toString(),
    '    2 | \tprint("é", smtp.code.rejekt, 1)\n      | \t           ^~~~~~~~~~~~~~~~',
  );
});

test('what luaparse cannot read is left to the compiler', () => {
  assert.equal(lint('local = 1', FACTS), undefined);
  assert.equal(lint(`return ${'('.repeat(100_000)}1${')'.repeat(100_000)}`, FACTS), undefined);
});

/** Pieces of policies in random order: most are no Lua, some are, and none may break the linter. */
const PIECES = [
  'smtp', '.do_rcpt', '.code', '.reject', '[1]', '["x"]', ':get', '(', ')', 'function', 'end', 'return', 'local', 'a', 'b',
  '=', ',', '550', '"5.7.1 no"', '..', '+', '5*1024', '<<', 'if', 'then', 'for', 'in', 'ipairs', 'do', 'not', '{', '}',
  'header', 'dns', 'must', 'nil', '-- smtpf: ignore x\n', ';', '...', '_ENV', 'require', '#', '==', 'and', 'or', 'goto l', '::l::',
]; // biome-ignore format: as short as it can be

test('no text breaks it', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...PIECES), { maxLength: 25 }), (pieces) => {
      lint(pieces.join(' '), FACTS);
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      lint(Buffer.from(text).toString('latin1'), FACTS);
    }),
  );
});

test('variables that are each other do not hang it', () => {
  assert.deepEqual(
    findings(
      'local a = 1\nlocal a = a\nlocal b = a\nlocal function f() return f() end\nsmtp.do_mail = f print(b)',
    ),
    [],
  );
  const chain = Array.from({ length: 2000 }, (_, i) => `local a${i + 1} = a${i}`).join('\n');
  assert.ok(
    Array.isArray(
      lint(`local a0 = 1\nprint(a0)\ndo\n${chain.slice(0, 3000).replace(/\n[^\n]*$/, '')}\nend`, FACTS),
    ),
  );
  const sums = `print(${Array.from({ length: 500 }, () => '1').join(' + ')})`;
  assert.deepEqual(findings(sums), []);
});
