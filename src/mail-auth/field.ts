/** Header fields as signatures see them: bytes, in the order of the message. */
import type { ParsedField } from './mailauth.ts';

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

/** A field of which the bytes are made when they are looked at: a stranger's are many, and signatures cover few. */
class ReadField implements ParsedField {
  readonly casedKey: string;
  readonly key: string;
  readonly #field: Field;
  #line: Buffer | undefined;

  constructor(field: Field) {
    this.#field = field;
    this.casedKey = field.name.replace(/[ \t]+$/, '');
    this.key = lowerCase(this.casedKey);
  }

  get line(): Buffer {
    this.#line ??= Buffer.from(lineOf(this.#field), 'latin1');
    return this.#line;
  }
}

export function parsedField(field: Field): ParsedField {
  return new ReadField(field);
}

/** The field of a line that parsedField has made. */
export function fieldOf(line: Buffer): Field {
  const text = line.toString('latin1');
  const colon = text.indexOf(':');
  return { name: text.slice(0, colon), value: text.slice(colon + 1) };
}

/** A field that signs, as it is covered by itself: with an empty `b=` (RFC 6376 section 3.7). */
export function withoutSignature({ name, value }: Field): Field {
  return { name, value: value.replace(/(^|;)([ \t\r\n]*b[ \t\r\n]*=)[^;]*/, '$1$2') };
}

/** The relaxed canonical form of a field (RFC 6376 section 3.4.2), without its line end. */
export function relaxedLine({ name, value }: Field): string {
  const text = value
    .replace(/\r?\n/g, '')
    .replace(/[ \t]+/g, ' ')
    .replace(/^ /, '')
    .replace(/ $/, '');
  return `${lowerCase(name.replace(/[ \t]+$/, ''))}:${text}`;
}

/** Letters of ASCII only: bytes above 127 are no letters. */
export function lowerCase(latin1: string): string {
  // Much faster, and the same for ASCII.
  if (/^[\0-\x7f]*$/.test(latin1)) return latin1.toLowerCase();
  return latin1.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
