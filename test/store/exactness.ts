/**
 * The proof that a store is exact: processes work on the same keys at the same time, and random ones are killed with
 * SIGKILL meanwhile and replaced. Of what a killed one had begun nobody knows whether it was done; all the rest must be
 * there, once.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as kv from '../../src/store/kv.ts';
import { connected, openStore, patience, valueIn } from './stores.ts';
import { type Acknowledged, bucketOf, type Step, stepOf } from './work.ts';

export interface Plan {
  /** Of the store, as `--store` has it. */
  readonly address: string;
  readonly processes: number;
  /** Of each process. */
  readonly operations: number;
  readonly kills: number;
}

export interface Proof {
  readonly seconds: number;
  readonly killed: number;
  readonly acknowledged: number;
  /** Begun by processes that were killed before they had an answer. */
  readonly unsettled: number;
  /** Answers that were none, each with how often it was given. */
  readonly failures: ReadonlyMap<string, number>;
  /** What does not hold, in words; empty: the store is exact. */
  readonly faults: readonly string[];
  /** What the processes had to say of the store. */
  readonly lines: readonly string[];
}

/** A worker's place: who has it now, and what those who had it have written. */
interface Place {
  readonly name: string;
  readonly path: string;
  child: ChildProcess;
  /** Settles when its work is done. */
  done: Promise<void>;
}

const WORKER = fileURLToPath(new URL('exactness-worker.ts', import.meta.url));

export async function proveExactness(plan: Plan): Promise<Proof> {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-exact-'));
  try {
    const began = Date.now();
    const places = Array.from({ length: plan.processes }, (_, index) => occupy(plan, directory, index));
    const killed = await killSome(plan, places);
    await Promise.all(places.map(({ done }) => done));
    const notes = places.flatMap(({ name, path }) => read(name, readFileSync(path, 'utf8')));
    return await judge(plan, began, killed, notes);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function occupy(plan: Plan, directory: string, index: number): Place {
  const name = `worker ${index}`;
  const path = join(directory, String(index));
  closeSync(openSync(path, 'w'));
  const place: Place = { name, path, ...start(plan, name, path, 0) };
  watch(plan, place);
  return place;
}

function start(plan: Plan, name: string, path: string, from: number) {
  const child = spawn(
    process.execPath,
    [...['--import', 'tsx', WORKER], ...[plan.address, path, name, String(from), String(plan.operations)]],
    { stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
  );
  return { child, done: Promise.resolve() };
}

/** Where a process was killed, another goes on behind what it has begun. */
function watch(plan: Plan, place: Place): void {
  const run = async () => {
    for (;;) {
      const [code, signal] = await once(place.child, 'exit');
      if (signal !== 'SIGKILL') {
        const said = readFileSync(place.path, 'utf8').slice(-200);
        assert.equal(code, 0, `${place.name} ended with ${signal ?? code} behind ${said}`);
        return;
      }
      const [last] = read(place.name, readFileSync(place.path, 'utf8')).slice(-1);
      place.child = start(plan, place.name, place.path, last?.to ?? 0).child;
    }
  };
  place.done = run();
  place.done.catch(() => {});
}

/** Kills somebody each time that a part of the work has been done. */
async function killSome({ processes, operations, kills }: Plan, places: readonly Place[]): Promise<number> {
  const size = () => places.reduce((sum, { path }) => sum + statSync(path).size, 0);
  let ended = false;
  void Promise.allSettled(places.map(({ done }) => done)).then(() => {
    ended = true;
  });
  // A step takes some 8 bytes of the files. In the first half: much is left to be done where this process is held meanwhile.
  const part = (processes * operations * 4) / (kills + 1);
  let killed = 0;
  while (!ended && killed < kills) {
    if (size() < part * (killed + 1)) await sleep(5);
    else if (places[Math.floor(Math.random() * places.length)]?.child.kill('SIGKILL')) killed += 1;
  }
  return killed;
}

interface Round {
  readonly worker: string;
  readonly from: number;
  readonly to: number;
  /** Missing where it was killed before. */
  answers?: readonly Acknowledged[];
  readonly lines?: readonly string[];
}

function read(worker: string, text: string): Round[] {
  const rounds: Round[] = [];
  // A line without an end was not written to its end.
  for (const line of text.split('\n').slice(0, -1)) {
    const { from, to, answers, lines } = JSON.parse(line);
    const round = rounds.at(-1);
    if (answers !== undefined && round !== undefined && round.from === from) round.answers = answers;
    else rounds.push({ worker, from: from ?? 0, to: to ?? 0, ...(lines === undefined ? {} : { lines }) });
  }
  return rounds;
}

/** What came of all steps on one key. */
interface Tally {
  readonly step: Step;
  begun: number;
  unsettled: number;
  readonly given: { readonly worker: string; readonly value: Acknowledged }[];
}

async function judge(plan: Plan, began: number, killed: number, rounds: readonly Round[]): Promise<Proof> {
  const elapsedMs = Date.now() - began;
  const tallies = new Map<string, Tally>();
  const failures = new Map<string, number>();
  let acknowledged = 0;
  let unsettled = 0;
  for (const { worker, from, to, answers } of rounds) {
    for (let index = from; index < to; index += 1) {
      const step = stepOf(index);
      const name = `${step.kind} ${step.key}`;
      const tally = tallies.get(name) ?? { step, begun: 0, unsettled: 0, given: [] };
      tallies.set(name, tally);
      tally.begun += 1;
      const value = answers?.[index - from];
      if (value === undefined || typeof value === 'string') {
        tally.unsettled += 1;
        unsettled += 1;
        if (value !== undefined) failures.set(value, (failures.get(value) ?? 0) + 1);
      } else {
        tally.given.push({ worker, value });
        acknowledged += 1;
      }
    }
  }
  const { store } = openStore(plan.address);
  if (plan.address.startsWith('redis')) await connected(store);
  const faults: string[] = [];
  for (const tally of tallies.values()) {
    const { kind, key } = tally.step;
    const found =
      kind === 'take'
        ? undefined
        : valueIn(await store.run(kv.get({ space: '', key: Buffer.from(key) }), patience(60_000)));
    const problem =
      kind === 'incr'
        ? sumFault(tally, found)
        : kind === 'add'
          ? winnerFault(tally, found)
          : rateFault(tally, elapsedMs);
    if (problem !== undefined) faults.push(`${kind} ${key}: ${problem}`);
  }
  await store.close();
  const lines = rounds.flatMap(({ lines: said = [] }) => said);
  return { seconds: elapsedMs / 1000, killed, acknowledged, unsettled, failures, faults, lines };
}

/** Each sum was given once, and what was acknowledged is in the last one. */
function sumFault({ given, begun }: Tally, found: unknown): string | undefined {
  const twice = given.length - new Set(given.map(({ value }) => value)).size;
  if (twice > 0) return `${twice} sums were given twice`;
  if (typeof found === 'number' && found >= given.length && found <= begun) return undefined;
  return `${found} after ${given.length} were acknowledged of ${begun}`;
}

/** At most one has won, whose name stands there; none only where one that was killed may have. */
function winnerFault({ given, unsettled }: Tally, found: unknown): string | undefined {
  const winners = given.filter(({ value }) => value === true).map(({ worker }) => worker);
  const name = Buffer.isBuffer(found) ? found.toString() : String(found);
  if (winners.length > 1) return `won by ${winners.join(' and ')}`;
  if (winners.length === 1) return winners[0] === name ? undefined : `won by ${winners[0]}, held by ${name}`;
  return unsettled > 0 && given.length + unsettled > 0 ? undefined : `won by nobody, held by ${name}`;
}

/** All that the rate says were let through, some of them to those who were killed, and no more. */
function rateFault({ step, given, begun, unsettled }: Tally, elapsedMs: number): string | undefined {
  const { count, periodMs, burst } = bucketOf(step.key).rate;
  const passed = given.filter(({ value }) => value === true).length;
  const most = burst + Math.floor((elapsedMs * count) / periodMs);
  const least = Math.min(burst, begun) - unsettled;
  return passed >= least && passed <= most
    ? undefined
    : `let through ${passed}, not ${least} to ${most} of ${begun}`;
}

export function summary({ seconds, killed, acknowledged, unsettled, failures, faults }: Proof): string {
  const rate = Math.round(acknowledged / seconds);
  const failed = [...failures].map(([reason, count]) => `  ${count} times ${reason}`);
  return [
    `${acknowledged} acknowledged in ${seconds.toFixed(0)} s (${rate}/s), ${unsettled} unsettled, ${killed} killed, ${faults.length} faults`,
    ...failed.slice(0, 20),
    ...faults.slice(0, 20).map((fault) => `  FAULT ${fault}`),
  ].join('\n');
}
