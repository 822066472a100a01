/**
 * The keys of others, by which signatures are verified. To read one takes as long as to verify a signature with it, and
 * most mail is of few domains: those that were read are kept, by the text of their record, which the DNS gives each time.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { questionName } from '../dns/name.ts';
import { CODES, type LookUps, type Unknown } from './look-ups.ts';
import { loadMailauth, type PublicKey } from './mailauth.ts';

/** Those that were not used for longest give way. */
const MOST_KEYS = 1000;
/** A longer text is no key that anybody uses: one of RSA-4096 has some 740 letters. */
const MAX_TEXT = 4096;
/** To verify takes time in the square of these: no key that anybody uses has more (RFC 8301 section 3.2). */
const MAX_BITS = 4096;
const MAX_EXPONENT = 2n ** 32n;

export interface ReadKey extends Omit<PublicKey, 'publicKey'> {
  readonly publicKey: KeyObject;
}

/** Or why there is none: with a failure where that could not be found out. */
export type FoundKey = ReadKey | { readonly none: string; readonly failure?: Unknown };

/** Where the key of a signature or a seal is. */
export interface KeyPlace {
  readonly selector: string;
  readonly domain: string;
}

/** The name of a key's record. */
export function keyName({ selector, domain }: KeyPlace): string {
  return `${selector}._domainkey.${domain}`;
}

/** @param algorithm as a signature has it */
export function isFor({ keyType }: ReadKey, algorithm: string): boolean {
  return algorithm.toLowerCase().startsWith(`${keyType}-`);
}

/** Why it could not be found out whether there is one. */
export function failureOf(key: FoundKey | undefined): Unknown | undefined {
  return key !== undefined && 'none' in key ? key.failure : undefined;
}

/** What is wrong with a record, by the codes of mailauth. */
const WRONG: Readonly<Record<string, string>> = {
  EINVALIDVER: 'unknown key version',
  EINVALIDTYPE: 'unknown key type',
  EINVALIDVAL: 'invalid public key',
  EINVALIDHASH: 'inappropriate hash algorithm',
  EINVALIDSERVICE: 'key not for email',
  ESHORTKEY: 'weak key',
};

export class KnownKeys {
  /** The one that was used last is the last. */
  readonly #keys = new Map<string, ReadKey>();

  get size(): number {
    return this.#keys.size;
  }

  /** @param name of its record; may be UTF-8 (RFC 8616) */
  async find(lookUps: LookUps, name: string): Promise<FoundKey> {
    const { getPublicKey, toALabel } = loadMailauth();
    const asked = toALabel(name);
    const answer = await lookUps.ask('TXT', asked);
    if (answer.kind === 'unknown') {
      // A name that cannot be asked for is wrong for good.
      if (questionName(asked).kind === 'unaskable') return { none: 'no key' };
      return { none: `DNS failure: ${CODES[answer.failure]}`, failure: answer };
    }
    const [record] = answer.value;
    if (record === undefined) return { none: 'no key' };
    if (record.length > MAX_TEXT) return { none: 'limit: the record of the key is too long' };
    const before = this.#keys.get(record);
    if (before !== undefined) {
      // While there is much room none has to give way soon.
      if (this.#keys.size > MOST_KEYS / 2) this.#keep(record, before);
      return before;
    }
    try {
      const options = { strict: true, hashAlgo: 'sha256' } as const;
      const read = await getPublicKey('DKIM', asked, undefined, async () => [[record]], options);
      const key = { ...read, publicKey: createPublicKey(read.publicKey) };
      if (isLaborious(key)) return { none: 'limit: the key is too large' };
      this.#keep(record, key);
      return key;
    } catch (error) {
      return { none: WRONG[(error as { code?: string }).code ?? ''] ?? 'invalid public key' };
    }
  }

  #keep(record: string, key: ReadKey): void {
    const [oldest] = this.#keys.keys();
    if (!this.#keys.delete(record) && this.#keys.size >= MOST_KEYS && oldest !== undefined) {
      this.#keys.delete(oldest);
    }
    this.#keys.set(record, key);
  }
}

function isLaborious({ publicKey, modulusLength = 0 }: ReadKey): boolean {
  return modulusLength > MAX_BITS || (publicKey.asymmetricKeyDetails?.publicExponent ?? 0n) > MAX_EXPONENT;
}
