/** The table of modifications: its bits and names, beside libmilter's own (mfapi.h of 8.17). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ACTION_NAMES, ALL_ACTIONS, actionBits, firstMissing } from '../../src/milter/modifications.ts';

const BITS: ReadonlyMap<string, number> = new Map([
  ['add-header', 0x01],
  ['change-header', 0x10],
  ['change-body', 0x02],
  ['add-recipient', 0x04 | 0x80],
  ['delete-recipient', 0x08],
  ['change-sender', 0x40],
  ['quarantine', 0x20],
]);

test('each name stands for the bits of its modification, and all of them for all', () => {
  assert.deepEqual(ACTION_NAMES, [...BITS.keys()]);
  for (const name of ACTION_NAMES) assert.equal(actionBits([name]), BITS.get(name), name);
  assert.equal(actionBits([]), 0);
  assert.equal(actionBits(['quarantine', 'add-header']), 0x21);
  assert.equal(ALL_ACTIONS, 0xff);
});

test('a bit that is missing is named, and bits of no modification are not', () => {
  assert.equal(firstMissing(0x80), 'add recipients with parameters');
  assert.equal(firstMissing(0x20), 'quarantine messages');
  assert.equal(firstMissing(0x11), 'add headers');
  assert.equal(firstMissing(0x100), undefined);
  assert.equal(firstMissing(0), undefined);
});
