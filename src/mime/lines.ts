/** The lines of a source, with little work for each: most of a message are lines that nobody looks at. */
import { passLines } from './base64-lines.ts';
import { type ByteSource, type Slices, WINDOW } from './byte-source.ts';

/** What is told of each line. `start` and `next` are offsets in the source. */
export interface LineTaker {
  /** Lines that begin with none of the letters of MARKS mean nothing to it now: they are not told. */
  readonly isInBody: boolean;
  /** In a body of base64: lines that can be no delimiter mean nothing to it, and who decodes them finds out what is odd. */
  readonly isInBase64: boolean;
  /**
   * @param bytes its first bytes, up to a window of them, without the line end
   * @param start of the line
   * @param next start of the line after it
   * @param before bytes of the line end in front of it: 2 for CR LF, 1 for LF, 0 at the start
   */
  line(bytes: Buffer, start: number, next: number, before: number): void;
  /** A CR without LF in it, a LF without CR, or a NUL. */
  odd(what: 'bare CR' | 'bare LF' | 'NUL'): void;
}

/** Lines between two yields: each may begin a part. */
const BATCH = 250;
const LF = 10;
const CR = 13;
/** What the lines of a body that are told begin with: delimiters, and the first and last line of a uuencoded file. */
const MARKS = new Uint8Array(256);
for (const mark of '-be') MARKS[mark.charCodeAt(0)] = 1;

export function* eachLine(source: ByteSource, from: number, to: number, taker: LineTaker): Slices<void> {
  let position = from;
  let lines = 0;
  let before = 0;
  while (position < to) {
    const window = source.read(position, Math.min(WINDOW, to - position));
    if (window.length === 0) return;
    const isLast = position + window.length >= to;
    if (window.includes(0)) taker.odd('NUL');
    const breaks = new LineBreaks(window);
    let used = 0;
    let cr = -1;
    while (used < window.length) {
      if (taker.isInBody) {
        const passed = taker.isInBase64 ? passLines(window, used) : used;
        const next = skipUnmarked(window, breaks, passed, taker);
        if (next > used) before = window[next - 2] === CR ? 2 : 1;
        used = next;
      }
      const lf = window.indexOf(LF, used);
      if (lf < 0) break;
      const ending = lf > used && window[lf - 1] === CR ? 2 : 1;
      const end = lf + 1 - ending;
      if (cr < used) cr = nextCr(window, used);
      if (cr < end) taker.odd('bare CR');
      if (ending === 1) taker.odd('bare LF');
      taker.line(window.subarray(used, end), position + used, position + lf + 1, before);
      before = ending;
      used = lf + 1;
      lines += 1;
      if (lines % BATCH === 0) yield;
    }
    if (used === 0 || isLast) {
      // One line that is longer than the window, or the last one, without a line end.
      const start = position + used;
      if (start < to) {
        if (nextCr(window, used) < window.length - (isLast ? 0 : 1)) taker.odd('bare CR');
        const after = position + window.length;
        const rest = isLast ? { next: to, ending: 0 } : yield* endOfLine(source, after, to);
        // A source may overwrite what it gave before.
        const first = isLast ? window.subarray(used) : source.read(position, WINDOW);
        if (rest.ending === 1) taker.odd('bare LF');
        taker.line(first, start, rest.next, before);
        before = rest.ending;
        used = rest.next - position;
      }
    }
    position += used;
    yield;
  }
}

/** Passes over whole lines that are not told. @returns where one that is told begins, or one whose end is not here */
function skipUnmarked(window: Buffer, breaks: LineBreaks, from: number, taker: LineTaker): number {
  let start = from;
  while (start < window.length && MARKS[window[start] as number] === 0) {
    let at = breaks.next(start);
    while (window[at] === CR && at + 1 < window.length && window[at + 1] !== LF) {
      taker.odd('bare CR');
      at = breaks.next(at + 1);
    }
    const lf = window[at] === CR ? at + 1 : at;
    if (lf >= window.length) break;
    if (lf === at) taker.odd('bare LF');
    start = lf + 1;
  }
  return start;
}

/** Finds CR and LF, four bytes at a time: the lines of a message are most of the work on it. */
class LineBreaks {
  readonly #bytes: Buffer;
  /** The same bytes, but for up to three at each end. */
  readonly #words: Int32Array;
  readonly #firstWord: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    this.#firstWord = -bytes.byteOffset & 3;
    const words = Math.max(0, bytes.length - this.#firstWord) >> 2;
    this.#words =
      words > 0 ? new Int32Array(bytes.buffer, bytes.byteOffset + this.#firstWord, words) : NO_WORDS;
  }

  /** The next one at or after `from`; behind the last byte where none is. */
  next(from: number): number {
    const bytes = this.#bytes;
    const words = this.#words;
    const firstWord = this.#firstWord;
    let at = from;
    for (;;) {
      // Up to where words begin, the four bytes of a word that has one of 0 to 31 in it, and the last bytes.
      const stop = Math.min(bytes.length, at + 4 - ((at - firstWord) & 3));
      for (; at < stop; at++) {
        const byte = bytes[at] as number;
        if (byte === LF || byte === CR) return at;
      }
      if (at >= bytes.length) return at;
      let word = (at - firstWord) >> 2;
      while (word < words.length && !hasControl(words[word] as number)) word += 1;
      at = firstWord + word * 4;
    }
  }
}

const NO_WORDS = new Int32Array(0);

/** Whether one of the four bytes is 0 to 31. */
function hasControl(word: number): boolean {
  return ((word - 0x20202020) & ~word & 0x80808080) !== 0;
}

function nextCr(window: Buffer, from: number): number {
  const cr = window.indexOf(CR, from);
  return cr < 0 ? Number.POSITIVE_INFINITY : cr;
}

/** What is behind the next LF at or after `from`, and how many bytes the line end has. */
function* endOfLine(source: ByteSource, from: number, to: number): Slices<{ next: number; ending: number }> {
  for (let position = from; position < to; ) {
    // With the byte before, which may be the CR.
    const window = source.read(position - 1, Math.min(WINDOW, to - position + 1));
    if (window.length < 2) break;
    const lf = window.indexOf(LF, 1);
    if (lf >= 0) return { next: position + lf, ending: window[lf - 1] === CR ? 2 : 1 };
    position += window.length - 1;
    yield;
  }
  return { next: to, ending: 0 };
}
