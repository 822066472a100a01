/** Chains of those who passed a message on: ARC (RFC 8617). */
import { createHash } from 'node:crypto';
import { type Answer, known } from '../asking/answer.ts';
import { isSignatureOf } from './digest-signature.ts';
import { messageSignature, type Signer, withSignature } from './dkim-sign.ts';
import { type ArrivingMessage, keyName } from './dkim-verify.ts';
import { type Field, fieldOf, lowerCase, parsedField, relaxedLine, withoutSignature } from './field.ts';
import { type ArcSet, loadMailauth } from './mailauth.ts';

/** Of a set, in the order in which a seal covers them. */
const SET_FIELDS = ['arc-authentication-results', 'arc-message-signature', 'arc-seal'] as const;

export type ArcWord = 'pass' | 'fail' | 'none';

export interface ArcResult {
  readonly result: ArcWord;
  /** The number of the last set; 0 where there is none. */
  readonly chain: number;
  /** Who made the last seal (`d=`), in lower case. */
  readonly domain: string;
  /** What is wrong with the chain. */
  readonly reason: string;
}

/** After the signatures are verified, for the last of the chain is verified with them. */
export async function checkArc(message: ArrivingMessage): Promise<Answer<ArcResult>> {
  if (message.hasLongChain) return known(broken(undefined, 'limit: the chain is too long'));
  const { chain, lastEntry, error } = message.arc;
  if (error !== undefined) return known(broken(lastEntry, plain(error.message)));
  if (chain === false || lastEntry === undefined) {
    return known({ result: 'none', chain: 0, domain: '', reason: '' });
  }
  const keys = await Promise.all(chain.map((set) => message.keyOf(set['arc-seal'])));
  // A key that could not be had decides nothing, and what is wrong for good is so without it.
  let failure: Answer<never> | undefined;
  const digests = sealedDigests(chain);
  for (let i = chain.length - 1; i >= 0; i -= 1) {
    const [set, key, digest] = [chain[i], keys[i], digests[i]];
    if (set === undefined || key === undefined || digest === undefined) continue;
    const { parsed } = set['arc-seal'];
    if ('none' in key) {
      if (key.failure === undefined)
        return known(broken(lastEntry, `${key.none} for ${keyName(set['arc-seal'])}`));
      failure ??= key.failure;
    } else if (!String(parsed.a?.value).toLowerCase().startsWith(key.keyType)) {
      return known(broken(lastEntry, `inappropriate key algorithm for ${keyName(set['arc-seal'])}`));
    } else if (!isSignatureOf(digest, String(parsed.b?.value), key)) {
      return known(broken(lastEntry, `i=${set.i} seal signature validation failed`));
    }
  }
  const signature = message.chainSignature;
  const isUnknown = signature?.result === 'temperror';
  if (signature?.result !== 'pass' && !isUnknown) {
    return known(broken(lastEntry, `i=${lastEntry.i} no valid signature`));
  }
  if (isUnknown && signature.key !== undefined && 'none' in signature.key) failure ??= signature.key.failure;
  if (failure !== undefined) return failure;
  return known({ result: 'pass', chain: lastEntry.i, domain: domainOf(lastEntry), reason: '' });
}

function broken(last: ArcSet | undefined, reason: string): ArcResult {
  return { result: 'fail', chain: last?.i ?? 0, domain: domainOf(last), reason };
}

function domainOf(set: ArcSet | undefined): string {
  return String(set?.['arc-seal'].parsed.d?.value ?? '').toLowerCase();
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
function sealedDigests(chain: readonly ArcSet[]): Buffer[] {
  const hash = createHash('sha256');
  return chain.map((set) => {
    const [results, signature, own] = SET_FIELDS.map((key) => fieldOf(set[key].original));
    if (results === undefined || signature === undefined || own === undefined) throw new Error('no set');
    hash.update(`${relaxedLine(results)}\r\n${relaxedLine(signature)}\r\n`, 'latin1');
    const digest = hash
      .copy()
      .update(relaxedLine(withoutSignature(own)), 'latin1')
      .digest();
    hash.update(`${relaxedLine(own)}\r\n`, 'latin1');
    return digest;
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

/** Section 4.2.1. */
const MOST_SETS = 50;

/** The highest number of a set, 0 without any, and what its seal says of the chain. */
function lastSet(fields: readonly Field[]): { readonly highest: number; readonly cv: string } {
  let last = { highest: 0, cv: '' };
  for (const { name, value } of fields) {
    const key = lowerCase(name.trimEnd());
    const isTagList = key === 'arc-seal' || key === 'arc-message-signature';
    if (!isTagList && key !== 'arc-authentication-results') continue;
    // In results more may look like a tag, for strangers choose what is in them.
    const [, written = '0'] = (isTagList ? /(?:^|;)\s*i\s*=\s*(\d+)/ : /^\s*i\s*=\s*(\d+)/).exec(value) ?? [];
    const i = Number(written);
    if (i > last.highest) last = { highest: i, cv: '' };
    if (i === last.highest && key === 'arc-seal') {
      last = { ...last, cv: (/(?:^|;)\s*cv\s*=\s*(\w*)/.exec(value)?.[1] ?? '').toLowerCase() };
    }
  }
  return last;
}

/** The fields of a chain as its seals cover them; undefined where they are none. */
function chainOf(fields: readonly Field[]): readonly Field[] | undefined {
  let chain: readonly ArcSet[] | false;
  try {
    chain = loadMailauth().getARChain({ parsed: fields.map(parsedField) }, { strict: true });
  } catch {
    return undefined;
  }
  if (chain === false) return undefined;
  return chain.flatMap((set) => SET_FIELDS.map((key) => fieldOf(set[key].original)));
}
