/** Collections of all garbage, by V8's own collector. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { getHeapStatistics } from 'node:v8';
import { collectInSteps, collectNow } from '../../src/lua/context/garbage.ts';

const MIB = 1024 * 1024;
const usedBytes = (): number => getHeapStatistics().used_heap_size;

/** Small objects of so many MiB, which are alive as long as the array is. */
function objects(mib: number): object[] {
  const kept: object[] = [];
  for (const end = usedBytes() + mib * MIB; usedBytes() < end; ) {
    for (let i = 0; i < 1000; i++) kept.push({ i, inner: { i } });
  }
  return kept;
}

describe('a collection in steps', () => {
  it('collects what is not referred to any more', async () => {
    const before = usedBytes();
    objects(64).length = 0;
    await collectInSteps();
    await collectInSteps(); // One may have begun by itself.
    assert.ok(usedBytes() < before + 16 * MIB, `${(usedBytes() - before) / MIB} MiB more`);
  });

  it('begins once for all who ask while another is under way', async () => {
    const first = collectInSteps();
    const second = collectInSteps();
    const third = collectInSteps();
    assert.notEqual(first, second);
    assert.equal(second, third);
    await Promise.all([first, second, third]);
  });

  it('stops the process for a small part of the time that one in one go takes, mostly', async () => {
    const kept = objects(200);
    collectNow();
    const start = performance.now();
    collectNow();
    const atOnce = performance.now() - start;
    const stops: number[] = [];
    // With all that is to be marked on its other thread, V8 takes the marking for done, and then stops for as long.
    for (let i = 0; i < 6; i++) stops.push(await longestStop(collectInSteps));
    assert.ok(kept.length > 0);
    assert.ok(Math.min(...stops) < atOnce / 2, `${stops.join(', ')}; at once ${atOnce} ms`);
  });
});

/** The longest time between two turns of the event loop, in milliseconds. */
async function longestStop(work: () => Promise<void>): Promise<number> {
  let longest = 0;
  let last = performance.now();
  let going = true;
  const look = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (going) setImmediate(look);
  };
  setImmediate(look);
  await work();
  going = false;
  return longest;
}
