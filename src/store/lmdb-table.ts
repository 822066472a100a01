/**
 * Entries in a file that all processes of a machine share, by lmdb: the only file that knows it.
 *
 * - This thread makes a transaction, and at once where the lock for writers is free: to hand it to lmdb's thread and back
 *   takes ten times the CPU time. Where somebody has the lock, who may be stopped, it looks again later, and what is asked
 *   for meanwhile is one transaction. lmdb's thread makes them for a while after the disk has held this one up.
 * - In a transaction of lmdb's thread an error does not take back what was written before: a step computes, then writes.
 * - Where a commit of that thread fails (a full disk) a second promise, `commitError`, is rejected too, and would end the
 *   process; so would the promise of lmdb's own batch of an event turn, which nobody gets: there are no such batches.
 * - A commit is in the system's memory, where it outlives the process, and reaches the disk within half a minute: to wait
 *   for the disk each time took ten times the CPU time. What the power takes is mended by damage.ts.
 * - The size of the map bounds nothing: whether the store is full is counted here, by the pages in use. The file itself
 *   never shrinks, and its free pages are used again.
 * - Who closes it last destroys its locks, also of one who is just opening it: both is done alone, see opening.ts.
 * - Who opens it sets the number of the last transaction to what it read a moment before (lmdb 3.5.6, mdb_env_open2), so that
 *   a writer could begin at an old state and write over what others have committed. Each transaction looks whether what it
 *   begins at is what the file has; if not, it writes nothing, the number is put right, and another one is made.
 * - A process that ends while lmdb's thread has a transaction hangs, or is ended by a signal: it is waited for, and it is
 *   given none that would wait for the lock.
 */
import { statfsSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { RootDatabase } from 'lmdb';
import { LastCommit } from './last-commit.ts';
import { behind, type Slice, type Table } from './local-engine.ts';
import { LockFile } from './lock-file.ts';
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
/** Between two looks whether the lock is free. */
const LONGEST_PAUSE_MS = 16;
/** Steps of one transaction: some 1 ms of work. */
const MOST_STEPS = 200;
/** A transaction that took so long was held up, and the next ones are made elsewhere for a while. */
const HELD_UP_MS = 50;
const ELSEWHERE_MS = 5000;
/** For lmdb: the transaction is over when the call returns. */
const SYNCHRONOUS = 2;
/** At an old state it begins only while others open the file, each time for microseconds. */
const MOST_TRIES = 20;
const BEHIND = 'others open the file at this moment, again and again';

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

/** What is to be done in a transaction, and who waits for its end. */
interface Step {
  /** Returns what is to be called when its writes are safe. */
  readonly run: () => () => void;
  readonly fail: (error: unknown) => void;
}

export class LmdbTable implements Table {
  readonly #db: Database;
  readonly #path: string;
  readonly #file: string;
  readonly #maxBytes: number;
  /** Undefined where nothing is written and the lock file cannot be. */
  readonly #lock: LockFile | undefined;
  readonly #commit: LastCommit;
  #steps: Step[] = [];
  /** The transaction that lmdb's thread makes. */
  #elsewhere: Promise<void> | undefined;
  #elsewhereUntil = 0;
  #closing: Promise<void> | undefined;
  /** What has not begun then is not done. */
  #isGivenUp = false;
  #isFull = false;
  #checked = 0;
  #written = 0;

  /** @throws StoreFailure; what the system or lmdb says @param path of its directory @param readOnly writes will fail */
  constructor(path: string, maxBytes: number, readOnly = false) {
    const db = openDatabase(path, readOnly);
    db.readerCheck();
    this.#db = db;
    this.#path = path;
    this.#file = join(path, DATA_FILE);
    this.#maxBytes = maxBytes;
    this.#commit = new LastCommit(this.#file);
    this.#lock = lockFile(join(path, LOCK_FILE), readOnly);
    if (!readOnly) this.#lock?.locate((look) => db.transactionSync(look, SYNCHRONOUS));
    if (this.#lock !== undefined) this.#putRight(this.#lock);
  }

  /** After our opening: others may commit meanwhile, and say so themselves. */
  #putRight(lock: LockFile): void {
    for (let id = this.#commit.id; lock.lastTransaction < id; id = this.#commit.id) {
      lock.lastTransaction = id;
    }
  }

  read(key: Buffer): Buffer | undefined {
    return this.#db.get(key);
  }

  atomically<T>(step: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const run = () => {
        const result = step();
        return () => resolve(result);
      };
      const isFirst = this.#steps.push({ run, fail: reject }) === 1;
      if (isFirst && this.#elsewhere === undefined) this.#beginSoon();
    });
  }

  /** When the turn is over in which it is called. */
  #beginSoon(): void {
    setImmediate(() => this.#begin());
  }

  atOnce<T>(step: () => T): { readonly value: T } | undefined {
    if (this.#elsewhere !== undefined || this.#steps.length > 0) return undefined;
    if (!this.#mayCommitHere || this.#lock?.isFree !== true) return undefined;
    try {
      return { value: this.#transact(step) };
    } catch (error) {
      throw failureOf(error, this.#file);
    }
  }

  get #mayCommitHere(): boolean {
    return this.#lock?.isKnown === true && performance.now() >= this.#elsewhereUntil;
  }

  /** @param pauseMs until it looks again, where somebody has the lock */
  #begin(pauseMs = 1): void {
    if (this.#isGivenUp) return;
    if (this.#lock?.isKnown === true && !this.#lock.isFree) {
      setTimeout(() => this.#begin(Math.min(pauseMs * 2, LONGEST_PAUSE_MS)), pauseMs);
      return;
    }
    const steps = this.#steps.splice(0, MOST_STEPS);
    if (this.#mayCommitHere) {
      this.#commitHere(steps);
      if (this.#steps.length > 0) this.#beginSoon();
      return;
    }
    this.#elsewhere = this.#commitElsewhere(steps).finally(() => {
      this.#elsewhere = undefined;
      if (this.#steps.length > 0) this.#begin();
    });
  }

  #commitHere(steps: readonly Step[]): void {
    try {
      for (const end of this.#transact(() => steps.map(({ run }) => run()))) end();
    } catch (error) {
      const failure = failureOf(error, this.#file);
      for (const { fail } of steps) fail(failure);
    }
  }

  /** On this thread, which must not wait for the lock. Where it throws nothing is written. */
  #transact<T>(step: () => T): T {
    const began = performance.now();
    try {
      for (let tries = 0; tries < MOST_TRIES; tries++) {
        const done = this.#db.transactionSync(
          () => (this.#isAtNewest() ? { value: step() } : undefined),
          SYNCHRONOUS,
        );
        if (done !== undefined) return done.value;
      }
      throw new StoreFailure('unavailable', BEHIND);
    } finally {
      const now = performance.now();
      if (now - began > HELD_UP_MS) this.#elsewhereUntil = now + ELSEWHERE_MS;
    }
  }

  /** Within a transaction that has written nothing: whether it begins at what was committed last. */
  #isAtNewest(): boolean {
    const { id } = this.#commit;
    if (this.#db.getWriteTxnId() === id + 1) return true;
    if (this.#lock !== undefined) this.#lock.lastTransaction = id;
    return false;
  }

  /** Never rejects. */
  async #commitElsewhere(steps: readonly Step[]): Promise<void> {
    const all = () =>
      steps.map(({ run, fail }) => {
        try {
          return run();
        } catch (error) {
          return () => fail(failureOf(error, this.#file));
        }
      });
    try {
      let ends: (() => void)[] | undefined;
      for (let tries = 0; tries < MOST_TRIES && ends === undefined; tries++) {
        ends = await this.#db.transaction(() => (this.#isAtNewest() ? all() : undefined));
      }
      if (ends === undefined) throw new StoreFailure('unavailable', BEHIND);
      for (const end of ends) end();
    } catch (error) {
      const failure = failureOf(await causeOf(error), this.#file);
      for (const { fail } of steps) fail(failure);
    }
  }

  /** Within a transaction. */
  write(key: Buffer, bytes: Buffer): void {
    void this.#db.put(key, bytes);
  }

  remove(key: Buffer): void {
    void this.#db.remove(key);
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
    // Another process may have the lock for writers, and be stopped.
    this.#closing ??= this.#end();
    await Promise.race([this.#closing, pause(CLOSE_MS, undefined, { ref: false })]);
    this.#isGivenUp = true;
  }

  async #end(): Promise<void> {
    while (this.#elsewhere !== undefined || this.#steps.length > 0) {
      if (this.#isGivenUp) return;
      await (this.#elsewhere ?? pause(1));
    }
    await alone(this.#path, () => this.#db.close());
    this.#commit.close();
    this.#lock?.close();
  }
}

/** Who only reads may be where nothing can be written. @throws what the system says, to who writes */
function lockFile(path: string, readOnly: boolean): LockFile | undefined {
  try {
    return LockFile.of(path);
  } catch (error) {
    if (readOnly) return undefined;
    throw error;
  }
}

interface Statistics {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

/** What failed in the transaction of lmdb's thread, which tells it later. */
async function causeOf(error: unknown): Promise<unknown> {
  const commit = error instanceof Error && 'commitError' in error ? error.commitError : undefined;
  return commit instanceof Promise
    ? Promise.race([commit.catch((reason: unknown) => reason), pause(10, error, { ref: false })])
    : error;
}

/** Why a transaction failed. What a full disk took a part of is an I/O error to lmdb. */
function failureOf(error: unknown, file: string): StoreFailure {
  if (error instanceof StoreFailure) return error;
  const text = error instanceof Error ? error.message : String(error);
  const isFull = /no space/i.test(text) || /ENOSPC/.test(text) || isDiskFull(file);
  return isFull
    ? new StoreFailure('limit', 'no space left on the device')
    : new StoreFailure('unavailable', text);
}

function isDiskFull(file: string): boolean {
  const { bavail, bsize } = statfsSync(file);
  return bavail * bsize < LEAST_FREE_BYTES;
}
