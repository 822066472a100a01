/**
 * Hashes of a message's body as it arrives, for signatures (RFC 6376 section 3.4): SHA-256 of the body in one of its two
 * canonical forms, and of its beginning where a signature covers no more (`l=`).
 *
 * Nothing of the body is kept. Text that is canonical already, as base64 is, is hashed where it lies; what tells that is
 * found by Buffer's own search, so that this costs little more than SHA-256 alone.
 *
 * Lines end with CRLF, as both mail servers hand them over; a CR or LF alone is text.
 */
import { createHash, type Hash } from 'node:crypto';

export type Canonicalization = 'simple' | 'relaxed';

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

  update(chunk: Buffer): void {
    if (chunk.length === 0 || this.#tooLong(chunk)) return;
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
    this.#text(isReduced(text) ? text : reduced(text));
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

/** Whether each run of white space is one space, and none is before a line end. */
function isReduced(bytes: Buffer): boolean {
  if (bytes.includes(TAB)) return false;
  if (!bytes.includes(SPACE)) return true;
  // From the end, for that looks for LF, of which there are fewer than blanks.
  return bytes.lastIndexOf(' \r\n') < 0 && !hasTwoSpaces(bytes);
}

const SPACES = 0x20202020;

/** Whether two spaces stand side by side; now and then also where none do. Four bytes at a time: twice as fast as one by one. */
function hasTwoSpaces(bytes: Buffer): boolean {
  const start = -bytes.byteOffset & 3;
  if (bytes.length < start) return endsTwoSpaces(bytes, 1, bytes.length - 1);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + start, (bytes.length - start) >> 2);
  if (endsTwoSpaces(bytes, 1, start)) return true;
  if (endsTwoSpaces(bytes, start + words.length * 4, bytes.length - 1)) return true;
  let found = 0;
  let before = 0xff;
  for (let i = 0; i < words.length; i += 1) {
    // A byte is 0 here where it is a space, and in `pairs` where the one before it is one too.
    const word = (words[i] ?? 0) ^ SPACES;
    const pairs = word | (word << 8) | before;
    found |= (pairs - 0x01010101) & ~pairs & 0x80808080;
    before = word >>> 24;
  }
  return found !== 0;
}

/** Whether two spaces end at one of the places from `first` to `last`. */
function endsTwoSpaces(bytes: Buffer, first: number, last: number): boolean {
  for (let at = Math.max(1, first); at <= last; at += 1) {
    if (bytes[at] === SPACE && bytes[at - 1] === SPACE) return true;
  }
  return false;
}

/** @param bytes does not end with white space */
function reduced(bytes: Buffer): Buffer {
  const result = Buffer.allocUnsafe(bytes.length);
  let size = 0;
  let blank = false;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at] as number;
    if (byte === SPACE || byte === TAB) {
      blank = true;
      continue;
    }
    if (blank) {
      blank = false;
      if (!isLineEnd(bytes, at)) result[size++] = SPACE;
    }
    result[size++] = byte;
  }
  return result.subarray(0, size);
}
