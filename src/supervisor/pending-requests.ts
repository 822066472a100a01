/** Requests to another process that may never be answered. */
export class PendingRequests<Answer> {
  readonly #waiting = new Map<number, (answer: Answer | undefined) => void>();
  #last = 0;

  /**
   * @param ask sends the request, under this id.
   * @returns undefined when no answer came in time.
   */
  put(timeoutMs: number, ask: (id: number) => void): Promise<Answer | undefined> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.answer(id, undefined), timeoutMs);
      this.#waiting.set(id, (answer) => {
        clearTimeout(timer);
        resolve(answer);
      });
      ask(id);
    });
  }

  answer(id: number, answer: Answer | undefined): void {
    const settle = this.#waiting.get(id);
    this.#waiting.delete(id);
    settle?.(answer);
  }
}
