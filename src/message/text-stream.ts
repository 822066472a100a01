/** Text of any charset, piece by piece, as UTF-8: where a piece ends in the middle of a character, that waits. */
import { type Decoder, decoderOf } from './charset.ts';

/** Bytes of a line that are decoded together where only a line end is known to end a character. */
const LONGEST_LINE = 1024 * 1024;

/** Bytes are latin1 text, and so is the UTF-8 that comes of them. */
export class TextStream {
  readonly #decode: Decoder;
  readonly #cut: (bytes: string) => number;
  #rest = '';
  #isFirst = true;

  /** @param label name of a charset; one that nobody knows is taken for windows-1252 */
  constructor(label: string, first: string) {
    const name = orderOf(label.trim().toLowerCase(), first);
    this.#decode = decoderOf(name) ?? decoderOf('windows-1252') ?? ((bytes) => bytes);
    this.#cut = cutOf(name);
  }

  take(bytes: string): string {
    const all = this.#rest + bytes;
    const cut = this.#cut(all);
    this.#rest = all.slice(cut);
    return cut === 0 ? '' : this.#decoded(all.slice(0, cut));
  }

  end(): string {
    return this.#rest === '' ? '' : this.#decoded(this.#rest);
  }

  /** A byte order mark at the beginning is no text. */
  #decoded(bytes: string): string {
    const text = this.#decode(bytes);
    const hasMark = this.#isFirst && text.startsWith('\xef\xbb\xbf');
    this.#isFirst = false;
    return hasMark ? text.slice(3) : text;
  }
}

/** Text in two or four bytes a letter says its order at the beginning, which the pieces after it do not show. */
function orderOf(label: string, first: string): string {
  if (!/^(?:utf-?16|utf-?32|iso-10646-ucs-2|ucs-?2|unicode)$/.test(label)) return label;
  const width = label.includes('32') ? 32 : 16;
  const isBig = first.startsWith(width === 32 ? '\0\0\xfe\xff' : '\xfe\xff');
  return `utf-${width}${isBig ? 'be' : 'le'}`;
}

function cutOf(charset: string): (bytes: string) => number {
  if (/^utf-?8/.test(charset)) return cutUtf8;
  if (/^utf-?16/.test(charset)) return cutPairs;
  return /^utf-?32/.test(charset) ? (bytes) => bytes.length - (bytes.length % 4) : cutLine;
}

/** Before the first byte of a character that is not whole. */
function cutUtf8(bytes: string): number {
  for (let at = bytes.length - 1; at >= 0 && at >= bytes.length - 3; at--) {
    const byte = bytes.charCodeAt(at);
    if (byte < 0x80) return bytes.length;
    if (byte < 0xc0) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    return at + length > bytes.length ? at : bytes.length;
  }
  return bytes.length;
}

/** Not between the halves of a pair, whose first has 0xd8 to 0xdb in one of its two bytes. */
function cutPairs(bytes: string): number {
  const whole = bytes.length - (bytes.length % 2);
  const isHalf = (at: number) => (bytes.charCodeAt(at) & 0xfc) === 0xd8;
  return whole >= 2 && (isHalf(whole - 2) || isHalf(whole - 1)) ? whole - 2 : whole;
}

function cutLine(bytes: string): number {
  const line = bytes.lastIndexOf('\n') + 1;
  return line === 0 && bytes.length > LONGEST_LINE ? bytes.length : line;
}
