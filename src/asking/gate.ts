/** Lets only so many calls of one service be under way at a time; the others wait for their turn within their own time. */
import { type Answer, type Patience, unknown } from './answer.ts';

export class Gate {
  readonly #most: number;
  readonly #subject: string;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(subject: string, most: number) {
    this.#subject = subject;
    this.#most = most;
  }

  /** @param call is given the time that is left */
  async ask<Value>(
    { timeoutMs, cancelled }: Patience,
    call: (patience: Patience) => Promise<Answer<Value>>,
  ): Promise<Answer<Value>> {
    const end = performance.now() + timeoutMs;
    if (this.#running >= this.#most && !(await this.#turn(timeoutMs, cancelled))) {
      return cancelled.aborted
        ? unknown('unavailable', `${this.#subject}: cancelled`)
        : unknown('timeout', `${this.#subject}: ${this.#most} calls are under way`);
    }
    this.#running += 1;
    try {
      return await call({ timeoutMs: Math.max(1, Math.ceil(end - performance.now())), cancelled });
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Whether a place became free in time. */
  #turn(timeoutMs: number, cancelled: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (isTurn: boolean) => {
        clearTimeout(timer);
        cancelled.removeEventListener('abort', giveUp);
        resolve(isTurn);
      };
      const go = () => settle(true);
      const giveUp = () => {
        const place = this.#waiting.indexOf(go);
        if (place >= 0) this.#waiting.splice(place, 1);
        settle(false);
      };
      const timer = setTimeout(giveUp, timeoutMs);
      cancelled.addEventListener('abort', giveUp, { once: true });
      this.#waiting.push(go);
    });
  }
}
