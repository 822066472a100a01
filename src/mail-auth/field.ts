/** Header fields as signatures see them: bytes, in the order of the message. */
export interface Field {
  /** In latin1, without colon. */
  readonly name: string;
  /** All after the colon, with the blank it begins with; folds are LF or CRLF. In latin1. */
  readonly value: string;
}

const SPACE = 0x20;
const TAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;
const isBlank = (code: number): boolean => code === SPACE || code === TAB;

/** `Name: value`, folds with CRLF, none at the end. */
export function lineOf({ name, value }: Field): string {
  return `${name}:${value.includes('\n') ? withCrlf(value) : value}`;
}

/** A stranger's folds are many: this costs the same for each byte. */
function withCrlf(value: string): string {
  const bytes = Buffer.from(value, 'latin1');
  const lines = Buffer.allocUnsafe(2 * bytes.length);
  let to = 0;
  for (let from = 0; from < bytes.length; from += 1) {
    const code = bytes[from] ?? 0;
    if (code === LF && bytes[from - 1] !== CR) {
      lines[to] = CR;
      to += 1;
    }
    lines[to] = code;
    to += 1;
  }
  return lines.toString('latin1', 0, to);
}

/** The relaxed canonical form of a field (RFC 6376 section 3.4.2), without its line end. */
export function relaxedLine({ name, value }: Field): string {
  return `${nameOf(name)}:${reduced(value)}`;
}

/** A name in lower case, without the blanks before its colon. */
export function nameOf(written: string): string {
  let end = written.length;
  while (end > 0 && isBlank(written.charCodeAt(end - 1))) end -= 1;
  return lowerCase(end === written.length ? written : written.slice(0, end));
}

/** Without line ends, with one blank for each run of them, and none at the ends. */
function reduced(value: string): string {
  const bytes = Buffer.from(value, 'latin1');
  let to = 0;
  let isAfterBlank = false;
  for (let from = 0; from < bytes.length; from += 1) {
    const code = bytes[from] ?? 0;
    if (code === LF || (code === CR && bytes[from + 1] === LF)) continue;
    if (isBlank(code)) {
      isAfterBlank = true;
      continue;
    }
    if (isAfterBlank && to > 0) {
      bytes[to] = SPACE;
      to += 1;
    }
    isAfterBlank = false;
    bytes[to] = code;
    to += 1;
  }
  return bytes.toString('latin1', 0, to);
}

/** Letters of ASCII only: bytes above 127 are no letters. */
export function lowerCase(latin1: string): string {
  // Much faster, and the same for ASCII.
  if (/^[\0-\x7f]*$/.test(latin1)) return latin1.toLowerCase();
  return latin1.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** What of a field is text: UTF-8 where it is not ASCII. @param value in latin1 */
export function textOf(value: string): string {
  return /^[\0-\x7f]*$/.test(value) ? value : Buffer.from(value, 'latin1').toString();
}

/** The bytes of text in UTF-8, as latin1. */
export function bytesOf(text: string): string {
  return /^[\0-\x7f]*$/.test(text) ? text : Buffer.from(text).toString('latin1');
}
