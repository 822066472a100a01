/** Turns of long work, and how long a round of others' work may be. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { SLICE_MS, SliceQueue } from '../../src/lua/context/slice-queue.ts';

/** A clock that stands still, but for work that takes longer than a slice: no time passes between two lines of a test. */
function clock(t: TestContext): { workLong(): void } {
  let now = 1000;
  t.mock.method(performance, 'now', () => now);
  return {
    workLong: () => {
      now += SLICE_MS + 1;
    },
  };
}

test('somebody is busy until the last slice has been served', async () => {
  const slices = new SliceQueue();
  assert.equal(slices.isBusy, false);
  await new Promise<void>((resolve) => slices.add(resolve));
  assert.equal(slices.isBusy, false);
  slices.add(() => {});
  assert.equal(slices.isBusy, true);
  await new Promise<void>((resolve) => slices.add(resolve));
  assert.equal(slices.isBusy, false);
});

describe('a round', () => {
  test('has no slices in it for who is read from, but for who works long', async (t) => {
    const { workLong } = clock(t);
    const slices = new SliceQueue();
    const began = performance.now();
    await new Promise<void>((resolve) => {
      slices.add(() => {
        slices.noteLong(began);
        workLong();
        // As microtasks do, a socket has its turn before what is to be done immediately.
        queueMicrotask(resolve);
      });
    });
    const now = performance.now();
    assert.equal(slices.isRoundOver, true);
    assert.equal(slices.roundStart(now), began);
    const start = slices.readStart(now);
    assert.ok(start > began + SLICE_MS && start <= now);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(slices.isRoundOver, false);
    const later = performance.now();
    assert.equal(slices.readStart(later), later);
  });

  test('is over after the time of a slice', async (t) => {
    const { workLong } = clock(t);
    const slices = new SliceQueue();
    assert.equal(slices.isRoundOver, false);
    slices.roundStart(performance.now());
    assert.equal(slices.isRoundOver, false);
    workLong();
    assert.equal(slices.isRoundOver, true);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(slices.isRoundOver, false);
  });
});
