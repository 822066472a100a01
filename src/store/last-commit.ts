/** The last transaction that is in the file of an lmdb environment, as its two first pages have it. */
import { closeSync, openSync, readSync } from 'node:fs';
import { StoreFailure } from './operation.ts';

/** In each of the two pages, in bytes: lmdb's mark, the size of a page, the id of the transaction that wrote it last. */
const MARK_AT = 24;
const PAGE_SIZE_AT = 48;
const ID_AT = 152;
const MARK = 0xbeefc0de;

export class LastCommit {
  readonly #file: number;
  readonly #pageSize: number;
  /** From the id of the first page to that of the second. */
  readonly #ids: Buffer;

  /** @param path of the file of an environment that is open @throws StoreFailure; what the system says */
  constructor(path: string) {
    const file = openSync(path, 'r');
    const head = Buffer.alloc(ID_AT);
    const isWhole = readSync(file, head, 0, ID_AT, 0) === ID_AT;
    if (!isWhole || head.readUInt32LE(MARK_AT) !== MARK) {
      closeSync(file);
      throw new StoreFailure('unavailable', `${path} is not of the form that lmdb writes`);
    }
    this.#file = file;
    this.#pageSize = head.readUInt32LE(PAGE_SIZE_AT);
    this.#ids = Buffer.alloc(this.#pageSize + 8);
  }

  /** Its id. Who has the lock for writers is told the last one. */
  get id(): number {
    readSync(this.#file, this.#ids, 0, this.#ids.length, ID_AT);
    return Math.max(this.#idAt(0), this.#idAt(this.#pageSize));
  }

  close(): void {
    closeSync(this.#file);
  }

  #idAt(offset: number): number {
    return Number(this.#ids.readBigUInt64LE(offset));
  }
}
