/**
 * Text from outside (mail, scripts, file names, the command line) made harmless for who reads it: it can move no cursor,
 * start no escape sequence, turn no reading direction and begin no line.
 *
 * All output for people goes through here. JSON is ASCII, see json-text.ts, and loses nothing.
 */
import { escapeByte } from './lua-escape.ts';

/** What needs no look, as nearly all texts: printable ASCII. */
const PLAIN = /^[ -~]*$/;

/** In latin1: a character of UTF-8 of several bytes, a control, or a byte that is no UTF-8. */
const UNPLAIN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for.
  /[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|[\x00-\x1f\x7f-\xff]/g;

/** C1, marks and overrides of direction, line and paragraph separators, the byte order mark. */
const HARMFUL = /[\u0080-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/;

/**
 * The text with all that could do harm escaped.
 * @param text latin1, one character a byte; characters above U+00FF stand for their UTF-8 bytes
 * @param escaped is given a control byte, a byte that is no UTF-8, or the bytes of a harmful character
 * @returns latin1
 */
export function harmless(text: string, escaped: (bytes: string) => string): string {
  if (PLAIN.test(text)) return text;
  const latin1 = /[\u0100-\uffff]/.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text;
  return latin1.replace(UNPLAIN, (bytes) =>
    bytes.length === 1 || HARMFUL.test(characterOf(bytes)) ? escaped(bytes) : bytes,
  );
}

/** One line for people, latin1: controls and bytes that are no UTF-8 as `\n`, `\x1b`, harmful characters as `\u{202e}`. */
export function visible(latin1: string): string {
  return harmless(latin1, (bytes) =>
    bytes.length === 1 ? escapeByte(bytes) : `\\u{${characterOf(bytes).codePointAt(0)?.toString(16)}}`,
  );
}

/** The same of text whose characters are Unicode's. */
export function visibleText(text: string): string {
  return PLAIN.test(text) ? text : Buffer.from(visible(latin1Of(text)), 'latin1').toString('utf8');
}

/** The same of several lines, in which tabs stay. */
export function visibleLines(latin1: string): string {
  return latin1.replace(/[^\n\t]+/g, visible);
}

/** The UTF-8 bytes of a text, one character for each. */
export function latin1Of(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function characterOf(utf8: string): string {
  return Buffer.from(utf8, 'latin1').toString('utf8');
}
