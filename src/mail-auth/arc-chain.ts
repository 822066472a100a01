/** The sets of a chain, read and put in order (RFC 8617 sections 4.1, 4.2 and 5.2 steps 1 to 3). */
import { type Field, nameOf, textOf } from './field.ts';
import { ALGORITHM, hasWrongNumber, isPlace, SECONDS } from './signature-field.ts';
import { TagList } from './tag-list.ts';

export type ArcKind = 'arc-seal' | 'arc-message-signature' | 'arc-authentication-results';

export interface ArcField {
  readonly kind: ArcKind;
  readonly field: Field;
}

/** A signature or a seal, with its tags. */
export interface TaggedField {
  readonly field: Field;
  readonly tags: TagList;
}

export interface ArcSet {
  readonly results: Field;
  readonly signature: TaggedField;
  readonly seal: TaggedField;
}

/** The sets from the first, none where there is no chain; or why it is broken. */
export type ArcChain = { readonly sets: readonly ArcSet[] } | { readonly broken: string };

/** Section 4.2.1. */
export const MOST_SETS = 50;

/** What each is in a set, and its name in reasons. */
const PLACES = {
  'arc-seal': { key: 'seal', short: 'as' },
  'arc-message-signature': { key: 'signature', short: 'ams' },
  'arc-authentication-results': { key: 'results', short: 'aar' },
} as const satisfies Readonly<Record<ArcKind, { readonly key: keyof ArcSet; readonly short: string }>>;

/** Those of a message that are ARC's, in its order. */
export function arcFields(fields: readonly Field[]): ArcField[] {
  return fields.flatMap((field) => {
    const kind = arcKindOf(field.name);
    return kind === undefined ? [] : [{ kind, field }];
  });
}

export function arcKindOf(name: string): ArcKind | undefined {
  const kind = nameOf(name);
  return Object.hasOwn(PLACES, kind) ? (kind as ArcKind) : undefined;
}

/** Comments, which may be nested nowhere here, and blanks. */
const CFWS = '(?:[ \\t\\r\\n]|\\([^()\\\\]*\\))*';
const INSTANCE = new RegExp(`^${CFWS}i${CFWS}=${CFWS}([0-9]{1,2})${CFWS};`);

interface Collected {
  results?: Field;
  signature?: TaggedField;
  seal?: TaggedField;
}

export function readChain(fields: readonly ArcField[]): ArcChain {
  const sets = new Map<number, Collected>();
  for (const { kind, field } of fields) {
    const { key, short } = PLACES[kind];
    const tagged = kind === 'arc-authentication-results' ? undefined : { field, tags: new TagList(field) };
    const written = tagged === undefined ? INSTANCE.exec(field.value)?.[1] : tagged.tags.get('i');
    const i = /^[0-9]{1,2}$/.test(written ?? '') ? Number(written) : 0;
    if (i < 1 || i > MOST_SETS) return { broken: `invalid ${short} instance` };
    const set = sets.get(i) ?? {};
    sets.set(i, set);
    if (set[key] !== undefined) return { broken: `i=${i} multiple ${kind} values` };
    Object.assign(set, { [key]: tagged ?? field });
  }
  const chain: ArcSet[] = [];
  for (const i of [...sets.keys()].sort((a, b) => a - b)) {
    const expected = chain.length + 1;
    if (i !== expected) return { broken: `i=${i} expected=${expected}` };
    const { seal, signature, results } = sets.get(i) ?? {};
    if (seal === undefined) return { broken: `i=${i} no arc-seal set` };
    if (signature === undefined) return { broken: `i=${i} no arc-message-signature set` };
    if (results === undefined) return { broken: `i=${i} no arc-authentication-results set` };
    const fault = faultOf(seal.tags, signature.tags, i, i === sets.size);
    if (fault !== undefined) return { broken: `i=${i} ${fault}` };
    chain.push({ seal, signature, results });
  }
  return { sets: chain };
}

/** Of the signatures only the newest is verified: the others are covered by seals, and no more than that. */
function faultOf(seal: TagList, signature: TagList, i: number, isNewest: boolean): string | undefined {
  if (seal.hasFault) return 'as syntax error';
  for (const name of ['a', 'b', 'cv', 'd', 's']) if (!seal.has(name)) return `as missing ${name}=`;
  if (seal.has('t') && !SECONDS.test(seal.get('t'))) return 'as invalid t=';
  if (!isPlace(textOf(seal.get('d')), textOf(seal.get('s')))) return 'as invalid d= or s=';
  if (isNewest) {
    if (signature.hasFault || hasWrongNumber(signature)) return 'ams syntax error';
    for (const name of ['a', 'b', 'bh', 'd', 'h', 's'])
      if (!signature.has(name)) return `ams missing ${name}=`;
  }
  if (seal.word('cv') !== (i === 1 ? 'none' : 'pass')) return `cv=${seal.get('cv')}`;
  if (!ALGORITHM.test(seal.get('a'))) return `as unknown algorithm ${seal.get('a')}`;
  if (!ALGORITHM.test(signature.get('a'))) return `ams unknown algorithm ${signature.get('a')}`;
  if (seal.has('h')) return 'unexpected as h';
  if (/(?:^|:)arc-seal(?:$|:)/i.test(signature.unfolded('h'))) return 'invalid ams h';
  return undefined;
}
