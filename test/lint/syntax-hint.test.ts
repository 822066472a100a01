/** What `check` says of scripts in another language, or for another Lua. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { syntaxHint } from '../../src/lint/syntax-hint.ts';
import { ScriptFile } from '../../src/lua/script/script-file.ts';
import { directory, run } from '../program/program.ts';

const HABITS: readonly (readonly [script: string, hint: RegExp])[] = [
  ['local x <const> = 1', /Lua 5\.4, this is Lua 5\.3: remove <const>$/],
  ['local f <close> = io.open("x")', /remove <close> and call close\(\)/],
  ['if a != b then end', /~=/],
  ['if a <> b then end', /~=/],
  ['x += 1', /x = x \+ \.\.\./],
  ['t.n -= 1', /t\.n = t\.n - \.\.\./],
  ['x++', /x = x \+ 1/],
  ['if a && b then end', /and/],
  ['if a || b then end', /or/],
  ['if !x then end', /not x/],
  ['x = a ? b : c', /x and y or z/],
  ['if x then elsif y then end', /elseif/],
  ['if x then elif y then end', /elseif/],
  ['if x then\nelse if y then\nend', /elseif is one word/],
  ['for i = 1, 3 do\n  if x then continue end\nend', /goto continue/],
  ['for i = 1, 3 do\n  goto continue\n  local a = 1\n  ::continue::\n  print(a)\nend', /do \.\.\. end/],
  ['// a comment', /begin with --/],
  ['x = 1 // a comment', /begin with --/],
  ['/* a comment */', /--\[\[/],
  ['let x = 1', /local/],
  ['if x = 5 then end', /"equal" is ==/],
  ['if not x return end', /then stands behind/],
  ['while x then end', /do stands behind/],
  ['function f() { return 1 }', /no braces/],
  ['function smtp.do_mail() return 550 "5.7.1 no" end', /comma/],
  ['x = [1, 2]', /\{ \.\.\. \}/],
];

test('habits of other languages and other Luas are named', (t) => {
  const path = join(directory(t), 'policy.lua');
  for (const [script, hint] of HABITS) {
    writeFileSync(path, script);
    const problem = new ScriptFile(path).current().failure?.message ?? '';
    const [, line = '', message = ''] = /:(\d+): (.*)$/s.exec(problem) ?? [];
    assert.match(syntaxHint(script, Number(line), message) ?? '', hint, `${script}: ${problem}`);
  }
});

test('other mistakes, and what stands in texts and comments, are left alone', () => {
  for (const [script, message] of [
    ['print("a != b"', "')' expected near <eof>"],
    ['x = { 1, 2 -- a += 1', "'}' expected near <eof>"],
    ["x = 'it is && so' y", 'syntax error near <eof>'],
    ['if a and\n  b the x() end', "'then' expected near 'the'"],
    ['local x = = 1', "unexpected symbol near '='"],
  ] as const) {
    const hint = syntaxHint(script, script.split('\n').length, message);
    assert.ok(hint === undefined || hint.includes('then'), `${script}: ${hint}`);
  }
});

test('check shows the hint behind the words of Lua, as text and as JSON', async (t) => {
  const path = join(directory(t), 'policy.lua');
  writeFileSync(path, 'local x <const> = 1\n');
  const plain = await run(['check', path]);
  assert.equal(plain.code, 1);
  const said = `unexpected symbol near '<' (attributes are of Lua 5.4, this is Lua 5.3: remove <const>)`;
  assert.equal(plain.stdout, `${path}:1: ${said}\n`);
  const { findings } = JSON.parse((await run(['check', '--json', path])).stdout);
  assert.deepEqual(
    findings.map(({ rule, line, message }: Record<string, unknown>) => [rule, line, message]),
    [['syntax', 1, said]],
  );
});
