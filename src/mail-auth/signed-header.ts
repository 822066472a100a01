/**
 * The header of a message as its signatures cover it (RFC 6376 section 5.4): each field is put into a canonical form
 * once, however many signatures cover it.
 */
import type { Canonicalization } from './body-hash.ts';
import { type Field, lineOf, nameOf, relaxedLine } from './field.ts';

/** Bytes that all signatures of a message together cover; a field that ten cover counts ten times. */
const MOST_BYTES = 256 * 1024;

class CoveredField {
  readonly #field: Field;
  #simple: string | undefined;
  #relaxed: string | undefined;

  constructor(field: Field) {
    this.#field = field;
  }

  get bytes(): number {
    return this.#field.name.length + this.#field.value.length;
  }

  in(form: Canonicalization): string {
    if (form === 'simple') {
      this.#simple ??= lineOf(this.#field);
      return this.#simple;
    }
    this.#relaxed ??= relaxedLine(this.#field);
    return this.#relaxed;
  }
}

export class SignedHeader {
  /** Those that signatures name, in the order of the message. */
  readonly #byName = new Map<string, CoveredField[]>();
  #bytes = 0;

  /** @param names that signatures cover, in lower case */
  constructor(fields: readonly Field[], names: ReadonlySet<string>) {
    // A stranger's fields are many: most are told apart by the length of their name.
    const lengths = new Set([...names].map((name) => name.length));
    for (const field of fields) {
      if (!lengths.has(field.name.length) && !/[ \t]$/.test(field.name)) continue;
      const name = nameOf(field.name);
      if (!names.has(name)) continue;
      const same = this.#byName.get(name);
      if (same === undefined) this.#byName.set(name, [new CoveredField(field)]);
      else same.push(new CoveredField(field));
    }
  }

  /**
   * What a signature signs, in latin1.
   *
   * @param names as it lists them, in lower case: of several fields of a name the last is covered first
   * @param own its field, without the signature
   * @returns undefined where the signatures cover too much
   */
  text(names: readonly string[], form: Canonicalization, own: Field): string | undefined {
    const left = new Map<string, number>();
    let text = '';
    for (const name of names) {
      const there = this.#byName.get(name);
      if (there === undefined) continue;
      const at = (left.get(name) ?? there.length) - 1;
      const field = there[at];
      if (field === undefined) continue;
      left.set(name, at);
      this.#bytes += field.bytes;
      if (this.#bytes > MOST_BYTES) return undefined;
      text += `${field.in(form)}\r\n`;
    }
    return text + new CoveredField(own).in(form);
  }
}
