/** Senders that only we can have made: rewritten ones (SRS) and tagged ones (BATV), with the secrets of this server. */
import { type Answer, known } from '../asking/answer.ts';
import type { Made } from '../system/secret-file.ts';
import { type TagFault, tagSender, untagSender } from './bounce-tag.ts';
import { type SrsFault, srsForward, srsReverse } from './sender-rewriting.ts';

/** What an address was before, or why it is none that we have made. */
export type Original<Fault> = { readonly address: string } | { readonly fault: Fault };

/** Addresses are without brackets and quotes; bytes in latin1. */
export interface SenderSource {
  /** @param domain that takes the answers; undefined for that of the options */
  forward(address: string, domain: string | undefined): Answer<string>;
  reverse(address: string): Answer<Original<SrsFault>>;
  tag(address: string): Answer<string>;
  untag(address: string): Answer<Original<TagFault>>;
}

/** Of which the first signs. */
export type Secrets = readonly [string, ...string[]];

/** One a line; empty lines do not count. */
export function readSecrets(bytes: Buffer): Made<Secrets> {
  const [first, ...others] = bytes
    .toString('latin1')
    .split(/\r?\n/)
    .filter((line) => line !== '');
  return first === undefined ? { wrong: 'holds no secret' } : { content: [first, ...others] };
}

export class OwnSenders implements SenderSource {
  readonly #secrets: () => Answer<Secrets>;
  readonly #domains: () => Answer<readonly [string, ...string[]]>;
  readonly #now: () => number;

  /**
   * @param domains ours: the first takes the answers
   * @param now milliseconds since the epoch
   */
  constructor(
    secrets: () => Answer<Secrets>,
    domains: () => Answer<readonly [string, ...string[]]>,
    now: () => number,
  ) {
    this.#secrets = secrets;
    this.#domains = domains;
    this.#now = now;
  }

  forward(address: string, domain: string | undefined): Answer<string> {
    if (!hasDomain(address)) return known(address);
    const domains = this.#domains();
    const own = domain ?? (domains.kind === 'known' ? domains.value[0] : undefined);
    if (own === undefined) return domains as Answer<never>;
    const host = address.slice(address.lastIndexOf('@') + 1).toLowerCase();
    if (domains.kind === 'known' && domains.value.includes(host)) return known(address);
    return this.#with((secrets, now) => srsForward(address, own, secrets, now));
  }

  reverse(address: string): Answer<Original<SrsFault>> {
    return this.#with((secrets, now) => srsReverse(address, secrets, now));
  }

  tag(address: string): Answer<string> {
    if (!hasDomain(address)) return known(address);
    return this.#with((secrets, now) => tagSender(address, secrets, now));
  }

  untag(address: string): Answer<Original<TagFault>> {
    return this.#with((secrets, now) => untagSender(address, secrets, now));
  }

  #with<Result>(make: (secrets: Secrets, now: number) => Result): Answer<Result> {
    const secrets = this.#secrets();
    return secrets.kind === 'known' ? known(make(secrets.value, this.#now())) : secrets;
  }
}

/** The null sender, and one of this machine, stay as they are, whether or not there is a secret. */
function hasDomain(address: string): boolean {
  return address.includes('@');
}
