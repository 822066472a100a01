/** Registrable domains by the public suffix list: the only file that knows tldts. */
import { createRequire } from 'node:module';
import { questionName } from '../../dns/name.ts';

type Tldts = typeof import('tldts');

const require = createRequire(import.meta.url);
let tldts: Tldts | undefined;

/** Loads the list (some 20 ms and 4 MB). */
export function loadSuffixes(): Tldts {
  tldts ??= require('tldts') as Tldts;
  return tldts;
}

/**
 * The domain that somebody can have registered: the public suffix that a host name ends in, and one label more.
 *
 * @param host bytes in latin1, in any case, with or without final dot; bytes above 127 are UTF-8
 * @param isPrivate whether suffixes count below which a company lets others register (`github.io`)
 * @returns in lower case, as A-labels; undefined for what is no host name, an address, or has no such domain
 */
export function registrableDomain(host: string, isPrivate: boolean): string | undefined {
  const question = questionName(host);
  if (question.kind !== 'name') return undefined;
  const options = { allowPrivateDomains: isPrivate, extractHostname: false, validateHostname: false };
  return loadSuffixes().getDomain(question.name, options) ?? undefined;
}
