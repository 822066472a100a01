/** The lines of a source, with little work for each: most of a message are lines that nobody looks at. */
import { type ByteSource, type Slices, WINDOW } from './byte-source.ts';

/** What is told of each line. `start` and `next` are offsets in the source. */
export interface LineTaker {
  /**
   * @param bytes its first bytes, up to a window of them, without the line end
   * @param start of the line
   * @param next start of the line after it
   * @param ending bytes of its line end: 2 for CR LF, 1 for LF, 0 at the end of the source
   */
  line(bytes: Buffer, start: number, next: number, ending: number): void;
  /** A CR without LF in it, or a NUL. */
  odd(what: 'bare CR' | 'NUL'): void;
}

/** Lines between two yields: each may begin a part. */
const BATCH = 250;
const LF = 10;
const CR = 13;

export function* eachLine(source: ByteSource, from: number, to: number, taker: LineTaker): Slices<void> {
  let position = from;
  let lines = 0;
  while (position < to) {
    const window = source.read(position, Math.min(WINDOW, to - position));
    if (window.length === 0) return;
    const isLast = position + window.length >= to;
    if (window.includes(0)) taker.odd('NUL');
    let used = 0;
    let cr = nextCr(window, 0);
    while (used < window.length) {
      const lf = window.indexOf(LF, used);
      if (lf < 0) break;
      const hasCr = lf > used && window[lf - 1] === CR;
      const end = hasCr ? lf - 1 : lf;
      if (cr < end) taker.odd('bare CR');
      if (cr <= end) cr = nextCr(window, lf);
      taker.line(window.subarray(used, end), position + used, position + lf + 1, hasCr ? 2 : 1);
      used = lf + 1;
      lines += 1;
      if (lines % BATCH === 0) yield;
    }
    if (used === 0 || isLast) {
      // One line that is longer than the window, or the last one, without a line end.
      const start = position + used;
      if (start < to) {
        if (cr < window.length - (isLast ? 0 : 1)) taker.odd('bare CR');
        const after = position + window.length;
        const rest = isLast ? { next: to, ending: 0 } : yield* endOfLine(source, after, to);
        // A source may overwrite what it gave before.
        const first = isLast ? window.subarray(used) : source.read(position, WINDOW);
        taker.line(first, start, rest.next, rest.ending);
        used = rest.next - position;
      }
    }
    position += used;
    yield;
  }
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
