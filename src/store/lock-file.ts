/**
 * Two words of the lock file of an lmdb environment, read and mended beside lmdb.
 *
 * Who has the lock for writers: lmdb can only wait for it. The word holds the id of the thread that has it. Where it stands
 * is found by having the lock; where it is not found this way, nobody is told that it is free.
 *
 * Which transaction was the last one: each process that opens the environment sets it to what it has read in the file a
 * moment ago, so that it goes back where others have committed meanwhile. The next writer would then begin at an old state,
 * and write over what was committed since.
 *
 * With any descriptor of a file a process gives up its locks on all of it, and who opens the environment next would take
 * its lock file for nobody's: the descriptor is closed when all of this process have closed the environment.
 */
import { closeSync, openSync, readSync, statSync, writeSync } from 'node:fs';

/** The head of the lock file: what stands behind it are readers. */
const HEAD_BYTES = 4096;
/** The bits beside the id say that others wait, or that its owner has died: the next one gets it then. */
const OWNER = 0x3fffffff;
/** Behind lmdb's mark and the form of the file. */
const LAST_TRANSACTION_AT = 8;

/** By their files. */
const files = new Map<string, LockFile>();

export class LockFile {
  readonly #name: string;
  readonly #file: number;
  readonly #word = Buffer.alloc(4);
  readonly #id = Buffer.alloc(8);
  #ownerAt: number | undefined;
  #users = 0;

  /** @param path of the lock file of an environment that is open @throws what the system says */
  static of(path: string): LockFile {
    const { dev, ino } = statSync(path);
    const name = `${dev}:${ino}`;
    let file = files.get(name);
    if (file === undefined) {
      file = new LockFile(name, openSync(path, 'r+'));
      files.set(name, file);
    }
    file.#users += 1;
    return file;
  }

  private constructor(name: string, file: number) {
    this.#name = name;
    this.#file = file;
  }

  /** Finds the word that says who has the lock. @param holding calls `look` while this thread has it */
  locate(holding: (look: () => void) => void): void {
    if (this.#ownerAt !== undefined) return;
    const before = this.#owners();
    let during = before;
    holding(() => {
      during = this.#owners();
    });
    const after = this.#owners();
    const place = during.findIndex(
      (owner, index) => owner === process.pid && before[index] !== owner && after[index] !== owner,
    );
    if (place >= 0) this.#ownerAt = place * 4;
  }

  /** Whether it can be told who has the lock. */
  get isKnown(): boolean {
    return this.#ownerAt !== undefined;
  }

  /** Whether it was free a moment ago. */
  get isFree(): boolean {
    if (this.#ownerAt === undefined || readSync(this.#file, this.#word, 0, 4, this.#ownerAt) < 4)
      return false;
    return (this.#word.readUInt32LE() & OWNER) === 0;
  }

  /** The transaction after which readers and writers begin. */
  get lastTransaction(): number {
    readSync(this.#file, this.#id, 0, 8, LAST_TRANSACTION_AT);
    return Number(this.#id.readBigUInt64LE());
  }

  set lastTransaction(id: number) {
    this.#id.writeBigUInt64LE(BigInt(id));
    writeSync(this.#file, this.#id, 0, 8, LAST_TRANSACTION_AT);
  }

  /** When the environment is closed. */
  close(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    files.delete(this.#name);
    closeSync(this.#file);
  }

  #owners(): Uint32Array {
    const head = Buffer.alloc(HEAD_BYTES);
    const length = readSync(this.#file, head, 0, HEAD_BYTES, 0);
    return Uint32Array.from({ length: length >> 2 }, (_, index) => head.readUInt32LE(index * 4) & OWNER);
  }
}
