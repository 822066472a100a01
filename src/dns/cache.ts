/** Answers kept for as long as they are valid, bounded in number and size: those not used for longest go first. */

interface Entry<Value> {
  readonly value: Value;
  readonly size: number;
  /** On the clock of performance.now(), in milliseconds. */
  readonly expires: number;
}

export class TimedCache<Value> {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry<Value>>();
  #bytes = 0;

  /** `maxBytes` bounds the sum of the sizes that set() is given. */
  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.expires <= performance.now()) {
      this.#bytes -= entry.size;
      return undefined;
    }
    this.#entries.set(key, entry); // The Map is in order of last use.
    return entry.value;
  }

  set(key: string, value: Value, size: number, lifetimeMs: number): void {
    this.#delete(key);
    if (lifetimeMs <= 0 || size > this.#maxBytes) return;
    this.#entries.set(key, { value, size, expires: performance.now() + lifetimeMs });
    this.#bytes += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#maxEntries && this.#bytes <= this.#maxBytes) break;
      this.#delete(oldest);
    }
  }

  #delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#bytes -= entry.size;
    this.#entries.delete(key);
  }
}
