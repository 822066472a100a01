/**
 * --max-connections over several processes: permits that are handed out and given back.
 *
 * Each process has some of its own, and asks the supervisor for more. So nobody waits while there are few connections,
 * the bound is never exceeded, and a small bound is exact. Where the supervisor does not answer, a process serves as many
 * as are its share of the whole.
 */

/** One part in this many of the whole is given to the processes in advance, all together. */
const ADVANCE_PART = 8;

/** How many permits each of `processes` has of its own; undefined for no bound. */
export function ownPermits(maxConnections: number, processes: number): number | undefined {
  return maxConnections === 0 ? undefined : Math.floor(maxConnections / (ADVANCE_PART * processes));
}

/** How many permits each of `processes` may take where nobody hands them out. */
export function sharedPermits(maxConnections: number, processes: number): number {
  return Math.max(1, Math.floor(maxConnections / processes));
}

/** A supervisor that takes longer is stopped, or hangs. */
const ANSWER_MS = 1_000;

interface PermitRequest {
  readonly settle: (granted: boolean) => void;
  readonly timer: NodeJS.Timeout;
  /** It was settled without an answer. */
  isOver: boolean;
}

/** The side of a process that serves. */
export class ConnectionPermits {
  readonly #own: number;
  readonly #share: number;
  readonly #post: (kind: 'permitWanted' | 'permitFree') => void;
  readonly #silent: (isSilent: boolean) => void;
  /** Not answered yet, the oldest first. */
  readonly #requests: PermitRequest[] = [];
  #isSilent = false;
  #taken = 0;
  #borrowed = 0;

  /**
   * @param own permits that it need not ask for
   * @param share permits that it may have where nobody answers
   * @param silent is told when the supervisor does not answer, and when it does again
   */
  constructor(
    own: number,
    share: number,
    post: (kind: 'permitWanted' | 'permitFree') => void,
    silent: (isSilent: boolean) => void,
  ) {
    this.#own = own;
    this.#share = share;
    this.#post = post;
    this.#silent = silent;
  }

  /** @returns whether there is one. */
  take(): boolean | Promise<boolean> {
    if (this.#taken - this.#borrowed < this.#own) {
      this.#taken += 1;
      return true;
    }
    if (this.#isSilent) return this.#takeOfShare();
    this.#post('permitWanted');
    return new Promise((settle) => {
      const timer = setTimeout(() => {
        request.isOver = true;
        if (!this.#isSilent) this.#silent(true);
        this.#isSilent = true;
        settle(this.#takeOfShare());
      }, ANSWER_MS);
      const request = { settle, timer, isOver: false };
      this.#requests.push(request);
    });
  }

  #takeOfShare(): boolean {
    if (this.#taken >= this.#share) return false;
    this.#taken += 1;
    return true;
  }

  /** The answer to the oldest question. */
  answered(granted: boolean): void {
    const request = this.#requests.shift();
    if (this.#isSilent) this.#silent(false);
    this.#isSilent = false;
    if (request === undefined || request.isOver) {
      if (granted) this.#post('permitFree');
      return;
    }
    clearTimeout(request.timer);
    if (granted) {
      this.#taken += 1;
      this.#borrowed += 1;
    }
    request.settle(granted);
  }

  free(): void {
    this.#taken -= 1;
    if (this.#borrowed === 0) return;
    this.#borrowed -= 1;
    this.#post('permitFree');
  }
}

/** The supervisor's side. */
export class PermitPool {
  #left: number;
  readonly #lent = new Map<number, number>();

  constructor(maxConnections: number, processes: number) {
    this.#left = maxConnections - processes * (ownPermits(maxConnections, processes) ?? 0);
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
