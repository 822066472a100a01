/**
 * Postfix's `texthash:` and what `hash:`, `btree:` and `lmdb:` files are made of: `key value`, one a line.
 *
 * The bytes of the file stay as they are; beside them lie the places of its lines, by a hash of their keys. So a million
 * lines take their own size and some ten bytes a line.
 */
import type { Slices } from './networks.ts';
import { eachTableLine, endOfKey, isSpace, splitLine, type Table, TableError } from './table.ts';

/** Lines that were continued, whose text is not in the file in one piece. */
type Joined = Map<string, string>;

export class TextTable implements Table {
  readonly #bytes: Buffer;
  /** Where lines begin, plus 1; 0 is free. A power of two of them. */
  readonly #slots: Uint32Array;
  readonly #joined: Joined = new Map();
  #count = 0;

  /** Reads a table, in slices. @throws TableError */
  static *read(bytes: Buffer): Slices<TextTable> {
    const table = new TextTable(bytes, yield* countLines(bytes));
    yield* eachTableLine(bytes, (start, end, number, joined) => table.#add(start, end, number, joined));
    return table;
  }

  private constructor(bytes: Buffer, lines: number) {
    this.#bytes = bytes;
    this.#slots = new Uint32Array(powerOfTwo(Math.max(16, (lines * 4) / 3 + 1)));
  }

  get entries(): number {
    return this.#count + this.#joined.size;
  }

  get(key: string): string | undefined {
    const wanted = lowered(key);
    const joined = this.#joined.size > 0 ? this.#joined.get(wanted) : undefined;
    if (joined !== undefined) return joined;
    const mask = this.#slots.length - 1;
    for (let slot = hashOf(wanted) & mask; ; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] ?? 0;
      if (place === 0) return undefined;
      if (this.#hasKey(place - 1, wanted)) return this.#valueAt(place - 1 + wanted.length);
    }
  }

  #add(start: number, end: number, number: number, joined: string | undefined): void {
    if (joined !== undefined) {
      const { key, value } = splitLine(joined, number);
      if (this.get(key) === undefined) this.#joined.set(lowered(key), value);
      return;
    }
    const keyEnd = endOfKey(this.#byteAt, start, end);
    if (keyEnd < 0) throw new TableError('a quote without its end', number);
    let value = keyEnd;
    while (value < end && isSpace(this.#bytes[value])) value += 1;
    if (value === end) throw new TableError('a key without a value', number);
    this.#put(start, keyEnd);
  }

  readonly #byteAt = (at: number) => this.#bytes[at];

  /** The first line of a key counts, as in Postfix. */
  #put(start: number, keyEnd: number): void {
    const mask = this.#slots.length - 1;
    for (let slot = this.#hashAt(start, keyEnd) & mask; ; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] ?? 0;
      if (place === 0) {
        this.#slots[slot] = start + 1;
        this.#count += 1;
        return;
      }
      if (this.#sameKey(place - 1, start, keyEnd)) return;
    }
  }

  #hashAt(start: number, end: number): number {
    let hash = 0x811c9dc5;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ lower(this.#bytes[at] ?? 0), 0x01000193);
    return spread(hash);
  }

  #hasKey(start: number, key: string): boolean {
    for (let i = 0; i < key.length; i++) {
      if (lower(this.#bytes[start + i] ?? 0) !== key.charCodeAt(i)) return false;
    }
    // A blank in quotes does not end a key.
    const end = start + key.length;
    return (
      isSpace(this.#bytes[end]) && (!/["\\]/.test(key) || endOfKey(this.#byteAt, start, end + 1) === end)
    );
  }

  #sameKey(one: number, other: number, otherEnd: number): boolean {
    for (let i = 0; other + i < otherEnd; i++) {
      if (lower(this.#bytes[one + i] ?? 0) !== lower(this.#bytes[other + i] ?? 0)) return false;
    }
    return isSpace(this.#bytes[one + otherEnd - other]);
  }

  /** From the first byte that is no blank to the last one of the line. */
  #valueAt(keyEnd: number): string {
    let start = keyEnd;
    while (isSpace(this.#bytes[start])) start += 1;
    const lf = this.#bytes.indexOf(10, start);
    let end = lf < 0 ? this.#bytes.length : lf;
    while (end > start && isSpace(this.#bytes[end - 1])) end -= 1;
    return this.#bytes.toString('latin1', start, end);
  }
}

/** Bytes that are looked through between two yields. */
const PIECE = 16 * 1024;

function* countLines(bytes: Buffer): Slices<number> {
  let lines = 1;
  let piece = PIECE;
  for (let lf = bytes.indexOf(10); lf >= 0; lf = bytes.indexOf(10, lf + 1)) {
    lines += 1;
    if (lf < piece) continue;
    piece = lf + PIECE;
    yield;
  }
  return lines;
}

const lower = (byte: number) => (byte >= 65 && byte <= 90 ? byte + 32 : byte);

/** ASCII letters in lower case. @param text latin1 */
export function lowered(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}

function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return spread(hash);
}

/** All bits have a say in the lowest ones. */
function spread(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}

function powerOfTwo(least: number): number {
  return 2 ** Math.ceil(Math.log2(least));
}
