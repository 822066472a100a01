/** Messages taken apart as the MTAs take them, and put together again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatMessage, parseMessage } from '../../src/workbench/mail-message.ts';
import { cpuMsOf } from '../helpers/cpu-time.ts';

function parse(text: string): [string[], string] {
  const { headers, body } = parseMessage(Buffer.from(text, 'latin1'));
  return [headers.map(({ name, value }) => `${name}|${value}`), body.toString('latin1')];
}

for (const [name, text, headers, body] of [
  ['headers and body', 'A: b\nC:d\n\nx\n', ['A| b', 'C|d'], 'x\r\n'],
  ['CRLF', 'A: b\r\n\r\nx\r\n', ['A| b'], 'x\r\n'],
  ['folds', 'A: b\r\n\tc\n  d\n\n', ['A| b\n\tc\n  d'], ''],
  ['no final line end', 'A: b\n\nx', ['A| b'], 'x\r\n'],
  ['no body, no empty line', 'A: b', ['A| b'], ''],
  ['8-bit', 'A: \xe9\n\n\xff\xfe\n', ['A| \xe9'], '\xff\xfe\r\n'],
  ['empty values and blanks', 'A:\nB: \nC :x\n\n', ['A|', 'B| ', 'C|x'], ''],
  ['no headers', '\nx\n', [], 'x\r\n'],
  ['a first line that is no header', 'x y\nA: b\n', [], 'x y\r\nA: b\r\n'],
  ['a fold without a header', ' A: b\n', [], ' A: b\r\n'],
  ['a name that is none', 'A: b\nC d: e\n', ['A| b'], 'C d: e\r\n'],
  ['an 8-bit name', 'A: b\n\xe9: c\n', ['A| b'], '\xe9: c\r\n'],
  ["a mailbox's first line", 'From a@b Mon\nA: b\n\nx\n', ['A| b'], 'x\r\n'],
  ['empty lines in the body', 'A: b\n\n\n\nx\n\n', ['A| b'], '\r\n\r\nx\r\n\r\n'],
  ['bare CR', 'A: b\rc\n\nx\ry\n', ['A| b\rc'], 'x\ry\r\n'],
  ['nothing', '', [], ''],
] as const) {
  test(name, () => assert.deepEqual(parse(text), [[...headers], body]));
}

test('a message with CRLF is put together again byte for byte', () => {
  const bytes = Buffer.from('A: b\r\n\tc\r\nB:\r\n\r\nx\xe9\0\r\n\r\n', 'latin1');
  assert.deepEqual(formatMessage(parseMessage(bytes)), bytes);
});

test('a long body is taken apart in time that grows with it', () => {
  const body = 'x\n'.repeat(1_000_000);
  const message = Buffer.from(`A: b\n\n${body}`);
  const ms = cpuMsOf(() => assert.equal(parseMessage(message).body.length, 3_000_000));
  assert.ok(ms < 2000, `${ms} ms`);
});
