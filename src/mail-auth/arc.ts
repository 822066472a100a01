/** Chains of those who passed a message on: ARC (RFC 8617). */
import { type Answer, known } from '../asking/answer.ts';
import { questionName } from '../dns/name.ts';
import { messageSignature, type Signer, withSignature } from './dkim-sign.ts';
import type { ArrivingMessage } from './dkim-verify.ts';
import { type Field, lowerCase, parsedField, relaxedLine } from './field.ts';
import { type ArcData, type ArcSet, loadMailauth } from './mailauth.ts';

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
  const { verifier, lookUps, hasLongChain } = message;
  if (hasLongChain)
    return known({ result: 'fail', chain: 0, domain: '', reason: 'limit: the chain is too long' });
  const { arc } = verifier;
  const { status, i } = await loadMailauth().arc(arc, { resolver: lookUps.resolve, strict: true });
  const last = arc.lastEntry?.['arc-seal'].parsed.d?.value;
  const result = status.result === 'pass' || status.result === 'none' ? status.result : 'fail';
  if (result === 'fail') {
    // mailauth takes each failure for one of the chain: a key that could not be had decides nothing.
    for (const name of keyNames(arc)) {
      const key = await lookUps.ask('TXT', name);
      // A name that cannot be asked for is wrong for good.
      if (key.kind === 'unknown' && questionName(name).kind !== 'unaskable') return key;
    }
  }
  return known({
    result,
    chain: i || 0,
    domain: String(last ?? '').toLowerCase(),
    reason: result === 'fail' ? status.comment || 'no valid chain' : '',
  });
}

/** Of the keys that decide: of all seals, and of the last signature. */
function keyNames({ chain }: ArcData): string[] {
  if (chain === false) return [];
  const last = chain.at(-1)?.['arc-message-signature'];
  return [...chain.map((set) => set['arc-seal']), ...(last === undefined ? [] : [last])].map(
    ({ parsed: { s, d } }) => `${s?.value}._domainkey.${d?.value}`,
  );
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
  return chain.flatMap((set) =>
    [set['arc-authentication-results'], set['arc-message-signature'], set['arc-seal']].map(({ original }) => {
      const line = original.toString('latin1');
      const colon = line.indexOf(':');
      return { name: line.slice(0, colon), value: line.slice(colon + 1) };
    }),
  );
}
