/** --max-connections over several processes: who has how many permits, who asks for more, and what comes back. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  ConnectionPermits,
  ownPermits,
  PermitPool,
  sharedPermits,
} from '../../src/supervisor/connection-permits.ts';

/** A process, and what it has posted to its supervisor. */
function process(own: number, share = 10) {
  const posted: string[] = [];
  const silences: boolean[] = [];
  const permits = new ConnectionPermits(
    own,
    share,
    (kind) => posted.push(kind),
    (isSilent) => silences.push(isSilent),
  );
  return { permits, posted, silences };
}

describe('a process', () => {
  test('takes its own permits without asking, and those again that come free', () => {
    const { permits, posted } = process(2);
    assert.deepEqual([permits.take(), permits.take()], [true, true]);
    permits.free();
    assert.equal(permits.take(), true);
    assert.deepEqual(posted, []);
  });

  test('asks for more, in turn, and gives back what it has borrowed', async () => {
    const { permits, posted } = process(1);
    assert.equal(permits.take(), true);
    const [second, third] = [permits.take(), permits.take()];
    assert.deepEqual(posted, ['permitWanted', 'permitWanted']);
    permits.answered(true);
    permits.answered(false);
    assert.deepEqual([await second, await third], [true, false]);
    permits.free();
    assert.deepEqual(posted.slice(2), ['permitFree']);
    permits.free();
    assert.equal(posted.length, 3, 'its own is kept');
    assert.equal(permits.take(), true);
  });

  test('serves its share where the supervisor is silent, and gives back what is granted too late', async () => {
    const { permits, posted, silences } = process(0, 2);
    const first = permits.take();
    const second = permits.take();
    // Time goes by as it does: the supervisor has a second.
    assert.deepEqual([await first, await second], [true, true]);
    assert.deepEqual(silences, [true]);
    assert.equal(permits.take(), false, 'the share is used up, and nobody is asked');
    assert.equal(posted.length, 2);
    permits.answered(true);
    assert.deepEqual(silences, [true, false]);
    assert.deepEqual(posted.slice(2), ['permitFree']);
    permits.answered(false);
    assert.equal(posted.length, 3);
    const asked = permits.take();
    permits.answered(true);
    assert.equal(await asked, true);
  });
});

describe('the supervisor’s pool', () => {
  for (const [most, processes] of [
    [1, 4],
    [10, 3],
    [100, 2],
    [1000, 16],
  ] as const) {
    test(`of ${most} over ${processes} processes gives all out, and no more`, () => {
      const pool = new PermitPool(most, processes);
      const own = (ownPermits(most, processes) ?? 0) * processes;
      let lent = 0;
      while (pool.lend(lent % processes)) lent += 1;
      assert.equal(own + lent, most);
      pool.takeBack(0);
      assert.deepEqual([pool.lend(1), pool.lend(1)], [true, false]);
      assert.ok(sharedPermits(most, processes) >= 1);
    });
  }

  test('takes back all of a worker that has ended, once', () => {
    const pool = new PermitPool(3, 4);
    assert.deepEqual([pool.lend(1), pool.lend(1), pool.lend(2), pool.lend(2)], [true, true, true, false]);
    pool.takeAllBack(1);
    pool.takeAllBack(1);
    assert.deepEqual([pool.lend(2), pool.lend(2), pool.lend(2)], [true, true, false]);
  });

  test('there is none without a bound', () => assert.equal(ownPermits(0, 4), undefined));
});
