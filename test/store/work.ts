/** What each process does to the store in the proof of its exactness: the same steps in the same order, all at once. */
import { parseRate, type Rate } from '../../src/store/rate.ts';

/** What a step came to: a sum, whether it was let through or won, or in words why it is not known. */
export type Acknowledged = number | boolean | string;

/** Steps that a process has under way at a time. */
export const ROUND = 50;
/** Numbers that all add to. */
const SUMS = 4;
/** Takes of one process from one bucket. */
const TAKES = 25;

export type Step = { readonly kind: 'incr' | 'take' | 'add'; readonly key: string };

/** Of four steps two add to a number, one takes from a bucket, and one is to be the first somewhere. */
export function stepOf(index: number): Step {
  const turn = Math.floor(index / 4);
  if (index % 4 === 1)
    return { kind: 'take', key: turn % 2 === 0 ? 'all' : String(Math.floor(turn / 2 / TAKES)) };
  if (index % 4 === 3) return { kind: 'add', key: `first ${turn}` };
  return { kind: 'incr', key: `sum ${turn % SUMS}` };
}

/** Of these rates nothing comes back within minutes: a day for a thousand, and for sixty. */
export function bucketOf(name: string): { readonly key: string; readonly rate: Rate } {
  const rate = parseRate(name === 'all' ? '1000/d' : '60/d');
  if (rate === undefined) throw new Error(name);
  return { key: `bucket ${name}`, rate };
}
