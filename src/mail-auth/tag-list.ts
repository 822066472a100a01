/** Lists of tags (RFC 6376 section 3.2), as signatures and seals are, read strictly. */
import type { Field } from './field.ts';

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const NAME = /^[A-Za-z][A-Za-z0-9_]*$/;
/** FWS, as it may stand around names and values. */
const isBlank = (code: number): boolean => code === 0x20 || code === 0x09 || code === 0x0d || code === 0x0a;

export class TagList {
  readonly #field: Field;
  readonly #values = new Map<string, string>();
  #hasFault = false;
  /** Where the value of `b=` is, with the blanks around it. */
  #signature: readonly [from: number, to: number] = [0, 0];

  constructor(field: Field) {
    this.#field = field;
    const { value } = field;
    let [begin, equals] = [0, -1];
    for (let at = 0; at <= value.length; at += 1) {
      const code = at < value.length ? value.charCodeAt(at) : SEMICOLON;
      if (code === EQUALS) {
        if (equals < 0) equals = at;
      } else if (code === SEMICOLON) {
        this.#read(begin, equals, at);
        begin = at + 1;
        equals = -1;
      }
    }
  }

  /** Whether it is none: a tag without a name, or with the name of another. */
  get hasFault(): boolean {
    return this.#hasFault;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** A value in latin1, without blanks at its ends; empty where there is no such tag. */
  get(name: string): string {
    return this.#values.get(name) ?? '';
  }

  /** A value in which blanks do not count. */
  unfolded(name: string): string {
    return this.get(name).replace(/[ \t\r\n]+/g, '');
  }

  /** A value in small letters, as the words of the RFC may be written. */
  word(name: string): string {
    return this.get(name).toLowerCase();
  }

  /** The field as its own signature covers it: with an empty `b=` (section 3.7). */
  get unsigned(): Field {
    const { name, value } = this.#field;
    const [from, to] = this.#signature;
    return { name, value: value.slice(0, from) + value.slice(to) };
  }

  #read(begin: number, equals: number, end: number): void {
    const { value } = this.#field;
    if (equals < 0) {
      const isLast = end === value.length;
      // One semicolon may end the list.
      if (!isLast || begin === 0 || trimmed(value, begin, end) !== '') this.#hasFault = true;
      return;
    }
    const name = trimmed(value, begin, equals);
    if (!NAME.test(name) || this.#values.has(name)) this.#hasFault = true;
    // The last of several counts, as far as anything of such a list does.
    this.#values.set(name, trimmed(value, equals + 1, end));
    if (name === 'b') this.#signature = [equals + 1, end];
  }
}

function trimmed(text: string, from: number, to: number): string {
  let [begin, end] = [from, to];
  while (begin < end && isBlank(text.charCodeAt(begin))) begin += 1;
  while (begin < end && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(begin, end);
}
