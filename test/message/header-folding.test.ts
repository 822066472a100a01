import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldOf, withShortLines } from '../../src/message/header-syntax.ts';

const headerValue = (field: ReturnType<typeof fieldOf>): string => {
  assert.ok('value' in field, JSON.stringify(field));
  return field.value;
};

test('a value too long for a line is folded before blanks', () => {
  const text = 'word '.repeat(1000).trim();
  const value = headerValue(fieldOf('Subject', text));
  assert.equal(value.replaceAll('\n', ''), ` ${text}`);
  const lines = `Subject:${value}`.split('\n');
  assert.equal(lines.length, 6);
  for (const line of lines) assert.ok(line.length <= 998);
});

test('a word too long for a line is refused', () => {
  assert.ok('complaint' in fieldOf('Subject', 'x'.repeat(998)));
  assert.ok('complaint' in fieldOf('Subject', `a ${'x'.repeat(998)}`));
  assert.ok('value' in fieldOf('Subject', `a ${'x'.repeat(997)}`));
});

test('property: folding loses nothing and leaves no blank line', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\t', 'é'), maxLength: 5000 });
  fc.assert(
    fc.property(text, (written) => {
      const field = fieldOf('Subject', written);
      if ('complaint' in field) return;
      assert.equal(field.value.replaceAll('\n', ''), ` ${written}`);
      const [first = '', ...rest] = field.value.split('\n');
      assert.ok(first.length + 'Subject:'.length <= 998);
      for (const line of rest) {
        assert.match(line, /^[ \t].*[^ \t]/);
        assert.ok(line.length <= 998);
      }
    }),
  );
});

test('of blanks that fill a line one is left, where lines may be cut', () => {
  const blanks = ' '.repeat(3000);
  const cut = (value: string) => headerValue(withShortLines({ name: 'To', value }, true));
  assert.equal(cut(` a@b.example,${blanks}c@d.example`).replace(/[ \n]+/g, ' '), ' a@b.example, c@d.example');
  assert.equal(cut(`${blanks}a@b.example`), ' a@b.example');
  assert.match(cut(` a@b.example${blanks}`), /^ a@b\.example *$/);
  assert.equal(cut(blanks), ' ');
  assert.ok('complaint' in withShortLines({ name: 'To', value: ` a${blanks}b` }));
  for (const length of [996, 997, 998]) {
    const name = 'x'.repeat(length);
    assert.ok(withShortLines({ name, value: ` ${blanks}b` }, true));
  }
});

test('property: what may be cut is never refused for its lines', () => {
  const piece = fc.constantFrom('a', ' ', '\t', ' '.repeat(700), 'b'.repeat(700), ' \n ', 'c ');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const written = ` ${pieces.join('')}`;
      const value = headerValue(withShortLines({ name: 'Subject', value: written }, true));
      assert.equal(value.replace(/[ \t\n]+/g, ''), written.replace(/[ \t\n]+/g, ''));
      const [first = '', ...rest] = value.split('\n');
      assert.ok(first.length + 'Subject:'.length <= 998);
      for (const line of rest) assert.ok(line.length <= 998);
    }),
  );
});
