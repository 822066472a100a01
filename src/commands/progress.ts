/** How far a long command is. */

const BAR = 30;

/** On a terminal only, and on standard error: what is printed stays clean. */
export class Progress {
  readonly #total: number;
  readonly #shown = process.stderr.isTTY === true;
  #done = 0;

  constructor(total: number) {
    this.#total = total;
  }

  step(): void {
    this.#done += 1;
    if (!this.#shown) return;
    const filled = Math.floor((this.#done / this.#total) * BAR);
    process.stderr.write(
      `\r[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${this.#done} of ${this.#total}`,
    );
  }

  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
  }
}
