/** How long the event loop of this process keeps others waiting, second by second. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { LoopDelay } from '../control/process-status.ts';

/** Between two looks of Node's: as often it wakes the process. */
const RESOLUTION_MS = 20;
const SECOND_MS = 1000;
const WINDOW = 60;

export class EventLoopDelay {
  readonly #histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  readonly #timer: NodeJS.Timeout;
  /** The longest of each of the last seconds. */
  #longest: number[] = [];
  #latest: LoopDelay = { meanMs: 0, p99Ms: 0, maxMs: 0 };

  constructor() {
    this.#histogram.enable();
    this.#timer = setInterval(() => this.#read(), SECOND_MS).unref();
  }

  /** Of the last second. */
  get latest(): LoopDelay {
    return this.#latest;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }

  #read(): void {
    const { mean, max } = this.#histogram;
    // What is measured is the time between two looks; there is none where there was no second one.
    const over = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS) || 0;
    this.#longest = [...this.#longest.slice(1 - WINDOW), over(max)];
    this.#latest = {
      meanMs: over(mean),
      p99Ms: over(this.#histogram.percentile(99)),
      maxMs: this.#longest.reduce((most, ms) => Math.max(most, ms), 0),
    };
    this.#histogram.reset();
  }
}
