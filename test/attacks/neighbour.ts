/**
 * A good session on the same worker as an attack: how long it waits for its answers is what the attacks are judged by.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { type Span, shareOf } from '../helpers/spans.ts';
import { childrenOf } from '../program/milter-client.ts';

/**
 * What a neighbour may wait, in milliseconds, besides what the machine's other programs take. The figure that is printed
 * is what counts on a quiet machine: 20, or 50 where garbage is collected.
 */
const GENEROUS_MS = 3000;

/** How long the main thread of a process has been ready to run while others had the processors, in milliseconds. */
export function threadDelayMs(pid: number): number {
  try {
    // `NANOSECONDS-RUN NANOSECONDS-READY SLICES`
    const [, ready = '0'] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ');
    return Number(ready) / 1e6;
  } catch {
    return 0; // It has ended.
  }
}

/** The same of a process and those below it. */
function runDelayMs(pid: number): number {
  try {
    return childrenOf(pid).reduce((sum, child) => sum + runDelayMs(child), threadDelayMs(pid));
  } catch {
    return 0;
  }
}

/** How long an answer took, and for how much of that the neighbour or the server waited for a processor. */
export interface Wait extends Span {
  readonly delayed: number;
}

/** What the process of `neighbour-sessions.ts` is told, and tells. */
export type NeighbourNews = 'served' | readonly Wait[];

export class Neighbour {
  readonly #sessions: ChildProcess;
  readonly #delayBefore = runDelayMs(process.pid);

  private constructor(sessions: ChildProcess) {
    this.#sessions = sessions;
  }

  /**
   * Holds sessions one after the other, each with a message, until `stop`. They have a process of their own: what the
   * attacker's takes to send is not what the neighbour waits.
   *
   * @param server the process that serves them, if what others' use of the processors costs it should be told apart
   */
  static async start(t: TestContext, port: number, server?: number): Promise<Neighbour> {
    const processes = server === undefined ? [port] : [port, server];
    const sessions = fork(new URL('./neighbour-sessions.ts', import.meta.url), processes.map(String));
    t.after(() => sessions.kill('SIGKILL'));
    await Neighbour.#news(sessions);
    return new Neighbour(sessions);
  }

  static async #news(sessions: ChildProcess): Promise<NeighbourNews> {
    return await new Promise((resolve, reject) => {
      sessions.once('message', resolve);
      // Behind all that it has told, which `exit` need not be.
      sessions.once('disconnect', () => reject(new Error('the neighbour has ended')));
    });
  }

  /**
   * Ends its session, prints what it waited, and asserts that it was served all the time.
   *
   * @param collections when garbage was collected on the worker: that is nobody's turn
   */
  async stop(t: TestContext, collections: () => readonly Span[] = () => []): Promise<void> {
    this.#sessions.send('stop');
    const waits = await Neighbour.#news(this.#sessions);
    assert.ok(typeof waits !== 'string');
    const spans = collections();
    if (spans.length > 0) {
      const longest = Math.max(...waits.map(({ from, to }) => to - from));
      const collector = Math.max(...waits.map((wait) => shareOf(wait, spans)));
      t.diagnostic(
        `with the collector at most ${longest.toFixed(1)} ms, of which ${collector.toFixed(1)} are its`,
      );
    }
    const sorted = waits
      .map((wait) => wait.to - wait.from - shareOf(wait, spans))
      .sort((one, other) => one - other);
    const longest = sorted.at(-1) ?? Number.NaN;
    const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN;
    t.diagnostic(
      `the neighbour waited at most ${longest.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, in ${sorted.length} answers`,
    );
    const undelayed = waits
      .map(({ from, to, delayed }) => to - from - delayed)
      .sort((one, other) => one - other);
    const within = (share: number): string =>
      (undelayed[Math.min(undelayed.length - 1, Math.floor(undelayed.length * share))] ?? 0).toFixed(1);
    t.diagnostic(
      `with the collector and without waits for a processor: 50 % within ${within(0.5)} ms, 99 % ${within(0.99)}, ` +
        `100 % ${within(1)}`,
    );
    assert.ok(sorted.length >= 6, 'the neighbour had a session');
    const delay = Math.max(0, runDelayMs(process.pid) - this.#delayBefore);
    t.diagnostic(`other programs had the processors for ${delay.toFixed(0)} ms`);
    assert.ok(longest < GENEROUS_MS + delay, `the neighbour waited ${longest.toFixed(0)} ms for an answer`);
  }
}
