/**
 * Bytes that are read piece by piece: a message on disk, or what was decoded from a part of one.
 *
 * Work on them is written as generators: where one yields, whoever drives it may give others their turn. Between two
 * yields lie at most some milliseconds.
 */
import { readSync } from 'node:fs';

/** Work in slices; its return value is the result. */
export type Slices<Result> = Generator<void, Result, void>;

/** Bytes that are looked at between two yields. */
export const WINDOW = 64 * 1024;

export interface ByteSource {
  readonly size: number;
  /** The bytes from `start` on, `length` at most; fewer only at the end. They may be overwritten by the next call. */
  read(start: number, length: number): Buffer;
}

export class MemorySource implements ByteSource {
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(start: number, length: number): Buffer {
    return this.#bytes.subarray(start, start + length);
  }
}

/** Bytes in pieces, one after the other. */
export class PiecesSource implements ByteSource {
  readonly size: number;
  readonly #pieces: readonly Buffer[];
  /** Where each begins. */
  readonly #starts: number[] = [];
  #buffer = Buffer.alloc(0);
  /** The one in which the last read began. */
  #last = 0;

  constructor(pieces: readonly Buffer[]) {
    let size = 0;
    for (const piece of pieces) {
      this.#starts.push(size);
      size += piece.length;
    }
    this.#pieces = pieces;
    this.size = size;
  }

  read(start: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - start));
    if (wanted === 0) return this.#buffer.subarray(0, 0);
    let index = (this.#starts[this.#last] ?? 0) <= start ? this.#last : 0;
    while ((this.#starts[index + 1] ?? Number.POSITIVE_INFINITY) <= start) index += 1;
    this.#last = index;
    const from = start - (this.#starts[index] ?? 0);
    const first = this.#pieces[index] as Buffer;
    if (from + wanted <= first.length) return first.subarray(from, from + wanted);
    if (this.#buffer.length < wanted) this.#buffer = Buffer.allocUnsafe(Math.max(wanted, WINDOW));
    let got = first.copy(this.#buffer, 0, from);
    while (got < wanted) {
      index += 1;
      got += (this.#pieces[index] as Buffer).copy(this.#buffer, got, 0, wanted - got);
    }
    return this.#buffer.subarray(0, wanted);
  }
}

/** An open file. @throws what the system says of a read */
export class FileSource implements ByteSource {
  readonly size: number;
  readonly #descriptor: number;
  #buffer = Buffer.alloc(0);

  /** @param size bytes of the file */
  constructor(descriptor: number, size: number) {
    this.#descriptor = descriptor;
    this.size = size;
  }

  read(start: number, length: number): Buffer {
    const wanted = Math.max(0, Math.min(length, this.size - start));
    if (this.#buffer.length < wanted) this.#buffer = Buffer.allocUnsafe(Math.max(wanted, WINDOW));
    let got = 0;
    while (got < wanted) {
      const count = readSync(this.#descriptor, this.#buffer, got, wanted - got, start + got);
      if (count === 0) break;
      got += count;
    }
    return this.#buffer.subarray(0, got);
  }
}

/** A stretch of another source. */
export class RangeSource implements ByteSource {
  readonly size: number;
  readonly #source: ByteSource;
  readonly #start: number;

  constructor(source: ByteSource, start: number, end: number) {
    this.#source = source;
    this.#start = start;
    this.size = Math.max(0, end - start);
  }

  read(start: number, length: number): Buffer {
    return this.#source.read(this.#start + start, Math.max(0, Math.min(length, this.size - start)));
  }
}

/** Pieces as one buffer, a few bytes at a time: to get the memory takes longer than to copy. */
export function* joined(pieces: readonly Buffer[], size: number): Slices<Buffer> {
  if (size <= WINDOW) return Buffer.concat(pieces, size);
  const all = Buffer.allocUnsafeSlow(size);
  let at = 0;
  let copied = 0;
  for (const piece of pieces) {
    at += piece.copy(all, at);
    if (at - copied < WINDOW) continue;
    copied = at;
    yield;
  }
  return all;
}

/** Runs work to its end where nobody else waits. */
export function finish<Result>(slices: Slices<Result>): Result {
  for (;;) {
    const { value, done } = slices.next();
    if (done) return value;
  }
}
