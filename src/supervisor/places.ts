/**
 * --max-connections over several processes: places that are handed out and given back.
 *
 * Each process has some of its own, and asks the supervisor for more. So nobody waits while there are few connections,
 * the bound is never exceeded, and a small bound is exact.
 */

/** One part in this many of the whole is given to the processes in advance, all together. */
const ADVANCE_PART = 8;

/** How many places each of `processes` has of its own; undefined for no bound. */
export function ownPlaces(maxConnections: number, processes: number): number | undefined {
  return maxConnections === 0 ? undefined : Math.floor(maxConnections / (ADVANCE_PART * processes));
}

/** The side of a process that serves. */
export class Places {
  readonly #own: number;
  readonly #post: (kind: 'placeWanted' | 'placeFree') => void;
  readonly #waiting: ((granted: boolean) => void)[] = [];
  #taken = 0;
  #borrowed = 0;

  constructor(own: number, post: (kind: 'placeWanted' | 'placeFree') => void) {
    this.#own = own;
    this.#post = post;
  }

  /** @returns whether there is one. */
  take(): boolean | Promise<boolean> {
    if (this.#taken - this.#borrowed < this.#own) {
      this.#taken += 1;
      return true;
    }
    this.#post('placeWanted');
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** The answer to the oldest question. */
  answered(granted: boolean): void {
    if (granted) {
      this.#taken += 1;
      this.#borrowed += 1;
    }
    this.#waiting.shift()?.(granted);
  }

  free(): void {
    this.#taken -= 1;
    if (this.#borrowed === 0) return;
    this.#borrowed -= 1;
    this.#post('placeFree');
  }
}

/** The supervisor's side. */
export class PlacePool {
  #left: number;
  readonly #lent = new Map<number, number>();

  constructor(maxConnections: number, processes: number) {
    this.#left = maxConnections - processes * (ownPlaces(maxConnections, processes) ?? 0);
  }

  lend(worker: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= 1;
    this.#lent.set(worker, (this.#lent.get(worker) ?? 0) + 1);
    return true;
  }

  takeBack(worker: number): void {
    this.#left += 1;
    this.#lent.set(worker, (this.#lent.get(worker) ?? 0) - 1);
  }

  /** A worker has ended with all its connections. */
  takeAllBack(worker: number): void {
    this.#left += this.#lent.get(worker) ?? 0;
    this.#lent.delete(worker);
  }
}
