/** Chains of those who passed a message on: ARC (RFC 8617). */
import { createHash } from 'node:crypto';
import { type Answer, known, unknown } from '../asking/answer.ts';
import { type ArcSet, arcFields, MOST_SETS, readChain, type TaggedField } from './arc-chain.ts';
import { isSignatureOf } from './digest-signature.ts';
import { messageSignature, type Signer, withSignature } from './dkim-sign.ts';
import type { ArrivingMessage } from './dkim-verify.ts';
import { type Field, lowerCase, relaxedLine } from './field.ts';
import { asciiName } from './mailauth.ts';
import { type FoundKey, failureOf, isFor, type KeyPlace, keyName } from './public-keys.ts';

export type ArcWord = 'pass' | 'fail' | 'none';

export interface ArcResult {
  readonly result: ArcWord;
  /** The number of the last set; 0 where there is none. */
  readonly chain: number;
  /** Who made the last seal (`d=`), in lower case, as A-labels. */
  readonly domain: string;
  /** What is wrong with the chain. */
  readonly reason: string;
}

/** After the signatures are verified, for the last of the chain is verified with them. */
export async function checkArc(message: ArrivingMessage): Promise<Answer<ArcResult>> {
  const { chain } = message;
  if (chain === undefined || !message.canVerify) {
    return unknown('limit', 'the chain is too long to be verified');
  }
  if ('broken' in chain) return known(broken(undefined, plain(chain.broken)));
  const { sets } = chain;
  const last = sets.at(-1);
  if (last === undefined) return known({ result: 'none', chain: 0, domain: '', reason: '' });
  const signature = message.chainVerdict;
  // What can pass, and may: where its key could not be had, that decides nothing, and a seal that is wrong does.
  if (signature?.result !== 'pass' && signature?.result !== 'temperror') {
    return known(broken(sets, `i=${sets.length} no valid signature`));
  }
  let failure = failureOf(signature.key);
  const keys = await Promise.all(sets.map(({ seal }) => message.keyOf(placeOf(seal))));
  const digests = sealedDigests(sets);
  for (let at = sets.length - 1; at >= 0; at -= 1) {
    const wrong = faultOf(sets[at], keys[at], digests[at]);
    if (wrong !== undefined) return known(broken(sets, `i=${at + 1} ${wrong}`));
    failure ??= failureOf(keys[at]);
  }
  return failure ?? known({ result: 'pass', chain: sets.length, domain: domainOf(last), reason: '' });
}

/** What is wrong with a seal for good. */
function faultOf(
  set: ArcSet | undefined,
  key: FoundKey | undefined,
  digest: Buffer | undefined,
): string | undefined {
  if (set === undefined || key === undefined || digest === undefined) return 'no seal';
  const { tags } = set.seal;
  if ('none' in key) {
    return key.failure === undefined ? `${key.none} for ${keyName(placeOf(set.seal))}` : undefined;
  }
  if (!isFor(key, tags.get('a'))) return `inappropriate key algorithm for ${keyName(placeOf(set.seal))}`;
  return isSignatureOf(digest, tags.unfolded('b'), key) ? undefined : 'seal signature validation failed';
}

function broken(sets: readonly ArcSet[] | undefined, reason: string): ArcResult {
  return { result: 'fail', chain: sets?.length ?? 0, domain: domainOf(sets?.at(-1)), reason };
}

/** Where the key of a seal is. */
function placeOf({ tags }: TaggedField): KeyPlace {
  return { selector: asciiName(tags.get('s')), domain: asciiName(tags.get('d')) };
}

function domainOf(set: ArcSet | undefined): string {
  return set === undefined ? '' : lowerCase(placeOf(set.seal).domain);
}

/** What a stranger has written is in it. */
function plain(reason: string): string {
  return reason
    .toLowerCase()
    .replace(/["'()]/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 128);
}

/** What each seal signs: all of the sets below, its own, and itself without the signature (RFC 8617 section 5.1.1). */
function sealedDigests(sets: readonly ArcSet[]): Buffer[] {
  const hash = createHash('sha256');
  let below = '';
  return sets.map(({ results, signature, seal }) => {
    hash.update(`${below}${relaxedLine(results)}\r\n${relaxedLine(signature.field)}\r\n`, 'latin1');
    below = `${relaxedLine(seal.field)}\r\n`;
    return hash.copy().update(relaxedLine(seal.tags.unsigned), 'latin1').digest();
  });
}

/** What became of a seal; without one, why. */
export type Seal = { readonly fields: readonly Field[] } | { readonly none: string };

/**
 * A set of our own for a message as it will be sent (RFC 8617 section 5.1). From, Subject, To and Date are covered once
 * more than they are there, as in signatures.
 *
 * @param fields of that message, in its order
 * @param bodyHash of its body, relaxed, in base64
 * @param word what its chain was on arrival
 * @param results the value of Authentication-Results, with our name in front
 * @param names of fields to cover
 * @param now milliseconds since the epoch
 * @returns the fields of the set to be put on top, in this order
 */
export function seal(
  fields: readonly Field[],
  bodyHash: string,
  signer: Signer,
  word: ArcWord,
  results: string,
  names: readonly string[],
  now: number,
): Seal {
  const { highest, cv } = lastSet(fields);
  if (highest >= MOST_SETS) return { none: `its chain has ${highest} sets already` };
  // Section 5.1 step 2.
  if (cv === 'fail') return { none: `the last seal of its chain (i=${highest}) has cv=fail` };
  if ((highest === 0) !== (word === 'none')) return { none: 'its chain is not the one that came' };
  const before = word === 'pass' ? chainOf(fields) : [];
  if (before === undefined) return { none: 'its chain is not the one that came' };
  const i = highest + 1;
  const aar: Field = { name: 'ARC-Authentication-Results', value: ` i=${i}; ${results}` };
  const options = { header: 'relaxed', body: 'relaxed', names, expires: undefined } as const;
  const name = 'ARC-Message-Signature';
  const ams = { name, value: messageSignature(name, `i=${i}`, fields, bodyHash, signer, options, now) };
  const value = [
    ` i=${i}; a=${signer.key.algorithm}; t=${Math.floor(now / 1000)}; cv=${word};`,
    `d=${signer.domain}; s=${signer.selector};`,
    'b=',
  ].join('\n\t');
  const as = { name: 'ARC-Seal', value };
  // A broken chain is no part of what is sealed: nobody could verify that (section 5.1.2).
  const sealed = [...before, aar, ams, as].map(relaxedLine);
  return { fields: [{ ...as, value: withSignature(value, sealed, signer) }, ams, aar] };
}

/** The highest number of a set, 0 without any, and what its seal says of the chain. */
function lastSet(fields: readonly Field[]): { readonly highest: number; readonly cv: string } {
  let last = { highest: 0, cv: '' };
  for (const { kind, field } of arcFields(fields)) {
    const { value } = field;
    const isTagList = kind !== 'arc-authentication-results';
    // In results more may look like a tag, for strangers choose what is in them.
    const [, written = '0'] = (isTagList ? /(?:^|;)\s*i\s*=\s*(\d+)/ : /^\s*i\s*=\s*(\d+)/).exec(value) ?? [];
    const i = Number(written);
    if (i > last.highest) last = { highest: i, cv: '' };
    if (i === last.highest && kind === 'arc-seal') {
      last = { ...last, cv: (/(?:^|;)\s*cv\s*=\s*(\w*)/.exec(value)?.[1] ?? '').toLowerCase() };
    }
  }
  return last;
}

/** The fields of a chain as its seals cover them; undefined where they are none. */
function chainOf(fields: readonly Field[]): readonly Field[] | undefined {
  const chain = readChain(arcFields(fields));
  if ('broken' in chain) return undefined;
  return chain.sets.flatMap(({ results, signature, seal }) => [results, signature.field, seal.field]);
}
