/** A map of a million lines: what it takes of a worker, and that nobody waits for it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { LargeMap } from './large-map.ts';
import { measureLargeMap } from './measure-large-map.ts';

/** A busy machine makes any turn long now and then. */
const TRIES = 4;

const holds = ({ openCpuMs, grownMib, lookUpUs, openTurnMs, rereadTurnMs }: LargeMap) =>
  // Four workers together: 300 MiB.
  grownMib < 75 && openCpuMs < 3000 && lookUpUs < 5 && openTurnMs < 20 && rereadTurnMs < 20;

it('of 1,000,000 lines is opened and read again without holding anybody up', {
  timeout: 600_000,
}, async () => {
  const tried: LargeMap[] = [];
  while (tried.length < TRIES && !tried.some(holds)) tried.push(await measureLargeMap(1_000_000));
  assert.ok(tried.some(holds), JSON.stringify(tried));
});
