/** The files of ldap_table(5), pgsql_table(5) and mysql_table(5): `name = value`, one a line. */
import { eachTableLine, TableError, trimmed } from './table.ts';

/** Values are text: the file is UTF-8. */
export class ConfigFile {
  readonly #values = new Map<string, string>();

  /** @throws TableError */
  static *read(bytes: Buffer): Generator<void, ConfigFile, void> {
    const file = new ConfigFile();
    yield* eachTableLine(bytes, (start, end, number, joined) => {
      const text = joined ?? bytes.toString('latin1', start, end);
      const [, name, value] = /^([A-Za-z0-9_]+)[ \t-\r]*=(.*)$/s.exec(text) ?? [];
      if (name === undefined || value === undefined) throw new TableError('no name = value', number);
      file.#values.set(name, Buffer.from(trimmed(value), 'latin1').toString('utf8'));
    });
    return file;
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  /** @throws TableError where it is missing */
  require(name: string): string {
    const value = this.#values.get(name);
    if (value === undefined || value === '') throw new TableError(`${name} is missing`);
    return value;
  }

  /** Values that are separated by blanks or commas. */
  list(name: string): string[] {
    return (this.#values.get(name) ?? '').split(/[\s,]+/).filter((value) => value !== '');
  }

  /** @throws TableError where it is no number */
  number(name: string, absent: number): number {
    const value = this.#values.get(name);
    if (value === undefined) return absent;
    if (!/^\d{1,9}$/.test(value)) throw new TableError(`${name} is no number`);
    return Number(value);
  }

  /** What would change the answers and is not done here must not be passed over. @throws TableError */
  refuse(names: readonly string[]): void {
    const given = names.find((name) => this.#values.has(name));
    if (given !== undefined) throw new TableError(`${given} is not supported`);
  }

  flag(name: string): boolean {
    return /^yes$/i.test(this.#values.get(name) ?? '');
  }
}

/** Parts of a key, as the `%` of a query names them. */
export interface KeyParts {
  readonly key: string;
  readonly local: string;
  readonly domain: string | undefined;
}

export function partsOf(key: string): KeyParts {
  const at = key.lastIndexOf('@');
  return at < 0
    ? { key, local: key, domain: undefined }
    : { key, local: key.slice(0, at), domain: key.slice(at + 1) };
}

/**
 * Puts the parts of a key in the place of `%s`, `%u`, `%d` and `%1` to `%9` (labels of the domain from the right).
 *
 * @param put writes one value
 * @returns undefined where the key has not what the template asks for: then there is no answer but "no"
 */
export function expand(
  template: string,
  { key, local, domain }: KeyParts,
  put: (value: string) => string,
): string | undefined {
  let isMissing = false;
  const labels = domain?.split('.').reverse() ?? [];
  const text = template.replace(/%([%sudSUD1-9])/g, (_, letter: string) => {
    const lower = letter.toLowerCase();
    if (letter === '%') return '%';
    const value =
      lower === 's' ? key : lower === 'u' ? local : lower === 'd' ? domain : labels[Number(letter) - 1];
    if (value === undefined || (value === '' && lower !== 's')) isMissing = true;
    return put(value ?? '');
  });
  return isMissing ? undefined : text;
}
