/**
 * An engine over a table of bytes in this process or machine: what it has in common, in memory and in files.
 *
 * Most operations find nothing to write: they are tried outside of a transaction first, on what stands there now. Those
 * that nearly always write are tried so only where nobody may write at once.
 */
import { type Answer, unknown } from '../asking/answer.ts';
import type { Change, Engine, Entry, Operation, Page, Usage } from './operation.ts';
import { decodeStored, encodeStored, type Stored } from './stored.ts';

/** Entries as bytes, in the order of their keys. */
export interface Table {
  read(key: Buffer): Buffer | undefined;
  /** Runs `step` while nobody else writes. What it reads is up to date. Its writes are safe when the promise resolves. */
  atomically<T>(step: () => T): Promise<T>;
  /** The same before it returns; undefined where somebody would have to be waited for, and nothing was done. */
  atOnce<T>(step: () => T): { readonly value: T } | undefined;
  /** Within a step. */
  write(key: Buffer, bytes: Buffer): void;
  remove(key: Buffer): void;
  /** At most `count` entries from a key on, in the order of their keys. */
  slice(from: Buffer, count: number): Slice;
  /** All entries, in any order, so many at a time. What comes and goes meanwhile may be among them or not. */
  walk(count: number): Iterable<Slice>;
  /** Whether no more may be added. @param bytes about to be */
  isFull(bytes: number): boolean;
  readonly usage: Usage;
  close(): Promise<void>;
}

export type Slice = readonly (readonly [key: Buffer, bytes: Buffer])[];

/** Entries of a slice: some 1 ms of work. */
export const SLICE = 200;

export class LocalEngine implements Engine {
  readonly #table: Table;
  readonly #now: () => number;

  /** @param now milliseconds since the epoch */
  constructor(table: Table, now: () => number) {
    this.#table = table;
    this.#now = now;
  }

  async run<Result>(operation: Operation<Result>): Promise<Answer<Result>> {
    return this.#look(operation) ?? this.#table.atomically(() => this.#carryOut(operation));
  }

  /** The answer, where nobody must be waited for. @throws StoreFailure: nothing was done */
  now<Result>(operation: Operation<Result>): Answer<Result> | undefined {
    const carryOut = () => this.#carryOut(operation);
    if (operation.writesMostly !== true) {
      return this.#look(operation) ?? this.#table.atOnce(carryOut)?.value;
    }
    const done = this.#table.atOnce(carryOut);
    return done === undefined ? this.#look(operation) : done.value;
  }

  /** The answer, where nothing is to be written, or nothing can be. */
  #look<Result>(operation: Operation<Result>): Answer<Result> | undefined {
    const change = this.#change(operation);
    return isWritten(change.writes) ? undefined : change.answer;
  }

  /** Within a step. */
  #carryOut<Result>(operation: Operation<Result>): Answer<Result> {
    const { answer, writes } = this.#change(operation);
    if (writes === undefined) return answer;
    const { keys } = operation;
    for (let i = 0; i < keys.length; i++) {
      const [key, write] = [keys[i], writes[i]];
      if (key === undefined || write === undefined) continue;
      if (write === null) this.#table.remove(key);
      else this.#table.write(key, encodeStored(write));
    }
    return answer;
  }

  async list(prefix: Buffer, from: Buffer = prefix): Promise<Page> {
    const now = this.#now();
    const slice = this.#table.slice(from, SLICE);
    const own = slice.filter(([key]) => key.subarray(0, prefix.length).equals(prefix));
    const last = slice.at(-1)?.[0];
    const isLast = slice.length < SLICE || own.length < slice.length || last === undefined;
    return { entries: own.flatMap(entryAt(now)), next: isLast ? undefined : behind(last) };
  }

  async ping(): Promise<void> {
    await this.#table.atomically(() => {});
  }

  /** Takes away what has ended, in slices between which `pause` lets others work. */
  async sweep(pause: () => Promise<void>): Promise<void> {
    for (const slice of this.#table.walk(SLICE)) {
      const ended = slice.filter(([, bytes]) => decodeStored(bytes, this.#now()) === undefined);
      if (ended.length > 0) {
        await this.#table.atomically(() => {
          for (const [key] of ended) {
            // It may have been written anew since.
            if (decodeStored(this.#table.read(key), this.#now()) === undefined) this.#table.remove(key);
          }
        });
      }
      await pause();
    }
  }

  get usage(): Usage {
    return this.#table.usage;
  }

  get trouble(): undefined {
    return undefined;
  }

  close(): Promise<void> {
    return this.#table.close();
  }

  /** What comes of it, with what stands there: nothing is written where there is no room. */
  #change<Result>(operation: Operation<Result>): Change<Result> {
    const { keys } = operation;
    const now = this.#now();
    const found: (Stored | undefined)[] = keys.map((key) => decodeStored(this.#table.read(key), now));
    const changed = operation.change(found, now);
    const bytes = addedBytes(changed.writes);
    if (bytes === 0 || !this.#table.isFull(bytes)) return changed;
    return { answer: unknown('limit', `${operation.question}: the store is full, see --store-mb`) };
  }
}

type Writes = Change<unknown>['writes'];

function isWritten(writes: Writes): boolean {
  return writes?.some((write) => write !== undefined) === true;
}

function addedBytes(writes: Writes): number {
  let bytes = 0;
  for (const write of writes ?? []) bytes += write?.data.length ?? 0;
  return bytes;
}

function entryAt(now: number): (item: readonly [Buffer, Buffer]) => Entry[] {
  return ([key, bytes]) => {
    const stored = decodeStored(bytes, now);
    return stored === undefined ? [] : [{ key, expires: stored.expires, data: stored.data }];
  };
}

/** The first key behind another. */
export function behind(key: Buffer): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}
