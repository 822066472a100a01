/** A few seconds of fuzzing in each run of the tests; run.ts goes on for longer. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CASES } from './cases.ts';
import { checkInProcess } from './in-process.ts';
import { fuzzMime } from './mime.ts';
import { fuzzOverSocket } from './over-socket.ts';
import { Random } from './random.ts';
import { fuzzInProcess, newSeed } from './run.ts';

for (const [name, input] of CASES) {
  test(name, () => {
    for (let seed = 0; seed < 200; seed++) checkInProcess(input, seed);
  });
}

test('broken sessions, in process', () => {
  const seed = newSeed();
  assert.ok(fuzzInProcess(seed, performance.now() + 4_000) > 100, `seed ${seed}`);
});

test('broken sessions over sockets, beside one that behaves', async () => {
  const seed = newSeed();
  assert.ok((await fuzzOverSocket(seed, performance.now() + 5_000)) > 50, `seed ${seed}`);
});

test('broken messages and archives', async () => {
  const seed = newSeed();
  assert.equal(await fuzzMime(seed, new Random(seed), 2000), 2000);
});

test('the same seed gives the same numbers', () => {
  const [one, other] = [new Random(7), new Random(7)];
  assert.deepEqual(
    Array.from({ length: 20 }, () => one.below(1000)),
    Array.from({ length: 20 }, () => other.below(1000)),
  );
});
