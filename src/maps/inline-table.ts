/** Postfix's `inline:{ key = value, { key = text with blanks } }`. */
import { type Table, TableError, trimmed } from './table.ts';
import { lowered } from './text-table.ts';

export class InlineTable implements Table {
  readonly #values = new Map<string, string>();

  /** @param text what stands behind `inline:` @throws TableError */
  constructor(text: string) {
    const inner = /^\{(.*)\}$/s.exec(trimmed(text))?.[1];
    if (inner === undefined) throw new TableError('inline: must be followed by { key = value, ... }');
    for (const [, braced, plain] of inner.matchAll(/\{([^{}]*)\}|([^ \t-\r,{}]+)|[{}]/g)) {
      const written = braced ?? plain;
      const [, name = '', after] = /^([^=]*)=(.*)$/s.exec(written ?? '') ?? [];
      const key = trimmed(name);
      if (key === '' || after === undefined) {
        throw new TableError(`inline: ${trimmed(written ?? '') || 'a brace'} is no key = value`);
      }
      const value = trimmed(after);
      if (!this.#values.has(lowered(key))) this.#values.set(lowered(key), value);
    }
    if (this.#values.size === 0) throw new TableError('inline: has no entry');
  }

  get entries(): number {
    return this.#values.size;
  }

  get(key: string): string | undefined {
    return this.#values.get(lowered(key));
  }
}
