/** A table in memory: what Postfix's lookup tables have in common. Keys and values are bytes in latin1. */

export interface Table {
  /** Bytes of the value; undefined where the table has none. */
  get(key: string): string | undefined;
  /** How many entries it has. */
  readonly entries: number;
}

/** What is wrong with a table, and where. */
export class TableError extends Error {
  override readonly name = 'TableError';
  /** From 1; 0 where no line is to blame. */
  readonly line: number;

  constructor(message: string, line = 0) {
    super(message);
    this.line = line;
  }
}

const LF = 10;
const HASH = 0x23;

export function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 9 && byte <= 13);
}

/**
 * Without white space at its ends. JavaScript's own trim(), and `\s`, would take a byte 0xA0 for white space, which ends
 * many a letter of UTF-8.
 * @param text latin1
 */
export function trimmed(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(text.charCodeAt(start))) start += 1;
  while (end > start && isSpace(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

/** Logical lines of a table between two yields: few, for the first ones are read by code that is not compiled yet. */
const BATCH = 200;

/**
 * The logical lines of a table as postmap(1) has them: one that begins with white space continues the one before; empty
 * lines and comments are no lines, not even in the middle of one.
 *
 * @param take gets where a line that stands in one piece begins and ends in the bytes, and its number; or the text of one
 *   that was continued
 */
export function* eachTableLine(
  bytes: Buffer,
  take: (start: number, end: number, number: number, joined: string | undefined) => void,
): Generator<void, void, void> {
  let start = -1;
  let end = 0;
  let first = 0;
  let joined: string | undefined;
  let number = 0;
  let count = 0;
  for (let position = 0; position < bytes.length; ) {
    const lf = bytes.indexOf(LF, position);
    const next = lf < 0 ? bytes.length : lf + 1;
    const lineEnd = lf < 0 ? bytes.length : lf;
    number += 1;
    let text = position;
    while (text < lineEnd && isSpace(bytes[text])) text += 1;
    const isNothing = text === lineEnd || bytes[text] === HASH;
    if (!isNothing && text > position && start >= 0) {
      joined = (joined ?? bytes.toString('latin1', start, end)) + bytes.toString('latin1', position, lineEnd);
    } else if (!isNothing) {
      if (start >= 0) take(start, end, first, joined);
      if (text > position)
        throw new TableError('a first line that begins with a blank continues nothing', number);
      start = position;
      end = lineEnd;
      first = number;
      joined = undefined;
    }
    position = next;
    count += 1;
    if (count % BATCH === 0) yield;
  }
  if (start >= 0) take(start, end, first, joined);
}

/**
 * Where the key at the beginning of a line ends: at the first blank that is neither in quotes nor behind a backslash. Quotes
 * and backslashes are part of the key.
 *
 * @returns -1 where quotes are not closed
 */
export function endOfKey(byteAt: (at: number) => number | undefined, start: number, end: number): number {
  let isQuoted = false;
  let at = start;
  for (; at < end; at++) {
    const byte = byteAt(at);
    if (byte === BACKSLASH) at += 1;
    else if (byte === QUOTE) isQuoted = !isQuoted;
    else if (!isQuoted && isSpace(byte)) return at;
  }
  return isQuoted ? -1 : Math.min(at, end);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Key and value of a line. @throws TableError where one is missing */
export function splitLine(text: string, line: number): { key: string; value: string } {
  const end = endOfKey((at) => text.charCodeAt(at), 0, text.length);
  if (end < 0) throw new TableError('a quote without its end', line);
  const value = trimmed(text.slice(end));
  if (value === '') throw new TableError('a key without a value', line);
  return { key: text.slice(0, end), value };
}
