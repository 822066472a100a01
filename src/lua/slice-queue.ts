/**
 * Turns for callbacks that work long: one slice of one of them per turn of the event loop, so that other sessions are
 * answered between slices however many callbacks are at work.
 */

/** How long work goes on before other sessions have their turn, in milliseconds. */
export const SLICE_MS = 5;

export class SliceQueue {
  readonly #waiting: (() => void)[] = [];
  #scheduled = false;

  /** Calls `slice` in its turn, never before the event loop has looked at its sockets. */
  add(slice: () => void): void {
    this.#waiting.push(slice);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#waiting.length === 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const slice = this.#waiting.shift();
      this.#schedule();
      slice?.();
    });
  }
}
