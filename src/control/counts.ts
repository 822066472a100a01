/** What a process has counted since it began: plain data, so that processes can send theirs and they can be added up. */

/** What became of a message. `abandoned`: it was given up before anything was decided about it. */
export const VERDICT_NAMES = ['accept', 'reject', 'defer', 'discard', 'quarantine', 'abandoned'] as const;

export type VerdictName = (typeof VERDICT_NAMES)[number];

export interface CallbackCounts {
  calls: number;
  maxMs: number;
  totalMs: number;
  /** Calls by duration, see `bucketOf`. */
  buckets: number[];
}

export interface Counts {
  sessions: number;
  messages: Record<VerdictName, number>;
  /** Connections and HELOs that were refused. */
  refusedSessions: number;
  scriptErrors: number;
  /** By name as the script spells it. */
  callbacks: Record<string, CallbackCounts>;
}

export function noCounts(): Counts {
  const messages = { accept: 0, reject: 0, defer: 0, discard: 0, quarantine: 0, abandoned: 0 };
  return { sessions: 0, messages, refusedSessions: 0, scriptErrors: 0, callbacks: {} };
}

/** Four buckets to each doubling of the time, from 1 microsecond to more than an hour. */
const BUCKETS = 128;
const BUCKETS_PER_DOUBLING = 4;

function bucketOf(ms: number): number {
  const bucket = Math.floor(BUCKETS_PER_DOUBLING * Math.log2(Math.max(ms * 1000, 1)));
  return Math.min(bucket, BUCKETS - 1);
}

export function countCall(counts: Counts, name: string, ms: number): void {
  const callback = callbackIn(counts, name);
  callback.calls += 1;
  callback.totalMs += ms;
  if (ms > callback.maxMs) callback.maxMs = ms;
  const bucket = bucketOf(ms);
  callback.buckets[bucket] = (callback.buckets[bucket] ?? 0) + 1;
}

function callbackIn(counts: Counts, name: string): CallbackCounts {
  let callback = counts.callbacks[name];
  if (callback === undefined) {
    callback = { calls: 0, maxMs: 0, totalMs: 0, buckets: new Array<number>(BUCKETS).fill(0) };
    counts.callbacks[name] = callback;
  }
  return callback;
}

/** The time that this share of the calls did not exceed, at most 19 % too long. */
export function percentile({ calls, maxMs, buckets }: CallbackCounts, share: number): number {
  let left = calls * share;
  for (const [bucket, count] of buckets.entries()) {
    left -= count;
    if (left <= 0) return Math.min(maxMs, 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING) / 1000);
  }
  return maxMs;
}

/** Adds `more` to `sum`. */
export function addCounts(sum: Counts, more: Counts): void {
  sum.sessions += more.sessions;
  for (const name of VERDICT_NAMES) sum.messages[name] += more.messages[name];
  sum.refusedSessions += more.refusedSessions;
  sum.scriptErrors += more.scriptErrors;
  for (const [name, { calls, maxMs, totalMs, buckets }] of Object.entries(more.callbacks)) {
    const callback = callbackIn(sum, name);
    callback.calls += calls;
    callback.totalMs += totalMs;
    callback.maxMs = Math.max(callback.maxMs, maxMs);
    for (const [bucket, count] of buckets.entries()) {
      callback.buckets[bucket] = (callback.buckets[bucket] ?? 0) + count;
    }
  }
}
