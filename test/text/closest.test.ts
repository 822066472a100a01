/** Which name a misspelt one means, and when none is named. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closest, closestVariable } from '../../src/text/closest.ts';
import { nearest } from '../../src/text/nearest.ts';

test('a letter too many, too few, another, or two swapped', () => {
  const names = ['listen', 'syslog', 'workers', 'journal'];
  for (const [wrong, right] of [
    ['lissten', 'listen'],
    ['sylog', 'syslog'],
    ['wirkers', 'workers'],
    ['juornal', 'journal'],
    ['LISTEN', 'listen'],
  ] as const) {
    assert.equal(nearest(wrong, names), right);
  }
});

test('at most two letters away, and not further than half of the name', () => {
  assert.equal(nearest('abcdef', ['abxyef']), 'abxyef');
  assert.equal(nearest('abcdef', ['axyzef']), undefined);
  assert.equal(nearest('ab', ['xb']), 'xb');
  assert.equal(nearest('ab', ['xy']), undefined);
  assert.equal(nearest('a', ['b']), undefined);
  assert.equal(nearest('listen', []), undefined);
});

test('the nearest of several, the first of equals', () => {
  assert.equal(nearest('rcptt', ['rset', 'rcpt']), 'rcpt');
  assert.equal(nearest('abcx', ['abcd', 'abce']), 'abcd');
});

test('the only longer name that begins so, else the nearest', () => {
  assert.equal(closest('max-h', ['max-headers', 'max-body']), 'max-headers');
  assert.equal(closest('max', ['max-headers', 'max-body']), undefined);
  assert.equal(closest('m', ['max-headers']), undefined);
});

test('short variables are near to too many others', () => {
  assert.equal(closestVariable('ix', ['id', 'ip']), undefined);
  assert.equal(closestVariable('sende', ['id', 'sender']), 'sender');
  assert.equal(closestVariable('ids', ['id']), undefined);
});
