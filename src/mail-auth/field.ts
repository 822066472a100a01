/** Header fields as signatures see them: bytes, in the order of the message. */
export interface Field {
  /** In latin1, without colon. */
  readonly name: string;
  /** All after the colon, with the blank it begins with; folds are LF or CRLF. In latin1. */
  readonly value: string;
}

/** `Name: value`, folds with CRLF, none at the end. */
export function lineOf({ name, value }: Field): string {
  return `${name}:${value.replace(/\r?\n/g, '\r\n')}`;
}

/** The relaxed canonical form of a field (RFC 6376 section 3.4.2), without its line end. */
export function relaxedLine({ name, value }: Field): string {
  // A fold is before a blank, with which it becomes one; one that is not is dropped.
  const unfolded = /\n(?![ \t])/.test(value) ? value.replace(/\r?\n/g, '') : value;
  const text = unfolded.replace(/(?:\r?\n|[ \t])+/g, ' ');
  const from = text.startsWith(' ') ? 1 : 0;
  const to = text.length > from && text.endsWith(' ') ? text.length - 1 : text.length;
  return `${lowerCase(name.replace(/[ \t]+$/, ''))}:${text.slice(from, to)}`;
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
