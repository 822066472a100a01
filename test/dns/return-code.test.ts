/** Patterns for the answers of DNS lists. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isListAnswer, isTurnedAway, octetsOf, parseCodePattern } from '../../src/dns/return-code.ts';

const matches = (pattern: string, answer: string) => parseCodePattern(pattern)?.(octetsOf(answer));

test('a pattern is an address, or one with alternatives and ranges in brackets', () => {
  assert.equal(matches('127.0.0.2', '127.0.0.2'), true);
  assert.equal(matches('127.0.0.2', '127.0.0.20'), false);
  assert.equal(matches('127.0.0.[2;4..11]', '127.0.0.2'), true);
  assert.equal(matches('127.0.0.[2;4..11]', '127.0.0.3'), false);
  assert.equal(matches('127.0.0.[2;4..11]', '127.0.0.11'), true);
  assert.equal(matches('127.0.0.[2;4..11]', '127.0.0.12'), false);
  assert.equal(matches('127.0.[0..255].[1..3]', '127.0.77.3'), true);
});

test('anything else is no pattern', () => {
  const wrong = ['', '127', '127.0.0', '127.0.0.', '127.0.0.2.', '.127.0.0.2', '127.0.0.256', '127.0.0.*'];
  wrong.push(
    '127.0.0.[]',
    '127.0.0.[1',
    '127.0.0.[3..1]',
    '127.0.0.[1...3]',
    '127.0.0.[1..2..3]',
    '127.0.0.[a]',
  );
  wrong.push('127.0.0.2/8', '127.0.0.2 ', '127.0.0.2.5', '127[0]0.2', '127.0.0.[2][3]', '127..0.2');
  for (const text of wrong) assert.equal(parseCodePattern(text), undefined, text);
});

test('answers of a list are of 127.0.0.0/8, some of which turn the question away', () => {
  assert.deepEqual(['127.0.0.2', '128.0.0.1', '1.127.0.0'].map(isListAnswer), [true, false, false]);
  assert.deepEqual(['127.0.0.2', '127.255.255.252', '127.0.0.1', '127.0.0.10'].map(isTurnedAway), [
    false,
    true,
    true,
    false,
  ]);
});
