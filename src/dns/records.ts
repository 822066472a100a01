/**
 * What a look-up in the DNS asks for and what comes of it. A name that does not exist, or has no record of the type, is a
 * firm answer, an empty list.
 */
import type { Answer, Patience } from '../asking/answer.ts';

export interface MailExchanger {
  /** Without trailing dot; `.` is the null MX of RFC 7505. */
  readonly host: string;
  readonly pref: number;
}

/** The record types asked for, with the value of all records of a name. Text is latin1, names have no trailing dot. */
export interface Records {
  /** Addresses in plain text. */
  readonly A: readonly string[];
  readonly AAAA: readonly string[];
  /** In the order in which they are to be tried. */
  readonly MX: readonly MailExchanger[];
  /** One text for each record: its character strings joined (RFC 7208 section 3.3). */
  readonly TXT: readonly string[];
  readonly PTR: readonly string[];
  readonly NS: readonly string[];
}

export const NO_RECORDS: Records = { A: [], AAAA: [], MX: [], TXT: [], PTR: [], NS: [] };

export type RecordType = keyof Records;

/** A source of DNS records: the DNS itself, or what stands in its place. */
export interface RecordSource {
  /** Time after which a look-up is given up, in milliseconds. */
  readonly timeoutMs: number;
  /** What is known without asking; undefined when it has to be asked for. */
  recall<Type extends RecordType>(type: Type, name: string): Answer<Records[Type]> | undefined;
  /**
   * Asks for the records of `name`, which questionName() has made. Never rejects; at the end of the patience it is
   * `unknown`.
   */
  query<Type extends RecordType>(
    type: Type,
    name: string,
    patience: Patience,
  ): Promise<Answer<Records[Type]>>;
}

/** What a look-up is called in a reason. */
export function subject(type: RecordType, name: string): string {
  return `looking up ${type} of ${name}`;
}

/** By preference, ties as they came. The null MX counts only where it stands alone (RFC 7505 section 3). */
export function exchangers(records: readonly { exchange: string; priority: number }[]): Records['MX'] {
  const sorted = records
    .map(({ exchange, priority }) => ({ host: exchange === '' ? '.' : exchange, pref: priority }))
    .sort((one, other) => one.pref - other.pref);
  const real = sorted.filter(({ host }) => host !== '.');
  return real.length > 0 ? real : sorted.slice(0, 1);
}
