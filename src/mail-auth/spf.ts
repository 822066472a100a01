/** Whether the domain of a sender lets a client send for it: SPF (RFC 7208). */
import { type Answer, known, unknown } from '../asking/answer.ts';
import { bytesOf, lowerCase, textOf } from './field.ts';
import { KeptResults } from './kept-results.ts';
import { type Asker, LookUps } from './look-ups.ts';
import { asciiName, loadMailauth, type Resolve } from './mailauth.ts';

export type SpfWord = 'pass' | 'fail' | 'softfail' | 'neutral' | 'none' | 'permerror';

export interface SpfResult {
  readonly result: SpfWord;
  /** Whose record it was: of the sender, or of HELO where the sender is null. In lower case, as A-labels. */
  readonly domain: string;
  /** Whether that is the domain of HELO. */
  readonly isHelo: boolean;
  /** What the domain says to those that it does not let send, bytes in latin1; empty when it says nothing. */
  readonly explanation: string;
}

export interface SpfClient {
  /** IPv4 or IPv6 in plain text; undefined for a client without one. */
  readonly address: string | undefined;
  /** Of HELO or EHLO. Bytes in latin1. */
  readonly helo: string;
  /** Without `<>`; empty for the null sender. Bytes in latin1. */
  readonly sender: string;
  /** The name of the mail server, for explanations. */
  readonly host: string;
}

/** 10 terms, of which each may be an `mx` of 10 names; the limits of RFC 7208 end an evaluation before. */
const MOST_LOOK_UPS = 150;
/** In an address: what is longer is none. */
const MAX_SENDER = 1024;

/** By address and domain. */
const kept = new KeptResults<SpfResult>();

/** What could not be found out for now (temperror) is unknown. Never rejects. */
export async function checkSpf(client: SpfClient, asker: Asker): Promise<Answer<SpfResult>> {
  const { address, helo, host } = client;
  const isHelo = client.sender === '';
  const sender = textOf(isHelo ? `postmaster@${helo}` : client.sender);
  const domain = domainOf(isHelo ? `@${helo}` : client.sender);
  const none = { result: 'none', domain, isHelo, explanation: '' } as const;
  // What has an `@` is no name of HELO: what follows it is not checked in its place (RFC 7208 section 2.3).
  if (isHelo && helo.includes('@')) return known({ ...none, domain: lowerCase(helo) });
  if (address === undefined || sender.length > MAX_SENDER || sender.endsWith('@')) return known(none);
  const key = `${address} ${isHelo} ${domain}`;
  const before = kept.find(key, asker);
  if (before !== undefined) return known(before);
  const lookUps = new LookUps(asker, MOST_LOOK_UPS);
  // A macro may tell more of the client than what is in the key.
  let hasMacros = false;
  const resolver: Resolve = async (name, type) => {
    const records = await lookUps.resolve(name, type);
    if (type === 'TXT')
      hasMacros ||= (records as string[][]).some((strings) => strings.join('').includes('%{'));
    return type === 'TXT'
      ? (records as string[][]).map((strings) => strings.map(withPlainDelimiters))
      : records;
  };
  // mailauth takes an empty sender for the null sender, which checks HELO, and tells macros the same.
  const response = await loadMailauth().spf({
    sender: isHelo ? '' : sender,
    ip: address,
    helo: textOf(helo),
    mta: host,
    resolver,
    strict: true,
  });
  const { result, comment } = response.status;
  if (isSpfWord(result)) {
    const found = {
      result,
      domain: response.domain,
      isHelo,
      explanation: bytesOf(response.explanation ?? ''),
    };
    if (!hasMacros) kept.keep(key, lookUps, found);
    return known(found);
  }
  return lookUps.takeFailure() ?? unknown('protocol', `SPF of ${domain}: ${comment || result}`);
}

const WORDS: ReadonlySet<string> = new Set<SpfWord>([
  'pass',
  'fail',
  'softfail',
  'neutral',
  'none',
  'permerror',
]);

function isSpfWord(word: string): word is SpfWord {
  return WORDS.has(word);
}

/**
 * mailauth puts the delimiters of a macro between brackets as they come, where a `-` between two others is a range: last
 * it is itself.
 */
function withPlainDelimiters(record: string): string {
  return record.replace(
    /(%\{[a-z]\d*r?)([-.+,/_=]*-[-.+,/_=]*)\}/gi,
    (_all, macro: string, delimiters: string) => `${macro}${delimiters.replaceAll('-', '')}-}`,
  );
}

/** In lower case, as A-labels. @param address in latin1 */
export function domainOf(address: string): string {
  return lowerCase(asciiName(address.slice(address.lastIndexOf('@') + 1)));
}
