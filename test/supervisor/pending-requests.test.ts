/** Requests to another process: each answer goes to who asked, and none that is late or unasked for to anybody. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PendingRequests } from '../../src/supervisor/pending-requests.ts';

const LONG_MS = 60_000;

test('answers come by their ids, in any order', async () => {
  const requests = new PendingRequests<string>();
  const ids: number[] = [];
  const both = [1, 2].map(() => requests.put(LONG_MS, (id) => ids.push(id)));
  const [first = 0, second = 0] = ids;
  assert.notEqual(first, second);
  requests.answer(second, 'two');
  requests.answer(first, 'one');
  assert.deepEqual(await Promise.all(both), ['one', 'two']);
});

test('a request without an answer ends when its time is over; a late answer is nobody’s', async () => {
  const requests = new PendingRequests<string>();
  let late = 0;
  const asked = await requests.put(1, (id) => {
    late = id;
  });
  assert.equal(asked, undefined);
  requests.answer(late, 'late');
  let next = 0;
  const other = requests.put(LONG_MS, (id) => {
    next = id;
  });
  assert.notEqual(next, late);
  requests.answer(late, 'again');
  requests.answer(next, 'right');
  requests.answer(next, 'twice');
  assert.equal(await other, 'right');
});

test('an answer that comes while it is asked for counts', async () => {
  const requests = new PendingRequests<string>();
  assert.equal(await requests.put(LONG_MS, (id) => requests.answer(id, 'at once')), 'at once');
});
