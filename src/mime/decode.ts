/**
 * Transfer encodings (RFC 2045; uuencode) -> bytes, in pieces.
 *
 * Broken text is decoded as far as the most lenient of programs would, and named in the defects.
 */
import { decodeLines } from './base64-lines.ts';
import { joined, RangeSource, type Slices, WINDOW } from './byte-source.ts';
import type { Defect, Encoding, Part } from './part.ts';

/** Bytes that are decoded between two yields: text that is made to harm takes quoted-printable 0.2 µs a byte. */
const WINDOWS: Readonly<Record<Encoding, number>> = {
  base64: WINDOW,
  identity: WINDOW,
  'quoted-printable': WINDOW / 4,
  uuencode: WINDOW / 4,
};

/** Takes the decoded bytes in their order. They may be overwritten when it returns. */
export type Sink = (bytes: Buffer) => void;

/** What the decoder needs of a part. */
type Encoded = Pick<Part, 'source' | 'bodyStart' | 'end' | 'encoding'>;

/** Decodes the body of a part. `enough` ends it early. @param most of its bytes between two yields */
export function* decode(
  part: Encoded,
  sink: Sink,
  defects: Set<Defect>,
  enough: () => boolean = () => false,
  most = WINDOW,
): Slices<void> {
  const body = new RangeSource(part.source, part.bodyStart, part.end);
  const decoder = decoderOf(part.encoding, sink, defects);
  const length = Math.min(most, WINDOWS[part.encoding]);
  for (let position = 0; position < body.size && !enough(); ) {
    const window = body.read(position, length);
    if (window.length === 0) break;
    decoder.take(window);
    position += window.length;
    yield;
  }
  decoder.end();
}

/** All decoded bytes of a part; undefined where they are more than `most`. */
export function* decodedBytes(part: Encoded, most: number, defects: Set<Defect>): Slices<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let size = 0;
  const keep: Sink = (bytes) => {
    size += bytes.length;
    if (size <= most) pieces.push(Buffer.from(bytes));
  };
  yield* decode(part, keep, defects, () => size > most);
  return size > most ? undefined : yield* joined(pieces, size);
}

interface Decoder {
  take(bytes: Buffer): void;
  end(): void;
}

function decoderOf(encoding: Encoding, sink: Sink, defects: Set<Defect>): Decoder {
  switch (encoding) {
    case 'base64':
      return new Base64(sink, defects);
    case 'quoted-printable':
      return new QuotedPrintable(sink, defects);
    case 'uuencode':
      return new Uuencode(sink);
    case 'identity':
      return { take: sink, end: () => {} };
    default:
      return encoding satisfies never;
  }
}

const EQUALS = 0x3d;
const LF = 10;
const CR = 13;

/** What a byte means in base64: a letter's six bits, or one of these. */
const BLANK = 64;
const PADDING = 65;
const JUNK = 66;
const MEANINGS = new Uint8Array(256).fill(JUNK);
for (const [i, letter] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) {
  MEANINGS[letter.charCodeAt(0)] = i;
}
for (const blank of ' \t\n\v\f\r\xa0') MEANINGS[blank.charCodeAt(0)] = BLANK;
MEANINGS['='.charCodeAt(0)] = PADDING;

class Base64 implements Decoder {
  readonly #sink: Sink;
  readonly #defects: Set<Defect>;
  /** Bits of letters that make no whole group of four yet, and how many those are. */
  #bits = 0;
  #letters = 0;
  #isPadded = false;
  /** Whether the byte before was CR. */
  #isBehindCr = false;
  #out = Buffer.alloc(0);

  constructor(sink: Sink, defects: Set<Defect>) {
    this.#sink = sink;
    this.#defects = defects;
  }

  take(bytes: Buffer): void {
    const most = Math.ceil((bytes.length * 3) / 4) + 6;
    if (this.#out.length < most) this.#out = Buffer.allocUnsafe(most);
    const out = this.#out;
    let size = 0;
    let isTried = false;
    for (let at = 0; at < bytes.length; ) {
      if (this.#letters === 0 && !this.#isPadded) {
        const from = at;
        if (!isTried) {
          isTried = true;
          const lines = decodeLines(bytes, at, size === 0 ? out : out.subarray(size));
          at = lines?.end ?? at;
          size += lines?.size ?? 0;
        }
        // Most of the rest are groups of four letters.
        while (at + 4 <= bytes.length) {
          const one = MEANINGS[bytes[at] as number] as number;
          const two = MEANINGS[bytes[at + 1] as number] as number;
          const three = MEANINGS[bytes[at + 2] as number] as number;
          const four = MEANINGS[bytes[at + 3] as number] as number;
          if ((one | two | three | four) >= 64) break;
          out[size++] = (one << 2) | (two >> 4);
          out[size++] = (two << 4) | (three >> 2);
          out[size++] = (three << 6) | four;
          at += 4;
        }
        if (at > from) {
          if (this.#isBehindCr) this.#defects.add('bare CR');
          this.#isBehindCr = false;
          continue;
        }
      }
      const byte = bytes[at] as number;
      if (this.#isBehindCr !== (byte === LF)) this.#defects.add(this.#isBehindCr ? 'bare CR' : 'bare LF');
      this.#isBehindCr = byte === CR;
      size = this.#one(MEANINGS[byte] as number, out, size);
      at += 1;
    }
    if (size > 0) this.#sink(out.subarray(0, size));
  }

  /** Takes one byte by its meaning. @returns the size of `out` then */
  #one(meaning: number, out: Buffer, size: number): number {
    if (meaning === BLANK) return size;
    if (meaning === JUNK) {
      this.#defects.add('junk in base64');
      return size;
    }
    if (meaning === PADDING) {
      const end = this.#flush(out, size);
      this.#isPadded = true;
      return end;
    }
    // Some programs stop at the padding, others go on.
    if (this.#isPadded) this.#defects.add('base64 after its end');
    this.#isPadded = false;
    this.#bits = (this.#bits << 6) | meaning;
    this.#letters += 1;
    if (this.#letters < 4) return size;
    out.writeUIntBE(this.#bits, size, 3);
    this.#bits = 0;
    this.#letters = 0;
    return size + 3;
  }

  end(): void {
    if (this.#isBehindCr) this.#defects.add('bare CR');
    const out = Buffer.alloc(3);
    const size = this.#flush(out, 0);
    if (size > 0) this.#sink(out.subarray(0, size));
  }

  /** One, two or three letters at the end; one alone says nothing. */
  #flush(out: Buffer, from: number): number {
    let size = from;
    if (this.#letters === 1) this.#defects.add('junk in base64');
    if (this.#letters === 2) out[size++] = this.#bits >> 4;
    if (this.#letters === 3) {
      out[size++] = this.#bits >> 10;
      out[size++] = this.#bits >> 2;
    }
    this.#bits = 0;
    this.#letters = 0;
    return size;
  }
}

class QuotedPrintable implements Decoder {
  readonly #sink: Sink;
  readonly #defects: Set<Defect>;
  /** A line whose end has not come yet. */
  #rest = Buffer.alloc(0);

  constructor(sink: Sink, defects: Set<Defect>) {
    this.#sink = sink;
    this.#defects = defects;
  }

  take(bytes: Buffer): void {
    const all = Buffer.concat([this.#rest, bytes]);
    let cut = all.lastIndexOf(LF) + 1;
    if (cut === 0 && all.length >= WINDOWS['quoted-printable']) {
      // A line without end: what may belong to an `=XX` that is not whole waits.
      const equals = all.lastIndexOf(EQUALS);
      cut = equals >= all.length - 2 ? equals : all.length;
    }
    this.#rest = all.subarray(cut);
    if (cut > 0) this.#put(all.subarray(0, cut), false);
  }

  end(): void {
    this.#put(this.#rest, true);
    this.#rest = Buffer.alloc(0);
  }

  #put(bytes: Buffer, isLast: boolean): void {
    const out = Buffer.allocUnsafe(bytes.length);
    let size = 0;
    let position = 0;
    while (position < bytes.length) {
      const byte = bytes[position] ?? 0;
      const isEquals = byte === EQUALS;
      const value = isEquals ? hexAt(bytes, position + 1) : -1;
      if (value >= 0) {
        out[size++] = value;
        position += 3;
        continue;
      }
      if (!isEquals && !isBlank(byte)) {
        out[size++] = byte;
        position += 1;
        continue;
      }
      // Blanks before a line end were put there on the way; a line that ends in `=` goes on with the next.
      const from = position;
      position += 1;
      while (position < bytes.length && isBlank(bytes[position])) position += 1;
      const ending = lineEnd(bytes, position);
      const isAtEnd = ending > 0 || (isLast && position === bytes.length);
      if (isAtEnd) {
        if (isEquals) position += ending;
        continue;
      }
      if (isEquals) this.#defects.add('junk in quoted-printable');
      // A few bytes at a time, mostly one.
      for (let at = from; at < position; at++) out[size++] = bytes[at] as number;
    }
    if (size > 0) this.#sink(out.subarray(0, size));
  }
}

const isBlank = (byte: number | undefined) => byte === 0x20 || byte === 0x09;

/** Bytes of the line end at `at`; 0 where none is. */
function lineEnd(bytes: Buffer, at: number): number {
  if (bytes[at] === LF) return 1;
  return bytes[at] === CR && bytes[at + 1] === LF ? 2 : 0;
}

/** The value of two hexadecimal digits; -1 where they are none. */
function hexAt(bytes: Buffer, at: number): number {
  const value = hexDigit(bytes[at]) * 16 + hexDigit(bytes[at + 1]);
  return value >= 0 ? value : -1;
}

function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return -1000;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1000;
}

/** From the line `begin` to the line `end`; what stands around it is left out. */
class Uuencode implements Decoder {
  readonly #sink: Sink;
  #rest = '';
  #state: 'before' | 'uu' | 'base64' | 'after' = 'before';

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  take(bytes: Buffer): void {
    const lines = (this.#rest + bytes.toString('latin1')).split('\n');
    this.#rest = (lines.pop() ?? '').slice(0, WINDOW);
    const pieces: Buffer[] = [];
    for (const line of lines) {
      const piece = this.#line(line.replace(/\r$/, ''));
      if (piece) pieces.push(piece);
    }
    if (pieces.length > 0) this.#sink(Buffer.concat(pieces));
  }

  end(): void {
    this.take(Buffer.from('\n'));
  }

  #line(line: string): Buffer | undefined {
    switch (this.#state) {
      case 'before':
        if (/^begin [0-7]{3,4} /.test(line)) this.#state = 'uu';
        else if (/^begin-base64 [0-7]{3,4} /.test(line)) this.#state = 'base64';
        return undefined;
      case 'uu':
        if (line !== 'end') return uuLine(line);
        this.#state = 'after';
        return undefined;
      case 'base64':
        if (line !== '====' && line !== 'end')
          return Buffer.from(line.replace(/[^A-Za-z0-9+/=]/g, ''), 'base64');
        this.#state = 'after';
        return undefined;
      default:
        return undefined;
    }
  }
}

/** A line of uuencode: its length in the first character, then groups of four that stand for three bytes. */
function uuLine(line: string): Buffer | undefined {
  const sixBits = (at: number) => ((at < line.length ? line.charCodeAt(at) : 32) - 32) & 63;
  const length = line === '' ? 0 : sixBits(0);
  if (length === 0) return undefined;
  const bytes = Buffer.alloc(Math.ceil(length / 3) * 3);
  for (let group = 0; group * 3 < length; group++) {
    const at = 1 + group * 4;
    const bits = (sixBits(at) << 18) | (sixBits(at + 1) << 12) | (sixBits(at + 2) << 6) | sixBits(at + 3);
    bytes.writeUIntBE(bits, group * 3, 3);
  }
  return bytes.subarray(0, length);
}
