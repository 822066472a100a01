/**
 * How long the turns of this process's event loop take, without what is somebody else's: V8's collector, other threads,
 * other programs. In milliseconds.
 */
import { readFileSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Span, shareOf } from './spans.ts';

/** Shorter ones are not judged. */
const SHORT_MS = 4;

export class LoopTurns {
  readonly #collections: Span[] = [];
  readonly #observer: PerformanceObserver;
  readonly #turns: (Span & { readonly cpu: number })[] = [];
  #going = true;
  #began = performance.now();
  #cpu = threadTime();

  /** Looks at each turn from now on. */
  constructor() {
    this.#observer = new PerformanceObserver((list) => this.#note(list.getEntries()));
    this.#observer.observe({ entryTypes: ['gc'] });
    setImmediate(() => this.#look());
  }

  /** What the longest turn took until now, and all that took long together. */
  async end(): Promise<{ readonly longest: number; readonly all: number }> {
    this.#look();
    this.#going = false;
    // Entries come a turn of the loop late.
    await nextTurn();
    await nextTurn();
    this.#note(this.#observer.takeRecords());
    this.#observer.disconnect();
    const times = this.#turns.map(
      (turn) => Math.min(turn.to - turn.from, turn.cpu) - shareOf(turn, this.#collections),
    );
    return { longest: Math.max(0, ...times), all: times.reduce((sum, time) => sum + time, 0) };
  }

  #look(): void {
    if (!this.#going) return;
    const [now, cpu] = [performance.now(), threadTime()];
    if (now - this.#began > SHORT_MS) {
      this.#turns.push({ from: this.#began, to: now, cpu: cpu - this.#cpu });
    }
    [this.#began, this.#cpu] = [now, cpu];
    setImmediate(() => this.#look());
  }

  #note(entries: readonly { readonly startTime: number; readonly duration: number }[]): void {
    for (const { startTime, duration } of entries) {
      this.#collections.push({ from: startTime, to: startTime + duration });
    }
  }
}

/** CPU time of this thread alone. */
function threadTime(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6;
}
