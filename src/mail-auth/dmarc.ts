/**
 * Whether the author's domain stands behind a message: DMARC (RFC 9989, with its walk up the tree of the DNS).
 */
import { type Answer, known, unknown } from '../asking/answer.ts';
import type { RecordType } from '../dns/records.ts';
import { KeptResults } from './kept-results.ts';
import { LookUpError, LookUps, type Unknown } from './look-ups.ts';
import { loadMailauth, type Resolve } from './mailauth.ts';

export type DmarcWord = 'pass' | 'fail' | 'none' | 'permerror';
export type DmarcPolicy = 'none' | 'quarantine' | 'reject';

export interface DmarcResult {
  readonly result: DmarcWord;
  /** What the domain asks for a message that fails; `none` also where it has no record. */
  readonly policy: DmarcPolicy;
  /** Where the record is; empty where there is none. */
  readonly domain: string;
  /** Bytes in latin1. */
  readonly record: string;
  /** `p`, `sp` and `np` as they count; empty where they are not given. */
  readonly tags: { readonly p: string; readonly sp: string; readonly np: string };
  /** Why there is no answer (permerror). */
  readonly reason: string;
  /** The domains of signatures that are aligned with the author's. */
  readonly aligned: ReadonlySet<string>;
}

/** Domains that stand behind a message. */
export interface Identifiers {
  readonly spf: readonly string[];
  readonly dkim: readonly string[];
}

/** Those of which it could not be found out, and why. */
export interface Undecided extends Identifiers {
  readonly why: Unknown | undefined;
}

/** Who From names. */
export interface Author {
  readonly addresses: readonly string[];
  /** How many From fields there are. */
  readonly fields: number;
  /** Whether From can be read in several ways. */
  readonly isUnclear?: boolean;
}

/**
 * @param passed domains that SPF or a signature has confirmed
 * @param undecided those of which that could not be found out: where one could turn the result, it is unknown
 */
export async function checkDmarc(
  author: Author,
  passed: Identifiers,
  undecided: Undecided,
  lookUps: LookUps,
): Promise<Answer<DmarcResult>> {
  if (author.isUnclear || hasUnaskable(author)) return known(permerror('invalid author domain'));
  const result = await evaluate(author, passed, lookUps);
  if (result.kind === 'unknown' || result.value.result !== 'fail') return result;
  if (undecided.why === undefined) return result;
  const all = {
    spf: [...passed.spf, ...undecided.spf],
    dkim: [...passed.dkim, ...undecided.dkim],
  };
  const best = await evaluate(author, all, lookUps);
  if (best.kind === 'known' && best.value.result === 'fail') return result;
  return undecided.why;
}

const NOTHING = { policy: 'none', domain: '', record: '', tags: { p: '', sp: '', np: '' } } as const;

function permerror(reason: string): DmarcResult {
  return { ...NOTHING, result: 'permerror', reason, aligned: new Set() };
}

/** Letters of ASCII that no domain has: its record could never be asked for. */
function hasUnaskable({ addresses }: Author): boolean {
  return addresses.some((address) => /[!#$%&'+=?^`{|}~]/.test(address.slice(address.lastIndexOf('@') + 1)));
}

/** By author and identifiers. */
const kept = new KeptResults<DmarcResult>();

async function evaluate(
  author: Author,
  identifiers: Identifiers,
  lookUps: LookUps,
): Promise<Answer<DmarcResult>> {
  const key = keyOf(author, identifiers);
  const before = key === undefined ? undefined : kept.find(key, lookUps);
  if (before !== undefined) return known(before);
  const own = new LookUps(lookUps, Number.POSITIVE_INFINITY);
  const answer = await evaluateAnew(author, identifiers, own);
  if (key !== undefined && answer.kind === 'known') kept.keep(key, own, answer.value);
  return answer;
}

/** @returns undefined where an author is more than a name and a domain */
function keyOf({ addresses, fields }: Author, { spf, dkim }: Identifiers): string | undefined {
  const domains = addresses.map((address) => /^[\w.+-]+(@[\w.-]+)$/.exec(address)?.[1]);
  return domains.includes(undefined) ? undefined : JSON.stringify([fields, domains, spf, dkim]);
}

async function evaluateAnew(
  author: Author,
  { spf, dkim }: Identifiers,
  lookUps: LookUps,
): Promise<Answer<DmarcResult>> {
  const { response, reason, dkimAligned } = await loadMailauth().evaluateDmarc({
    headerFrom: author.addresses,
    fromFields: author.fields,
    spfDomains: spf.map((domain) => ({ domain })),
    dkimDomains: dkim.map((domain) => ({ domain })),
    resolver: resolverOf(lookUps),
    strict: true,
  });
  if (response === false) {
    return known(permerror((reason ?? 'no-author-domain').replaceAll('-', ' ')));
  }
  const { result } = response.status;
  switch (result) {
    case 'none':
      return known({ ...NOTHING, result, reason: '', aligned: new Set() });
    case 'pass':
    case 'fail':
      return known({
        result,
        policy: (response.policy ?? 'none') as DmarcPolicy,
        domain: response.policyDomain ?? '',
        record: response.rr ?? '',
        tags: { p: response.p ?? '', sp: response.sp ?? '', np: response.np ?? '' },
        reason: '',
        aligned: dkimAligned ?? new Set(),
      });
    default:
      return lookUps.takeFailure() ?? unknown('limit', 'DMARC: too many domains to be compared');
  }
}

/**
 * mailauth asks for A to learn whether a domain exists, which decides between `sp` and `np`. Our answers do not tell a
 * name without records of a type from one that does not exist: what has none of these types does not exist here.
 */
const EXISTENCE: readonly RecordType[] = ['A', 'MX', 'AAAA', 'TXT', 'NS'];

function resolverOf(lookUps: LookUps): Resolve {
  return async (name, type) => {
    if (type === 'CNAME') throw new LookUpError('ENODATA', name); // What it leads to was asked for.
    if (type !== 'A') return lookUps.resolve(name, type);
    for (const each of EXISTENCE) {
      try {
        return await lookUps.resolve(name, each);
      } catch (error) {
        if (!(error instanceof LookUpError && error.code === 'ENODATA')) throw error;
      }
    }
    throw new LookUpError('ENOTFOUND', name);
  };
}
