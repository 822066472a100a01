/** JSON of values whose strings are latin1 bytes, as all text from mail is here: one line of ASCII. */
import { isUtf8 } from 'node:buffer';

/**
 * One line of JSON, ASCII only, so that no log or terminal can mistake it.
 * @param value strings in it are latin1: bytes that are UTF-8 become its characters, others stand for themselves.
 */
export function jsonOf(value: unknown): string {
  return inAscii(
    JSON.stringify(value, (_key, part: unknown) => (typeof part === 'string' ? decoded(part) : part)),
  );
}

/** One line of JSON, ASCII only, of a value whose strings are taken as they are. */
export function asciiJson(value: unknown): string {
  return inAscii(JSON.stringify(value));
}

/**
 * The same in several lines, for people too, with a line end.
 * @param text what becomes of each string in it
 */
export function indentedJson(value: unknown, text: (string: string) => string = (string) => string): string {
  const replace = (_key: string, part: unknown): unknown => (typeof part === 'string' ? text(part) : part);
  return `${inAscii(JSON.stringify(value, replace, 2))}\n`;
}

function inAscii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** The characters that latin1 bytes stand for when they are UTF-8; else the bytes as they are. */
export function decoded(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1) || /[\u0100-\uffff]/.test(latin1)) return latin1;
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : latin1;
}
