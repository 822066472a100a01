/**
 * A header value that is written piece by piece, text that mail cannot carry as encoded words (RFC 2047), folded so that
 * no line has more than 76 columns if it can be helped. Text is latin1; folds are LF.
 */

const MAX_COLUMNS = 76;
/** An encoded word leaves room for the comma or parenthesis behind it. */
const MAX_WORD_END = 74;
/** With less room than this a new line is begun: short words are hard to read. */
const MIN_WORD = 40;

/** One character of UTF-8; its first byte is above 127. */
const CHARACTER = String.raw`[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}`;
const UNITS = new RegExp(`${CHARACTER}|[\\0-\\xff]`, 'g');
const ALL_UTF8 = new RegExp(`^(?:[\\0-\\x7f]|${CHARACTER})*$`);

export function isUtf8(bytes: string): boolean {
  return ALL_UTF8.test(bytes);
}

/** The bytes cut into characters of UTF-8, and single bytes where there is none. */
export function unitsOf(bytes: string): string[] {
  return bytes.match(UNITS) ?? [];
}

/** Whether it is a byte that belongs to no character. */
export function isStray(unit: string): boolean {
  return unit.length === 1 && unit >= '\x80';
}

export class FoldedLines {
  #value = '';
  #column: number;
  #isEmpty = true;
  readonly room: number;

  /**
   * @param column where the value begins: behind the name and the colon
   * @param room bytes that the value may have; more can be put, but isFull says so
   */
  constructor(column: number, room: number) {
    this.#column = column;
    this.room = room;
  }

  get isFull(): boolean {
    return this.#value.length > this.room;
  }

  /** The value as far as its lines have room. */
  get fitting(): string {
    return this.isFull ? this.#value.slice(0, this.#value.lastIndexOf('\n', this.room)) : this.#value;
  }

  get value(): string {
    return this.#value;
  }

  /** Adds text as it is; a fold may be put before the blanks in front of it, but no line has blanks alone. */
  put(blanks: string, text: string): void {
    if (blanks !== '' && text !== '' && this.#column + blanks.length + text.length > MAX_COLUMNS)
      this.#fold();
    this.#add(blanks + text);
  }

  /**
   * Adds text as encoded words. Characters are not divided. Bytes that are no UTF-8 are put into words of the charset
   * unknown-8bit (RFC 1428): nobody can say what they are, and who reads them gets the same bytes.
   *
   * @param blanks in front of the first word; text that follows needs some too
   */
  encode(blanks: string, text: string): void {
    const units = unitsOf(text);
    // Q can be read, more or less, but is long where most bytes are encoded.
    const encoding = base64Length(text) * 1.5 < quotedLength(text) ? 'B' : 'Q';
    let between = blanks;
    for (let i = 0; i < units.length; ) {
      if (between !== '' && MAX_WORD_END - this.#column - between.length < MIN_WORD) this.#fold();
      const room = MAX_WORD_END - this.#column - between.length;
      const charset = charsetFrom(units, i);
      const start = `=?${charset}?${encoding}?`;
      const first = i;
      let bytes = 0;
      let quoted = 0;
      for (; i < units.length; i++) {
        const unit = units[i] ?? '';
        if (unit >= '\x80' && isStray(unit) !== (charset !== 'utf-8')) break;
        bytes += unit.length;
        quoted += quotedLength(unit);
        const length = encoding === 'B' ? Math.ceil(bytes / 3) * 4 : quoted;
        if (i > first && start.length + length + 2 > room) break;
      }
      const part = units.slice(first, i).join('');
      this.#add(`${between}${start}${encoding === 'B' ? base64(part) : quotedText(part)}?=`);
      between = ' ';
    }
  }

  #add(text: string): void {
    this.#value += text;
    this.#column += text.length;
    this.#isEmpty &&= /^[ \t]*$/.test(text);
  }

  /** The first line must not be left empty. */
  #fold(): void {
    if (this.#isEmpty) return;
    this.#value += '\n';
    this.#column = 0;
  }
}

/** The charset for the next units: the first that is no ASCII says. */
function charsetFrom(units: readonly string[], start: number): 'utf-8' | 'unknown-8bit' {
  for (let i = start; i < units.length && i < start + MAX_COLUMNS; i++) {
    const unit = units[i] ?? '';
    if (unit >= '\x80') return isStray(unit) ? 'unknown-8bit' : 'utf-8';
  }
  return 'utf-8';
}

function base64(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('base64');
}

function base64Length(bytes: string): number {
  return Math.ceil(bytes.length / 3) * 4;
}

/** What stands for itself in a Q word, in display names too (RFC 2047, 5). */
const PLAIN_IN_Q = /[A-Za-z0-9!*+\-/ ]/g;

function quotedLength(bytes: string): number {
  return bytes.length * 3 - 2 * (bytes.match(PLAIN_IN_Q)?.length ?? 0);
}

function quotedText(bytes: string): string {
  return bytes.replace(/[^A-Za-z0-9!*+\-/ ]/g, (byte) => `=${hexOf(byte)}`).replaceAll(' ', '_');
}

/** Two digits. */
export function hexOf(byte: string): string {
  return byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0');
}
