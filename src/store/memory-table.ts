/** Entries in the memory of this process: for one worker, for tests, and for trying a policy. */
import type { Slice, Table } from './local-engine.ts';
import type { Usage } from './operation.ts';

/** About what an entry takes beside its bytes. */
const OVERHEAD = 200;

export class MemoryTable implements Table {
  /** By key in latin1. */
  readonly #entries: Map<string, Buffer>;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxBytes: number, entries: ReadonlyMap<string, Buffer> = new Map()) {
    this.#maxBytes = maxBytes;
    this.#entries = new Map(entries);
    for (const [name, bytes] of entries) this.#bytes += name.length + bytes.length + OVERHEAD;
  }

  /** Another one with the same entries. */
  copy(): MemoryTable {
    return new MemoryTable(this.#maxBytes, this.#entries);
  }

  read(key: Buffer): Buffer | undefined {
    return this.#entries.get(key.toString('latin1'));
  }

  async atomically<T>(step: () => T): Promise<T> {
    return step();
  }

  atOnce<T>(step: () => T): { readonly value: T } {
    return { value: step() };
  }

  write(key: Buffer, bytes: Buffer): void {
    const name = key.toString('latin1');
    const old = this.#entries.get(name);
    this.#bytes += bytes.length - (old?.length ?? -key.length - OVERHEAD);
    this.#entries.set(name, bytes);
  }

  remove(key: Buffer): void {
    const name = key.toString('latin1');
    const old = this.#entries.get(name);
    if (old === undefined) return;
    this.#bytes -= old.length + key.length + OVERHEAD;
    this.#entries.delete(name);
  }

  slice(from: Buffer, count: number): Slice {
    const first = from.toString('latin1');
    const names = [...this.#entries.keys()].filter((name) => name >= first).sort();
    return names.slice(0, count).flatMap((name) => this.#item(name));
  }

  *walk(count: number): Iterable<Slice> {
    let slice: (readonly [Buffer, Buffer])[] = [];
    for (const name of this.#entries.keys()) {
      for (const item of this.#item(name)) slice.push(item);
      if (slice.length < count) continue;
      yield slice;
      slice = [];
    }
    yield slice;
  }

  isFull(bytes: number): boolean {
    return this.#bytes + bytes + OVERHEAD > this.#maxBytes;
  }

  get usage(): Usage {
    return { usedBytes: this.#bytes, maxBytes: this.#maxBytes };
  }

  async close(): Promise<void> {}

  #item(name: string): (readonly [Buffer, Buffer])[] {
    const bytes = this.#entries.get(name);
    return bytes === undefined ? [] : [[Buffer.from(name, 'latin1'), bytes]];
  }
}
