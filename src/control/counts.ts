/** What a process has counted since it began: plain data, so that processes can send theirs and they can be added up. */

import type { Failure } from '../policy/failure.ts';
import type { OnError } from '../policy/policy-settings.ts';

/** What became of a message. `abandoned`: it was given up before anything was decided about it. */
export const VERDICT_NAMES = ['accept', 'reject', 'tempfail', 'discard', 'quarantine', 'abandoned'] as const;

export type VerdictName = (typeof VERDICT_NAMES)[number];

export interface CallbackCounts {
  calls: number;
  /** From beginning to end, waiting included. */
  wallMaxMs: number;
  wallTotalMs: number;
  cpuMaxMs: number;
  cpuTotalMs: number;
  /** Calls by that duration, see `bucketOf`. */
  buckets: number[];
  /** By what they came to: the name of a verdict, or `error`. */
  results: Record<string, number>;
  /** Calls that failed. */
  failures: number;
  /** Of these, by the budget that they went over. */
  budgetEnds: Record<string, number>;
  lastFailure?: LastFailure;
}

/** Questions to one service. */
export interface ServiceCounts {
  /** `ok`, or the word of a failure. */
  outcomes: Record<string, number>;
  wallTotalMs: number;
  /** By how long the answer took, see `bucketOf`. */
  buckets: number[];
}

export interface LastFailure {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** `file:line`; absent where no Lua code was at work. */
  readonly where?: string;
  readonly message: string;
  readonly action: OnError;
}

export interface Counts {
  sessions: number;
  /** For which the candidate of `--canary` decided. */
  canarySessions: number;
  messages: Record<VerdictName, number>;
  /** Connections and HELOs that were refused. */
  refusedSessions: number;
  scriptErrors: number;
  /** By name as the script spells it; MAIN_CHUNK, of which only failures are counted, is among them. */
  callbacks: Record<string, CallbackCounts>;
  /** By name; of a process that has somebody to tell these. */
  services: Record<string, ServiceCounts>;
}

export function noCounts(): Counts {
  const messages = { accept: 0, reject: 0, tempfail: 0, discard: 0, quarantine: 0, abandoned: 0 };
  return {
    sessions: 0,
    canarySessions: 0,
    messages,
    refusedSessions: 0,
    scriptErrors: 0,
    callbacks: {},
    services: {},
  };
}

/** Four buckets to each doubling of the time, from 1 microsecond to more than an hour. */
const BUCKETS = 128;
const BUCKETS_PER_DOUBLING = 4;

/** Bytes of a failure's message that are kept. */
const MAX_MESSAGE = 512;

function bucketOf(ms: number): number {
  const bucket = Math.floor(BUCKETS_PER_DOUBLING * Math.log2(Math.max(ms * 1000, 1)));
  return Math.min(bucket, BUCKETS - 1);
}

/** @param result what it came to: the name of a verdict, or `error` */
export function countCall(counts: Counts, name: string, cpuMs: number, wallMs: number, result: string): void {
  const callback = callbackIn(counts, name);
  callback.calls += 1;
  callback.results[result] = (callback.results[result] ?? 0) + 1;
  callback.wallTotalMs += wallMs;
  callback.cpuTotalMs += cpuMs;
  if (wallMs > callback.wallMaxMs) callback.wallMaxMs = wallMs;
  if (cpuMs > callback.cpuMaxMs) callback.cpuMaxMs = cpuMs;
  const bucket = bucketOf(wallMs);
  callback.buckets[bucket] = (callback.buckets[bucket] ?? 0) + 1;
}

/** Of the callback with this name, whether or not it was counted as a call. */
export function countFailure(
  counts: Counts,
  name: string,
  { message, where, action, budget }: Failure,
): void {
  counts.scriptErrors += 1;
  const callback = callbackIn(counts, name);
  callback.failures += 1;
  if (budget !== undefined) callback.budgetEnds[budget] = (callback.budgetEnds[budget] ?? 0) + 1;
  const place = where === '' ? {} : { where };
  callback.lastFailure = { time: Date.now(), ...place, message: message.slice(0, MAX_MESSAGE), action };
}

/** @param outcome `ok`, or the word of a failure */
export function countQuestion(counts: Counts, service: string, outcome: string, wallMs: number): void {
  const asked = serviceIn(counts, service);
  const { outcomes, buckets } = asked;
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  asked.wallTotalMs += wallMs;
  const bucket = bucketOf(wallMs);
  buckets[bucket] = (buckets[bucket] ?? 0) + 1;
}

function serviceIn(counts: Counts, name: string): ServiceCounts {
  let service = counts.services[name];
  if (service === undefined) {
    service = { outcomes: {}, wallTotalMs: 0, buckets: new Array<number>(BUCKETS).fill(0) };
    counts.services[name] = service;
  }
  return service;
}

function callbackIn(counts: Counts, name: string): CallbackCounts {
  let callback = counts.callbacks[name];
  if (callback === undefined) {
    const times = { wallMaxMs: 0, wallTotalMs: 0, cpuMaxMs: 0, cpuTotalMs: 0 };
    const buckets = new Array<number>(BUCKETS).fill(0);
    callback = { calls: 0, ...times, buckets, results: {}, failures: 0, budgetEnds: {} };
    counts.callbacks[name] = callback;
  }
  return callback;
}

/** The time that this share of the calls did not exceed, at most 19 % too long. */
export function percentile(
  { calls, wallMaxMs, buckets }: Pick<CallbackCounts, 'calls' | 'wallMaxMs' | 'buckets'>,
  share: number,
): number {
  let left = calls * share;
  for (const [bucket, count] of buckets.entries()) {
    left -= count;
    if (left <= 0) return Math.min(wallMaxMs, 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING) / 1000);
  }
  return wallMaxMs;
}

/** Adds `more` to `sum`. */
export function addCounts(sum: Counts, more: Counts): void {
  sum.sessions += more.sessions;
  sum.canarySessions += more.canarySessions;
  for (const name of VERDICT_NAMES) sum.messages[name] += more.messages[name];
  sum.refusedSessions += more.refusedSessions;
  sum.scriptErrors += more.scriptErrors;
  for (const [name, added] of Object.entries(more.callbacks)) {
    const { lastFailure } = added;
    const callback = callbackIn(sum, name);
    callback.failures += added.failures;
    if (lastFailure && lastFailure.time >= (callback.lastFailure?.time ?? 0)) {
      callback.lastFailure = lastFailure;
    }
    callback.calls += added.calls;
    callback.wallTotalMs += added.wallTotalMs;
    callback.cpuTotalMs += added.cpuTotalMs;
    callback.wallMaxMs = Math.max(callback.wallMaxMs, added.wallMaxMs);
    callback.cpuMaxMs = Math.max(callback.cpuMaxMs, added.cpuMaxMs);
    addEach(callback.results, added.results);
    addEach(callback.budgetEnds, added.budgetEnds);
    addBuckets(callback.buckets, added.buckets);
  }
  for (const [name, { outcomes, wallTotalMs, buckets }] of Object.entries(more.services)) {
    const service = serviceIn(sum, name);
    addEach(service.outcomes, outcomes);
    service.wallTotalMs += wallTotalMs;
    addBuckets(service.buckets, buckets);
  }
}

function addEach(sum: Record<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [name, count] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + count;
}

function addBuckets(sum: number[], more: readonly number[]): void {
  for (const [bucket, count] of more.entries()) sum[bucket] = (sum[bucket] ?? 0) + count;
}

/**
 * How many took how long, as Prometheus counts: by upper bounds in seconds, each without those below, and the rest.
 * @param buckets as `bucketOf` numbers them
 */
export function inSeconds(buckets: readonly number[]): {
  readonly bounds: number[];
  readonly counts: number[];
} {
  const counts = SECOND_BOUNDS.map(() => 0).concat(0);
  for (const [bucket, count] of buckets.entries()) {
    const microseconds = 2 ** ((bucket + 1) / BUCKETS_PER_DOUBLING);
    const found = SECOND_BOUNDS.findIndex((bound) => microseconds <= bound * 1e6 * 1.000001);
    const index = found < 0 ? SECOND_BOUNDS.length : found;
    counts[index] = (counts[index] ?? 0) + count;
  }
  return { bounds: SECOND_BOUNDS, counts };
}

/** 64 microseconds and each doubling up to 268 seconds: where buckets end, so that nothing is counted in a wrong one. */
const SECOND_BOUNDS = Array.from({ length: 23 }, (_, doubling) => 2 ** (doubling + 6) / 1e6);
