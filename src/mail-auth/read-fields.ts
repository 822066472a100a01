/**
 * The fields of a message that say who sent it, and how much of them is read: a stranger chooses how many there are, and
 * how long.
 */
import { type ArcChain, type ArcField, type ArcKind, arcKindOf, readChain } from './arc-chain.ts';
import { addressesIn, isUnclear } from './author.ts';
import type { Author } from './dmarc.ts';
import { type Field, nameOf } from './field.ts';

/** Signatures that are verified, from the top, and with them those of a chain: ten cost what all else of a message does. */
export const MOST_SIGNATURES = 10;
/** Of the fields that are read tag by tag, in bytes, all of a kind together: no message has as many. */
const MOST_BYTES: Readonly<Record<Kind, number>> = {
  'dkim-signature': 64 * 1024,
  'arc-seal': 64 * 1024,
  'arc-message-signature': 128 * 1024,
  'arc-authentication-results': 16 * 1024,
  from: 4 * 1024,
};
/** Semicolons in a signature or a seal: each ends a tag, of which there are some ten. */
const MOST_TAGS = 100;
/** Marks between addresses in From. */
const MOST_MARKS = 100;

type Kind = ArcKind | 'dkim-signature' | 'from';

/** The fields of a message that are read, within what is read of a kind. */
export class ReadFields {
  readonly #found: { readonly kind: Kind; readonly field: Field }[] = [];
  readonly #bytes = new Map<Kind, number>();

  constructor(fields: readonly Field[]) {
    for (const field of fields) {
      const kind = kindOf(field.name);
      if (kind === undefined) continue;
      this.#found.push({ kind, field });
      this.#bytes.set(kind, (this.#bytes.get(kind) ?? 0) + bytesOf(field));
    }
  }

  /** From that is longer than any counts as a field without an address. */
  author(): Author {
    const isLong = (this.#bytes.get('from') ?? 0) > MOST_BYTES.from;
    const fields = isLong ? [] : this.#of('from');
    const marks = fields.reduce((sum, { value }) => sum + (value.match(/[,:;<]/g)?.length ?? 0), 0);
    if (isLong || marks > MOST_MARKS) return { addresses: [], fields: 0, isUnclear: false };
    return {
      addresses: fields.flatMap(({ value }) => addressesIn(value)),
      fields: fields.length,
      isUnclear: fields.some(({ value }) => isUnclear(value)),
    };
  }

  #of(wanted: Kind): readonly Field[] {
    return this.#found.flatMap(({ kind, field }) => (kind === wanted ? [field] : []));
  }

  /** The first signatures; undefined in place of those that are too long. */
  signatures(): (Field | undefined)[] {
    let read = 0;
    return this.#of('dkim-signature')
      .slice(0, MOST_SIGNATURES)
      .map((field) => {
        const bytes = bytesOf(field);
        if (read + bytes > MOST_BYTES['dkim-signature'] || hasManyTags(field)) return undefined;
        read += bytes;
        return field;
      });
  }

  /** Undefined where its fields are too long, or its seals too many to be verified. */
  chain(): ArcChain | undefined {
    const fields = this.#found.filter(isOfArc);
    // The last signature is one more.
    if (fields.filter(({ kind }) => kind === 'arc-seal').length >= MOST_SIGNATURES) return undefined;
    const isTooLong = fields.some(
      ({ kind, field }) =>
        (this.#bytes.get(kind) ?? 0) > MOST_BYTES[kind] ||
        (kind !== 'arc-authentication-results' && hasManyTags(field)),
    );
    return isTooLong ? undefined : readChain(fields);
  }
}

function kindOf(name: string): Kind | undefined {
  // A stranger's fields are many: few begin like these.
  if (!/^[adf]/i.test(name)) return undefined;
  const written = nameOf(name);
  return written === 'from' || written === 'dkim-signature' ? written : arcKindOf(name);
}

const bytesOf = ({ name, value }: Field): number => name.length + value.length;

function isOfArc(read: { readonly kind: Kind; readonly field: Field }): read is ArcField {
  return read.kind.startsWith('arc-');
}

function hasManyTags({ value }: Field): boolean {
  let tags = 0;
  for (let at = value.indexOf(';'); at >= 0 && tags <= MOST_TAGS; at = value.indexOf(';', at + 1)) tags += 1;
  return tags > MOST_TAGS;
}
