/**
 * Hashes of a message's body as it arrives, for signatures (RFC 6376 section 3.4): SHA-256 of the body in one of its two
 * canonical forms, and of its beginning where a signature covers no more (`l=`).
 *
 * Nothing of the body is kept. Text without blanks, as base64 is, is hashed where it lies, and all other text costs little
 * more than SHA-256 alone: see single-blanks.ts.
 *
 * Lines end with CRLF, as both mail servers hand them over; a CR or LF alone is text.
 */
import { createHash, type Hash } from 'node:crypto';
import { singleBlanks } from './single-blanks.ts';

export type Canonicalization = 'simple' | 'relaxed';

/** What is hashed at a time. */
const PIECE_BYTES = 64 * 1024;
/** A body with a longer line is not hashed to its end: no mail program makes one. */
const MAX_LINE = 1024 * 1024;

const SPACE = 0x20;
const TAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;
const LINE_END = Buffer.from('\r\n');
const LONE_CR = Buffer.from('\r');
const BLANK = Buffer.from(' ');
/** Line ends that are hashed at once. */
const MANY_LINE_ENDS = Buffer.alloc(8192, LINE_END);

export class BodyHash {
  readonly #isRelaxed: boolean;
  #hash: Hash = createHash('sha256');
  /** Bytes hashed. */
  #length = 0;
  /** The lengths of which a hash is wanted that have not been reached, the next one first. */
  readonly #wanted: number[];
  readonly #digests = new Map<number, string>();
  #full: string | undefined;

  /** The last byte was a CR, and what it is depends on the next. */
  #heldCr = false;
  /** White space that counts if text follows in its line; only where relaxed. */
  #heldBlank = false;
  /** Line ends that count if text follows. */
  #heldLineEnds = 0;
  /** As it was before line ends that were hashed though nobody knew yet whether text follows. */
  #before: { readonly hash: Hash; readonly length: number } | undefined;

  /** Since the last LF. */
  #lineLength = 0;
  #hasLongLine = false;

  /** @param lengths `l=` of signatures, in bytes of the canonical body */
  constructor(canonicalization: Canonicalization, lengths: readonly number[] = []) {
    this.#isRelaxed = canonicalization === 'relaxed';
    this.#wanted = [...new Set(lengths)].sort((one, other) => one - other);
    this.#digestReached();
  }

  /** Whether a line was too long, so that there is no hash. */
  get hasLongLine(): boolean {
    return this.#hasLongLine;
  }

  /** Of the canonical body, in bytes; right after end(). */
  get length(): number {
    return this.#length;
  }

  update(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      this.#update(bytes.subarray(at, at + PIECE_BYTES));
    }
  }

  #update(chunk: Buffer): void {
    if (this.#tooLong(chunk)) return;
    let start = 0;
    let end = chunk.length;
    if (this.#heldCr) {
      this.#heldCr = false;
      if (chunk[0] === LF) {
        start = 1;
        this.#lines(LINE_END);
      } else {
        this.#lines(LONE_CR);
      }
    }
    if (end > start && chunk[end - 1] === CR) {
      this.#heldCr = true;
      end -= 1;
    }
    if (end > start) this.#lines(chunk.subarray(start, end));
  }

  /** The body is complete. */
  end(): void {
    if (this.#full !== undefined) return;
    if (this.#heldCr) this.#lines(LONE_CR);
    if (this.#before !== undefined) {
      this.#hash = this.#before.hash;
      this.#length = this.#before.length;
    }
    // The empty body is one empty line where simple, and nothing where relaxed.
    if (this.#length > 0 || !this.#isRelaxed) this.#add(LINE_END);
    this.#full = this.#hash.digest('base64');
  }

  /**
   * After end().
   * @param length `l=`; without it all of the body
   * @returns in base64; undefined where the body is shorter, or a line was too long
   */
  digest(length?: number): string | undefined {
    if (this.#hasLongLine) return undefined;
    if (length === undefined) return this.#full;
    return length <= this.#length ? this.#digests.get(length) : undefined;
  }

  /** Whether there is a line that is too long, in what came until now. */
  #tooLong(chunk: Buffer): boolean {
    const first = chunk.indexOf(LF);
    this.#lineLength += first < 0 ? chunk.length : first;
    if (this.#lineLength > MAX_LINE) this.#hasLongLine = true;
    if (first >= 0) this.#lineLength = chunk.length - chunk.lastIndexOf(LF) - 1;
    return this.#hasLongLine;
  }

  /** @param piece does not end with a CR that an LF may follow */
  #lines(piece: Buffer): void {
    if (!this.#isRelaxed) {
      this.#text(piece);
      return;
    }
    let start = 0;
    let end = piece.length;
    if (this.#heldBlank) {
      while (start < end && isBlank(piece[start])) start += 1;
      if (start === end) return;
      this.#heldBlank = false;
      if (!isLineEnd(piece, start)) this.#text(BLANK);
    }
    while (end > start && isBlank(piece[end - 1])) {
      this.#heldBlank = true;
      end -= 1;
    }
    if (start === end) return;
    const text = piece.subarray(start, end);
    this.#text(text.includes(SPACE) || text.includes(TAB) ? singleBlanks(text) : text);
  }

  /** @param bytes canonical, but for line ends at the end of the body */
  #text(bytes: Buffer): void {
    let end = bytes.length;
    while (end >= 2 && isLineEnd(bytes, end - 2)) end -= 2;
    if (end === 0) this.#before ??= { hash: this.#hash.copy(), length: this.#length };
    else this.#before = undefined;
    for (let left = this.#heldLineEnds * 2; left > 0; left -= MANY_LINE_ENDS.length) {
      this.#add(left < MANY_LINE_ENDS.length ? MANY_LINE_ENDS.subarray(0, left) : MANY_LINE_ENDS);
    }
    this.#heldLineEnds = (bytes.length - end) / 2;
    if (end > 0) this.#add(bytes.subarray(0, end));
  }

  #add(bytes: Buffer): void {
    let start = 0;
    for (let next = this.#wanted[0]; next !== undefined; next = this.#wanted[0]) {
      const until = next - this.#length;
      if (until > bytes.length - start) break;
      this.#hash.update(bytes.subarray(start, start + until));
      this.#length = next;
      start += until;
      this.#digestReached();
    }
    if (start === bytes.length) return;
    this.#hash.update(start === 0 ? bytes : bytes.subarray(start));
    this.#length += bytes.length - start;
  }

  #digestReached(): void {
    if (this.#wanted[0] !== this.#length) return;
    this.#wanted.shift();
    this.#digests.set(this.#length, this.#hash.copy().digest('base64'));
  }
}

function isBlank(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB;
}

function isLineEnd(bytes: Buffer, at: number): boolean {
  return bytes[at] === CR && bytes[at + 1] === LF;
}
