/**
 * Whether a process has the lock for writers of an lmdb environment, without waiting for it: lmdb can only wait.
 *
 * The lock is a word in the lock file, which holds the id of the thread that has it. Where the word stands is found by
 * having the lock; where it is not found this way, nobody is told that it is free.
 *
 * With any descriptor of a file a process gives up its locks on all of it, and who opens the environment next would take
 * its lock file for nobody's: the descriptor is closed when all of this process have closed the environment.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';

/** The head of the lock file: what stands behind it are readers. */
const HEAD_BYTES = 4096;
/** The bits beside the id say that others wait, or that its owner has died: the next one gets it then. */
const OWNER = 0x3fffffff;

/** By their files. */
const locks = new Map<string, WriterLock>();

export class WriterLock {
  readonly #name: string;
  readonly #file: number;
  readonly #word = Buffer.alloc(4);
  readonly #at: number | undefined;
  #users = 0;

  /**
   * @param path of the lock file of an environment that is open @param holding calls `look` while this thread has the lock
   * @throws what the system says
   */
  static of(path: string, holding: (look: () => void) => void): WriterLock {
    const { dev, ino } = statSync(path);
    const name = `${dev}:${ino}`;
    let lock = locks.get(name);
    if (lock === undefined) {
      lock = new WriterLock(name, openSync(path, 'r'), holding);
      locks.set(name, lock);
    }
    lock.#users += 1;
    return lock;
  }

  private constructor(name: string, file: number, holding: (look: () => void) => void) {
    this.#name = name;
    this.#file = file;
    const before = this.#owners();
    let during = before;
    holding(() => {
      during = this.#owners();
    });
    const after = this.#owners();
    const place = during.findIndex(
      (owner, index) => owner === process.pid && before[index] !== owner && after[index] !== owner,
    );
    this.#at = place < 0 ? undefined : place * 4;
  }

  /** Whether it can be told. */
  get isKnown(): boolean {
    return this.#at !== undefined;
  }

  /** Whether it was free a moment ago. */
  get isFree(): boolean {
    if (this.#at === undefined || readSync(this.#file, this.#word, 0, 4, this.#at) < 4) return false;
    return (this.#word.readUInt32LE() & OWNER) === 0;
  }

  /** When the environment is closed. */
  close(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    locks.delete(this.#name);
    closeSync(this.#file);
  }

  #owners(): Uint32Array {
    const head = Buffer.alloc(HEAD_BYTES);
    const length = readSync(this.#file, head, 0, HEAD_BYTES, 0);
    return Uint32Array.from({ length: length >> 2 }, (_, index) => head.readUInt32LE(index * 4) & OWNER);
  }
}
