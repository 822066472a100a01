/** `--dns-server`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseServerAddress } from '../../src/options/server-address.ts';
import { BadValue } from '../../src/text/bad-value.ts';

test('addresses of both families, with and without port', () => {
  assert.equal(parseServerAddress('192.0.2.53'), '192.0.2.53:53');
  assert.equal(parseServerAddress('127.0.0.1:5353'), '127.0.0.1:5353');
  assert.equal(parseServerAddress('::1'), '[::1]:53');
  assert.equal(parseServerAddress('[::1]'), '[::1]:53');
  assert.equal(parseServerAddress('[2001:db8::53]:5353'), '[2001:db8::53]:5353');
});

test('names, bad ports and halves of addresses are refused', () => {
  const wrong = [
    '',
    'localhost',
    '192.0.2',
    '192.0.2.53:',
    '192.0.2.53:0',
    '192.0.2.53:65536',
    '[192.0.2.53]:53',
  ];
  for (const text of [...wrong, '[::1', '::1]:53', '[::1]53', '192.0.2.53 ', ':53']) {
    assert.throws(() => parseServerAddress(text), BadValue, text);
  }
});
