/**
 * A store that lies over another: it reads what the other holds, and keeps what is written to itself, in memory. Nothing
 * ever reaches the other one.
 */
import type { Answer, Patience } from '../asking/answer.ts';
import { lookUp } from './kv.ts';
import type { Operation } from './operation.ts';
import type { Store } from './store.ts';
import type { Stored } from './stored.ts';

/** About what an entry takes beside its bytes. */
const OVERHEAD = 200;

export class OverlayStore implements Store {
  readonly #below: Store;
  readonly #now: () => number;
  readonly #maxBytes: number;
  /** By key in latin1, the oldest first; null: it was taken away. */
  #entries = new Map<string, Stored | null>();
  #bytes = 0;

  /** @param now milliseconds since the epoch @param maxBytes beyond which the oldest entries are forgotten */
  constructor(below: Store, now: () => number, maxBytes: number) {
    this.#below = below;
    this.#now = now;
    this.#maxBytes = maxBytes;
  }

  /** Whether something else was written under one of the keys than stands below. */
  covers(keys: readonly Buffer[]): boolean {
    return this.#entries.size > 0 && keys.some((key) => this.#own(nameOf(key)) !== undefined);
  }

  async run<Result>(operation: Operation<Result>, patience: Patience): Promise<Answer<Result>> {
    const below: (Stored | undefined)[] = [];
    for (const key of operation.keys) {
      if (this.#own(nameOf(key)) !== undefined) below.push(undefined);
      else {
        const found = await this.#below.run(lookUp(key), patience);
        if (found.kind === 'unknown') return found;
        below.push(found.value);
      }
    }
    return this.#carryOut(operation, below);
  }

  now<Result>(operation: Operation<Result>): Answer<Result> | undefined {
    const below: (Stored | undefined)[] = [];
    for (const key of operation.keys) {
      if (this.#own(nameOf(key)) !== undefined) below.push(undefined);
      else {
        const found = this.#below.now?.(lookUp(key));
        if (found?.kind !== 'known') return undefined;
        below.push(found.value);
      }
    }
    return this.#carryOut(operation, below);
  }

  /** Forgets all that was written. */
  clear(): void {
    this.#entries = new Map();
    this.#bytes = 0;
  }

  #carryOut<Result>(operation: Operation<Result>, below: readonly (Stored | undefined)[]): Answer<Result> {
    const { keys } = operation;
    const found = keys.map((key, i) => {
      const own = this.#own(nameOf(key));
      return own === undefined ? below[i] : (own ?? undefined);
    });
    const { answer, writes = [] } = operation.change(found, this.#now());
    keys.forEach((key, i) => {
      const write = writes[i];
      if (write !== undefined && !isSame(write, found[i])) this.#write(nameOf(key), write);
    });
    return answer;
  }

  /** What was written there and has not ended; null where it was taken away. */
  #own(name: string): Stored | null | undefined {
    const own = this.#entries.get(name);
    if (own === undefined || own === null || own.expires > this.#now()) return own;
    this.#forget(name);
    return undefined;
  }

  #write(name: string, write: Stored | null): void {
    this.#forget(name);
    this.#entries.set(name, write);
    this.#bytes += sizeOf(name, write);
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#forget(oldest);
    }
  }

  #forget(name: string): void {
    const own = this.#entries.get(name);
    if (own === undefined) return;
    this.#bytes -= sizeOf(name, own);
    this.#entries.delete(name);
  }
}

/** The key may be a view of a large buffer. */
function nameOf(key: Buffer): string {
  return key.toString('latin1');
}

function sizeOf(name: string, stored: Stored | null): number {
  return name.length + (stored?.data.length ?? 0) + OVERHEAD;
}

function isSame(write: Stored | null, found: Stored | undefined): boolean {
  if (write === null || found === undefined) return write === null && found === undefined;
  return write.expires === found.expires && write.data.equals(found.data);
}
