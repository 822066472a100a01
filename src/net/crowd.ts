/**
 * The order of work while many connections are open.
 *
 * Each time the event loop looks at its sockets, libuv reads from all that have something, but accepts one connection alone
 * (since 1.45, so in every Node that runs this). With a thousand busy connections a new one waited for the work of all of
 * them once for each that came before it. So while there are many, what has come is put by, and the loop looks again until
 * it finds nobody new; then who has something is served, who came first at first, for some milliseconds, and so on.
 */

/** From so many open connections on. Fewer are served at once: a look for each costs more than it spares anybody. */
const MANY = 64;
/** Looks go on so long at most, in milliseconds, and so does serving. */
const STRETCH_MS = 5;
/** Between two looks at the clock. */
const SERVED_AT_ONCE = 16;

export class Crowd {
  readonly #count: () => number;
  #waiting: (() => void)[] = [];
  /** Of the first that waits. */
  #first = 0;
  #newcomer = false;
  #scheduled = false;
  #began = 0;

  /** @param count how many connections are open */
  constructor(count: () => number) {
    this.#count = count;
  }

  /** Whether who has something to do should wait until the loop has looked for others. */
  get isLarge(): boolean {
    return this.#count() >= MANY || this.#first < this.#waiting.length;
  }

  /** A connection has been accepted. */
  joined(): void {
    this.#newcomer = true;
  }

  /** Calls `work` when its turn has come, after the loop has looked at its sockets. */
  add(work: () => void): void {
    if (this.#first === this.#waiting.length) this.#began = performance.now();
    this.#waiting.push(work);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      const looksAgain = this.#newcomer && performance.now() - this.#began < STRETCH_MS;
      this.#newcomer = false;
      if (!looksAgain) this.#serve();
      if (this.#first < this.#waiting.length) this.#schedule();
    });
  }

  #serve(): void {
    const end = performance.now() + STRETCH_MS;
    for (let served = 1; this.#first < this.#waiting.length; served++) {
      const work = this.#waiting[this.#first];
      this.#first += 1;
      work?.();
      if (served % SERVED_AT_ONCE === 0 && performance.now() > end) break;
    }
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
    this.#began = performance.now();
  }
}
