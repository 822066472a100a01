/** A server that a map asks, and what directories and data bases have in common. */
import { type Answer, known, type Patience } from '../asking/answer.ts';
import { expand, type KeyParts, partsOf } from './config-file.ts';

/** What was found under a key; null: it is not there. Keys and values are bytes in latin1. */
export type Found = Answer<string | null>;

export interface MapServer {
  /** What it is and where, without secrets: `ldap at ldap://127.0.0.1:389`. */
  readonly address: string;
  /** Why it does not answer, where it is known without asking. */
  readonly trouble?: string | undefined;
  /**
   * Asks for a key. Never rejects. The outer answer is unknown where the server is away; the inner one where it is there and
   * says that it cannot tell.
   */
  lookUp(key: string, patience: Patience): Promise<Answer<Found>>;
  /** Gives back its connections; they are made again when it is asked again. */
  close(): void;
}

export const NOT_THERE: Found = known(null);

/**
 * The parts of a key, as text; undefined for one that the server cannot have: bytes that are no UTF-8, a NUL, or a domain that
 * is none of those that the file names.
 * @param key latin1: the bytes of UTF-8
 */
export function askableParts(key: string, domains: readonly string[]): KeyParts | undefined {
  const bytes = Buffer.from(key, 'latin1');
  const text = bytes.toString('utf8');
  if (text.includes('\0') || !Buffer.from(text).equals(bytes)) return undefined;
  const parts = partsOf(text);
  if (domains.length === 0) return parts;
  return parts.local !== '' && domains.includes(parts.domain?.toLowerCase() ?? '') ? parts : undefined;
}

/** All values of an answer, in the format of the file, joined as Postfix joins them. */
export function foundOf(values: readonly string[], format: string): Found {
  const texts = values.flatMap((value) =>
    value === '' ? [] : (expand(format, partsOf(value), (piece) => piece) ?? []),
  );
  return known(texts.length === 0 ? null : Buffer.from(texts.join(',')).toString('latin1'));
}
