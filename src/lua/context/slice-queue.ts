/**
 * Turns for callbacks that work long: some milliseconds of them per turn of the event loop, so that other sessions are
 * answered between slices however many callbacks are at work.
 */

/** How long work goes on before other sessions have their turn, in milliseconds. */
export const SLICE_MS = 5;

export class SliceQueue {
  /** What is made of a slice when it is added: it may have to keep what belongs to who added it. */
  readonly #bind: (slice: () => void) => () => void;
  #round = 0;
  /** When slices were last served. */
  #servedUntil = 0;
  readonly #waiting: (() => void)[] = [];
  #scheduled = false;
  #longStretches = 0;

  constructor(bind: (slice: () => void) => () => void = asItIs) {
    this.#bind = bind;
  }

  /** Calls `slice` in its turn, never before the event loop has looked at its sockets. */
  add(slice: () => void): void {
    this.#waiting.push(this.#bind(slice));
    this.#schedule();
  }

  /**
   * When work began since the event loop last looked at its sockets: at the first such question, with `now`. All who
   * were woken in the meantime share that time.
   */
  roundStart(now: number): number {
    if (this.#round === 0) {
      this.#round = now;
      setImmediate(() => {
        this.#round = 0;
      });
    }
    return this.#round;
  }

  /** The same without slices: they came before the sockets. */
  readStart(now: number): number {
    return Math.max(this.roundStart(now), this.#servedUntil);
  }

  /** Whether so much has been worked since then, by who asked, that the rest should wait; costs nothing where nobody did. */
  get isRoundOver(): boolean {
    return this.#round !== 0 && performance.now() - this.#round > SLICE_MS;
  }

  /** Whether somebody waits for a turn. */
  get isBusy(): boolean {
    return this.#waiting.length > 0;
  }

  /** A callback works long, since `start`: whoever comes next shares the round with it. */
  noteLong(start: number): void {
    this.#longStretches += 1;
    this.roundStart(start);
  }

  /** How often that was. */
  get longStretches(): number {
    return this.#longStretches;
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#serve();
    });
  }

  /** What is added meanwhile waits for the next time. */
  #serve(): void {
    const end = performance.now() + SLICE_MS;
    try {
      for (let left = this.#waiting.length; left > 0; left--) {
        this.#waiting.shift()?.();
        if (performance.now() > end) break;
      }
    } finally {
      this.#servedUntil = performance.now();
      this.#schedule();
    }
  }
}

function asItIs(slice: () => void): () => void {
  return slice;
}
