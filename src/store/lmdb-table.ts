/**
 * Entries in a file that all processes of a machine share, by lmdb: the only file that knows it.
 *
 * - `transactionSync` is never used: `close` would hang after it, and files of several processes broke.
 * - A step computes before it writes: an error in a transaction does not take back what was written before.
 * - Where a commit fails (a full disk) a second promise, `commitError`, is rejected too, and would end the process; so would
 *   the promise of the batch of an event turn, which nobody gets: there are no such batches.
 * - A commit is in the system's memory, where it outlives the process, and reaches the disk within half a minute: to wait
 *   for the disk each time took ten times the CPU time. What the power takes is mended by damage.ts.
 * - The size of the map bounds nothing: whether the store is full is counted here, by the pages in use. The file itself
 *   never shrinks, and its free pages are used again.
 * - Who closes it last destroys its locks, also of one who is just opening it: both is done alone, see opening.ts. A process
 *   does not open again what it has closed: with transactions of the first opening the file of several processes broke.
 */
import { statfsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { RootDatabase } from 'lmdb';
import { behind, type Slice, type Table } from './local-engine.ts';
import { alone } from './opening.ts';
import { StoreFailure, type Usage } from './operation.ts';

export const DATA_FILE = 'data.mdb';
export const LOCK_FILE = 'lock.mdb';

const CHECK_MS = 1000;
/** Written since the last look, after which the size is looked at again. */
const CHECK_BYTES = 1024 * 1024;
/** Part of the limit in use from which a file that has reached it is full: the rest of it is free pages. */
const FULL = 0.8;
/** On a full disk, memory that is mapped to files that have no blocks yet ends the process. */
const LEAST_FREE_BYTES = 1024 * 1024;
const CLOSE_MS = 900;

const require = createRequire(import.meta.url);

type Database = RootDatabase<Buffer, Buffer>;

/** @throws StoreFailure @param path a directory that is there */
export function openDatabase(path: string, readOnly: boolean): Database {
  const { bavail, bsize } = statfsSync(path);
  if (!readOnly && bavail * bsize < LEAST_FREE_BYTES) {
    throw new StoreFailure('unavailable', 'no space left on the device');
  }
  const { open } = require('lmdb') as typeof import('lmdb');
  return open<Buffer, Buffer>({
    path,
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    eventTurnBatching: false,
    overlappingSync: false,
    noSync: true,
    readOnly,
  });
}

export class LmdbTable implements Table {
  readonly #db: Database;
  readonly #path: string;
  readonly #file: string;
  readonly #maxBytes: number;
  /** Transactions that have not come to their end. */
  readonly #underWay = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;
  #isFull = false;
  #checked = 0;
  #written = 0;

  /** @throws StoreFailure; what the system or lmdb says @param path of its directory @param readOnly writes will fail */
  constructor(path: string, maxBytes: number, readOnly = false) {
    this.#db = openDatabase(path, readOnly);
    this.#db.readerCheck();
    this.#path = path;
    this.#file = join(path, DATA_FILE);
    this.#maxBytes = maxBytes;
  }

  read(key: Buffer): Buffer | undefined {
    return this.#db.get(key);
  }

  async atomically<T>(step: () => T): Promise<T> {
    const underWay = this.#db.transaction(step);
    this.#underWay.add(underWay);
    try {
      return await underWay;
    } catch (error) {
      throw await failureOf(error, this.#file);
    } finally {
      this.#underWay.delete(underWay);
    }
  }

  write(key: Buffer, bytes: Buffer): void {
    this.#db.put(key, bytes).catch(silence);
  }

  remove(key: Buffer): void {
    this.#db.remove(key).catch(silence);
  }

  slice(from: Buffer, count: number): Slice {
    return [...this.#db.getRange({ start: from, limit: count })].map(({ key, value }) => [key, value]);
  }

  *walk(count: number): Iterable<Slice> {
    let from: Buffer | undefined = Buffer.alloc(0);
    while (from !== undefined) {
      this.#db.resetReadTxn();
      const slice = this.slice(from, count);
      yield slice;
      const last = slice.at(-1)?.[0];
      from = slice.length < count || last === undefined ? undefined : behind(last);
    }
    this.#db.readerCheck();
  }

  isFull(bytes: number): boolean {
    this.#written += bytes;
    const now = performance.now();
    if (now - this.#checked >= CHECK_MS || this.#written >= CHECK_BYTES) {
      this.#checked = now;
      this.#written = 0;
      const used = this.#usedBytes();
      const size = statSync(this.#file).size;
      this.#isFull = used >= this.#maxBytes || (size >= this.#maxBytes && used >= this.#maxBytes * FULL);
    }
    return this.#isFull;
  }

  get usage(): Usage {
    return { usedBytes: this.#usedBytes(), maxBytes: this.#maxBytes };
  }

  #usedBytes(): number {
    const { treeBranchPageCount, treeLeafPageCount, overflowPages, pageSize } =
      this.#db.getStats() as Statistics;
    return (treeBranchPageCount + treeLeafPageCount + overflowPages) * pageSize;
  }

  async close(): Promise<void> {
    // Another process may hold the lock for writers, and be stopped.
    this.#closing ??= this.#end();
    await Promise.race([this.#closing, pause(CLOSE_MS, undefined, { ref: false })]);
  }

  /** lmdb itself refuses at its closing what has not begun. */
  async #end(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    await alone(this.#path, () => this.#db.close());
  }
}

interface Statistics {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

function silence(error: unknown): void {
  commitErrorOf(error)?.catch(() => {});
}

function commitErrorOf(error: unknown): Promise<unknown> | undefined {
  return error instanceof Error && 'commitError' in error && error.commitError instanceof Promise
    ? error.commitError
    : undefined;
}

/** Why a transaction failed. What a full disk took a part of is an I/O error to lmdb. */
async function failureOf(error: unknown, file: string): Promise<Error> {
  if (error instanceof StoreFailure) return error;
  const commit = commitErrorOf(error);
  const cause = await Promise.race([
    commit?.catch((reason: unknown) => reason),
    pause(10, error, { ref: false }),
  ]);
  const text = cause instanceof Error ? cause.message : String(error);
  const isFull = /no space/i.test(text) || /ENOSPC/.test(text) || isDiskFull(file);
  return isFull
    ? new StoreFailure('limit', 'no space left on the device')
    : new StoreFailure('unavailable', text);
}

function isDiskFull(file: string): boolean {
  const { bavail, bsize } = statfsSync(file);
  return bavail * bsize < LEAST_FREE_BYTES;
}
