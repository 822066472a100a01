/** The bounds of the cache: number, size, time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TimedCache } from '../../src/dns/cache.ts';

const LONG = 1_000_000;

test('the entry not used for longest goes first', () => {
  const cache = new TimedCache<number>(2, 1000);
  cache.set('a', 1, 10, LONG);
  cache.set('b', 2, 10, LONG);
  assert.equal(cache.get('a'), 1);
  cache.set('c', 3, 10, LONG);
  assert.deepEqual([cache.get('a'), cache.get('b'), cache.get('c')], [1, undefined, 3]);
});

test('an entry ends with its time', (t) => {
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  const cache = new TimedCache<number>(10, 1000);
  cache.set('a', 1, 10, 100);
  now = 99.9;
  assert.equal(cache.get('a'), 1);
  now = 100;
  assert.equal(cache.get('a'), undefined);
  assert.equal(cache.size, 0);
});

test('an entry without lifetime is not kept, and ends the one before it', () => {
  const cache = new TimedCache<number>(10, 1000);
  cache.set('a', 1, 10, LONG);
  cache.set('a', 2, 10, 0);
  assert.equal(cache.get('a'), undefined);
});

test('number and size stay within their bounds whatever happens', () => {
  const step = fc.tuple(fc.constantFrom(...'abcdefgh'), fc.integer({ min: 0, max: 60 }), fc.boolean());
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const cache = new TimedCache<number>(4, 100);
      const sizes = new Map<string, number>();
      for (const [key, size, reads] of steps) {
        if (reads) cache.get(key);
        else {
          cache.set(key, size, size, LONG);
          sizes.set(key, size);
        }
        const kept = [...'abcdefgh'].filter((one) => sizes.has(one) && cache.get(one) !== undefined);
        assert.ok(cache.size <= 4 && kept.length === cache.size);
        assert.ok(kept.reduce((sum, one) => sum + (sizes.get(one) ?? 0), 0) <= 100);
      }
    }),
  );
});
