/**
 * A circuit breaker for one service: while it does not answer, nobody waits for it.
 *
 * A call that got no answer in all of its time opens it at once, and so do five other failures in a row. Then calls are
 * `unavailable` at once for 5 s; one call after that is the probe. If it fails too, the pause is 10, 20, and at most 60 s.
 */
import { type Answer, known, unknown } from './answer.ts';

const FAILURES = 5;
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;

/** What is said when a service goes, and when it is back. */
export interface BreakerNews {
  readonly subject: string;
  readonly isOpen: boolean;
  /** Why it has opened: the reason of the last failure. */
  readonly reason: string;
}

export class Breaker {
  readonly #subject: string;
  readonly #tell: (news: BreakerNews) => void;
  readonly #now: () => number;
  #failures = 0;
  #pauseMs = 0;
  #openUntil = 0;
  #isProbing = false;

  /** @param subject names the service: `redis at 127.0.0.1:6379` @param now milliseconds of a clock that never goes back */
  constructor(
    subject: string,
    tell: (news: BreakerNews) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#subject = subject;
    this.#tell = tell;
    this.#now = now;
  }

  /** Whether calls are refused, or one may try whether it is back. */
  get isOpen(): boolean {
    return this.#pauseMs > 0;
  }

  /** Takes note that the service was seen to answer. */
  seen(): void {
    this.#learn(known(undefined));
  }

  /**
   * Calls the service, unless it is known to be away.
   * @param cancelled where it has fired the answer says nothing of the service: strangers who leave must not close it to others
   */
  async ask<Value>(call: () => Promise<Answer<Value>>, cancelled?: AbortSignal): Promise<Answer<Value>> {
    const isProbe = this.isOpen;
    if (isProbe) {
      const left = this.#openUntil - this.#now();
      if (this.#isProbing || left > 0) {
        const wait = left > 0 ? `, next try in ${Math.ceil(left / 1000)} s` : '';
        return unknown('unavailable', `${this.#subject} does not answer${wait}`);
      }
      this.#isProbing = true;
    }
    try {
      const answer = await call();
      if (cancelled?.aborted !== true) this.#learn(answer);
      return answer;
    } finally {
      if (isProbe) this.#isProbing = false;
    }
  }

  #learn(answer: Answer<unknown>): void {
    if (answer.kind === 'known' || !SILENT.has(answer.failure)) {
      const wasOpen = this.isOpen;
      this.#failures = 0;
      this.#pauseMs = 0;
      if (wasOpen) this.#tell({ subject: this.#subject, isOpen: false, reason: '' });
      return;
    }
    this.#failures += 1;
    const opens = answer.failure === 'timeout' || this.#failures >= FAILURES || this.isOpen;
    if (!opens) return;
    const wasOpen = this.isOpen;
    // Calls that were under way when it opened make the pause no longer.
    if (wasOpen && this.#openUntil > this.#now()) return;
    this.#pauseMs = wasOpen ? Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS) : FIRST_PAUSE_MS;
    this.#openUntil = this.#now() + this.#pauseMs;
    if (!wasOpen) this.#tell({ subject: this.#subject, isOpen: true, reason: answer.reason });
  }
}

/** Failures of the service; what it says of one question (`limit`) is an answer. */
const SILENT: ReadonlySet<string> = new Set(['timeout', 'unavailable', 'protocol', 'servfail', 'refused']);
