/** Chains of those who passed a message on: ARC (RFC 8617). */
import { type Answer, known } from '../asking/answer.ts';
import { questionName } from '../dns/name.ts';
import type { Signer } from './dkim-sign.ts';
import type { ArrivingMessage } from './dkim-verify.ts';
import { type Field, parsedField } from './field.ts';
import { type ArcData, loadMailauth } from './mailauth.ts';

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
 * A set of our own for a message as it will be sent.
 *
 * @param fields of that message, in its order
 * @param bodyHash of its body, relaxed, in base64
 * @param chain what its chain was on arrival
 * @param results the value of Authentication-Results, with our name in front
 * @param now milliseconds since the epoch
 * @returns the fields of the set to be put on top, in this order
 */
export async function seal(
  fields: readonly Field[],
  bodyHash: string,
  { domain, selector, key }: Signer,
  chain: ArcWord,
  results: string,
  names: readonly string[],
  now: number,
): Promise<Seal> {
  const { createSeal, getARChain } = loadMailauth();
  const headers = { parsed: fields.map(parsedField) };
  const made = await createSeal(false, {
    headers,
    arc: { chain: chain === 'pass' ? getARChain(headers, { strict: true }) : false },
    seal: {
      signingDomain: domain,
      selector,
      privateKey: key.key.export({ type: 'pkcs8', format: 'pem' }).toString(),
      bodyHash,
      authResults: results.replace(/[\r\n\t ]+/g, ' '),
      cv: chain,
      headerList: names,
      signTime: now,
    },
    strict: true,
  });
  const error = made.errors[0]?.err;
  if (error !== undefined || made.headers.length === 0) return { none: error?.message ?? 'no seal was made' };
  return {
    fields: made.headers.map((line) => {
      const colon = line.indexOf(':');
      return { name: line.slice(0, colon), value: line.slice(colon + 1).replaceAll('\r\n', '\n') };
    }),
  };
}
