import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldOf, fieldOfLine, nameComplaint } from '../../src/message/header-syntax.ts';
import { cpuMsOf } from '../helpers/cpu-time.ts';

test('a header name is one or more bytes from 33 to 126 without a colon', () => {
  for (let code = 0; code < 256; code++) {
    const allowed = code >= 33 && code <= 126 && code !== 0x3a;
    assert.equal(nameComplaint(`X${String.fromCharCode(code)}`) === undefined, allowed, `byte ${code}`);
  }
  assert.match(nameComplaint('') ?? '', /empty/);
});

test('a value gets one space in front, a line keeps what it has', () => {
  assert.deepEqual(fieldOf('X', 'v'), { name: 'X', value: ' v' });
  assert.deepEqual(fieldOf('X', ' v'), { name: 'X', value: '  v' });
  assert.deepEqual(fieldOf('X', ''), { name: 'X', value: ' ' });
  assert.deepEqual(fieldOfLine('X:v'), { name: 'X', value: 'v' });
  assert.deepEqual(fieldOfLine('X: v: w'), { name: 'X', value: ' v: w' });
  assert.deepEqual(fieldOfLine('X:\tcaf\xe9'), { name: 'X', value: '\tcaf\xe9' });
  assert.deepEqual(fieldOfLine('X:'), { name: 'X', value: ' ' });
});

test('folds are CRLF or LF before a blank, and become LF', () => {
  assert.deepEqual(fieldOf('X', 'a\r\n b\n\tc'), { name: 'X', value: ' a\n b\n\tc' });
  assert.deepEqual(fieldOfLine('X:\r\n a'), { name: 'X', value: '\n a' });
});

for (const [what, line, complaint] of [
  ['no colon', 'no colon', /without a colon/],
  ['blank in the name', 'X Y: v', /header name/],
  ['blank before the colon', 'X : v', /header name/],
  ['no name', ': v', /empty header name/],
  ['line end in the name', 'X\r\nEvil: v', /header name/],
  ['NUL', 'X: a\0b', /NUL/],
  ['CRLF and a header', 'X: a\r\nEvil: b', /no blank follows/],
  ['LF and a header', 'X: a\nEvil: b', /no blank follows/],
  ['CR alone', 'X: a\rEvil: b', /CR without LF/],
  ['CR before a fold', 'X: a\r\r\n b', /CR without LF/],
  ['line end at the end', 'X: a\r\n', /no blank follows/],
  ['end of headers', 'X: a\r\n\r\nbody', /no blank follows/],
  ['blank continuation', 'X: a\n \n b', /blank continuation/],
  ['blank last continuation', 'X: a\r\n\t', /blank continuation/],
  ['long first line', `X:${'a'.repeat(997)}`, /more than 998 bytes/],
  ['long continuation', `X: a\n ${'b'.repeat(998)}`, /more than 998 bytes/],
  ['long header', `X:${' a\n'.repeat(40_000)} b`, /more than 65000 bytes/],
] as const) {
  test(`refused: ${what}`, () => {
    const field = fieldOfLine(line);
    assert.match('complaint' in field ? field.complaint : '', complaint);
  });
}

test('refused at once: giants that a script can make', () => {
  const ms = cpuMsOf(() => {
    const millions = fieldOfLine(`X:${'\n'.repeat(8e6)}`);
    assert.match('complaint' in millions ? millions.complaint : '', /more than 65000 bytes/);
    assert.match(nameComplaint('x'.repeat(8e6)) ?? '', /more than 998 bytes/);
  });
  assert.ok(ms < 500, `${ms} ms`); // 10 ms, where folding and splitting took seconds.
});

test('lines of 998 bytes pass', () => {
  assert.ok('value' in fieldOfLine(`X:${'a'.repeat(996)}\r\n ${'b'.repeat(997)}`));
});

test('whatever passes is one header to an MTA', () => {
  const soup = fc.array(fc.constantFrom('a', ' ', '\t', '\r', '\n', '\r\n', '\0', ':', '\xe9', 'X-Evil:'), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(soup, soup, (name, value) => {
      const field = fieldOfLine(`${name.join('')}:${value.join('')}`);
      if ('complaint' in field) return;
      assert.match(field.name, /^[!-9;-~]+$/);
      assert.ok(!/[\r\0]/.test(field.value) && field.value !== '');
      for (const line of field.value.split('\n').slice(1)) assert.match(line, /^[ \t]+[^ \t]/);
    }),
    { numRuns: 2000 },
  );
});
