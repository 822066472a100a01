/**
 * One question to the DNS, shared by all who ask it at a time: which server gets a packet when, and what the answer is.
 *
 * - Each try is one packet to one server, and an answer to an earlier try counts as much as one to the last.
 * - A silent server is asked again: the servers in turn, pauses of at first a second (a quarter of the time and less
 *   where that is short), doubled with each round, and at most 5 s. With the time of 5 s that makes n + 2 tries for n
 *   servers. Nobody is asked again for those who have gone.
 * - A server that fails is not asked again, for it would only say the same: the next one is, at once.
 * - The first answer ends the question, and so do failures of all servers. Otherwise those who wait are told of a
 *   failure at the end of their time, and the question listens on until its own time is over, for the cache.
 * - Where this process has been held, or has more to do than it can, what has come in meanwhile is read before anybody is
 *   asked again or given up: packets that are sent again would only make it worse.
 */
import { type Answer, type Failure, type Patience, unknown } from '../asking/answer.ts';

/** An answer as it came, with the seconds it may be kept, where the DNS tells. */
export type Fresh<Value> = Answer<Value> & { readonly ttl?: number };

/** One packet on its way. */
export interface Try<Value> {
  /** Never rejects. A `timeout` only says that this try is not listened to any longer. */
  readonly answer: Promise<Fresh<Value>>;
  /** Nobody wants the answer any more. */
  abandon(): void;
}

/** `again` is true when the name was asked for before, of any server. */
export type Ask<Value> = (server: string, again: boolean) => Try<Value>;

/** Between two tries, in milliseconds. */
const FIRST_PAUSE = 1000;
const LEAST_PAUSE = 50;
/** So that some try is listened to at any time: c-ares may give one up after 5 s. */
const LONGEST_PAUSE = 5000;

export class Question<Value> {
  /** What comes of it in the end. */
  readonly answer: Promise<Fresh<Value>>;
  readonly #servers: readonly string[];
  readonly #ask: Ask<Value>;
  readonly #about: string;
  #settle: (answer: Fresh<Value>) => void = () => {};
  #ended = false;
  readonly #waiting = new Set<(answer: Answer<Value>) => void>();
  /** Tries not answered yet, and their servers. */
  readonly #open = new Map<Try<Value>, string>();
  readonly #failed = new Set<string>();
  #failure: Fresh<Value> | undefined;
  #made = 0;
  /** On the clock of performance.now(). */
  #lastMade = 0;
  /** Before it is doubled. */
  #pauseMs = FIRST_PAUSE;
  #next: Alarm | undefined;
  /** Runs for as long as the question listens though nobody waits. */
  #lifetime: NodeJS.Timeout | undefined;

  /** `about` says in a reason what was asked. */
  constructor(servers: readonly string[], timeoutMs: number, ask: Ask<Value>, about: string) {
    this.#servers = servers;
    this.#ask = ask;
    this.#about = about;
    this.answer = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.#lifetime = setTimeout(() => {
      this.#lifetime = undefined;
      this.#endWhenLeft();
    }, timeoutMs);
  }

  /** Waits for the answer, for as long as the patience lasts. */
  wait({ timeoutMs, cancelled }: Patience): Promise<Answer<Value>> {
    return new Promise((resolve) => {
      const leave = (answer: Answer<Value>): void => {
        alarm.stop();
        cancelled.removeEventListener('abort', give);
        this.#waiting.delete(leave);
        resolve(answer);
      };
      const give = (): void => {
        leave(this.#soFar());
        this.#endWhenLeft();
      };
      const alarm = new Alarm(timeoutMs, give);
      cancelled.addEventListener('abort', give);
      this.#waiting.add(leave);
      if (this.#made === 0) this.#try();
      this.#hurry(timeoutMs);
    });
  }

  /** Tries often enough for one who waits so long. */
  #hurry(timeoutMs: number): void {
    const pauseMs = Math.max(LEAST_PAUSE, Math.min(FIRST_PAUSE, timeoutMs / (this.#servers.length + 3)));
    if (this.#next !== undefined && pauseMs >= this.#pauseMs) return;
    this.#pauseMs = Math.min(pauseMs, this.#pauseMs);
    this.#schedule();
  }

  #schedule(): void {
    this.#next?.stop();
    const round = Math.floor((this.#made - 1) / this.#servers.length);
    const pauseMs = Math.min(LONGEST_PAUSE, this.#pauseMs * 2 ** round);
    this.#next = new Alarm(Math.max(0, this.#lastMade + pauseMs - performance.now()), () => {
      this.#next = undefined;
      if (this.#waiting.size > 0) this.#try();
    });
  }

  /** Asks the next server in turn that has not failed. */
  #try(): void {
    const turn = this.#made % this.#servers.length;
    const inTurn = [...this.#servers.slice(turn), ...this.#servers.slice(0, turn)];
    const server = inTurn.find((candidate) => !this.#failed.has(candidate));
    if (server === undefined) return;
    const made = this.#ask(server, this.#made > 0);
    this.#made += 1;
    this.#lastMade = performance.now();
    this.#open.set(made, server);
    this.#schedule();
    made.answer.then((answer) => this.#hear(made, server, answer));
  }

  #hear(made: Try<Value>, server: string, answer: Fresh<Value>): void {
    if (this.#ended) return;
    this.#open.delete(made);
    if (answer.kind === 'known') {
      this.#end(answer);
      return;
    }
    if (answer.failure === 'timeout') return;
    this.#failure ??= answer;
    this.#failed.add(server);
    const asked = new Set([...this.#failed, ...this.#open.values()]);
    if (asked.size < this.#servers.length) this.#try();
    else if (this.#open.size === 0 && this.#failed.size === this.#servers.length) this.#end(this.#failure);
  }

  /** A server that did say something tells more than one that did not. */
  #soFar(): Fresh<Value> {
    return this.#failure ?? unknown('timeout' satisfies Failure, this.#about);
  }

  #endWhenLeft(): void {
    if (this.#waiting.size === 0 && this.#lifetime === undefined) this.#end(this.#soFar());
  }

  #end(answer: Fresh<Value>): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#next?.stop();
    clearTimeout(this.#lifetime);
    for (const made of this.#open.keys()) made.abandon();
    for (const leave of this.#waiting) leave(answer);
    this.#settle(answer);
  }
}

/** Rings after so many milliseconds, and not before what has come in until then was read. */
class Alarm {
  readonly #timer: NodeJS.Timeout;
  #turn: NodeJS.Immediate | undefined;

  constructor(ms: number, ring: () => void) {
    this.#timer = setTimeout(() => {
      this.#turn = setImmediate(ring);
    }, ms);
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
  }
}
