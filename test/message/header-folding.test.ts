import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fieldOf } from '../../src/message/header-syntax.ts';

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
