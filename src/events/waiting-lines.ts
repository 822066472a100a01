/** Lines that wait to be written: so many bytes, and those that do not fit are counted. */

export class WaitingLines {
  readonly #most: number;
  #lines: string[] = [];
  #bytes = 0;
  dropped = 0;

  /** @param most bytes */
  constructor(most: number) {
    this.#most = most;
  }

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  /** Takes a line of ASCII without its end. @returns whether it was kept */
  add(line: string): boolean {
    if (this.#bytes + line.length > this.#most) {
      this.dropped += 1;
      return false;
    }
    this.#lines.push(line);
    this.#bytes += line.length + 1;
    return true;
  }

  /** The first of them with their ends, up to some bytes, and at least one. */
  take(bytes: number): { readonly text: string; readonly lines: number } {
    let count = 0;
    let length = 0;
    for (const line of this.#lines) {
      if (count > 0 && length + line.length >= bytes) break;
      count += 1;
      length += line.length + 1;
    }
    const text = `${this.#lines.slice(0, count).join('\n')}\n`;
    this.#lines = this.#lines.slice(count);
    this.#bytes -= length;
    return { text: count === 0 ? '' : text, lines: count };
  }
}
