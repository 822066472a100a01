/**
 * The keys of others, by which signatures are verified. To read one takes as long as to verify a signature with it, and
 * most mail is of few domains: those that were read are kept, by the text of their record, which the DNS gives each time.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import type { LookUps } from './look-ups.ts';
import { type KeyCache, loadMailauth, type PublicKey } from './mailauth.ts';

/** Those that were not used for longest give way. */
const MOST_KEYS = 1000;
/** A longer text is no key that anybody uses: one of RSA-4096 has some 740 letters. */
const MAX_TEXT = 2048;

interface ReadKey extends Omit<PublicKey, 'publicKey'> {
  readonly publicKey: KeyObject;
}

export class KnownKeys {
  /** The one that was used last is the last. */
  readonly #keys = new Map<string, ReadKey>();

  get size(): number {
    return this.#keys.size;
  }

  /** Has a verifier take its keys from here. */
  serve(cache: KeyCache, lookUps: LookUps): void {
    const ask = cache.get.bind(cache);
    cache.get = (type, name, minBits, options) => {
      const isPlain = /^[\0-\x7f]*$/.test(name);
      // Of another name the record has yet to be found.
      const key = isPlain
        ? this.#find(lookUps, type, name, minBits, options)
        : ask(type, name, minBits, options);
      // mailauth asks for keys ahead, and looks at some of the answers only.
      key.catch(() => {});
      return key;
    };
  }

  async #find(
    lookUps: LookUps,
    ...[type, name, minBits, options]: Parameters<KeyCache['get']>
  ): Promise<ReadKey> {
    const records = await lookUps.resolve(name, 'TXT');
    const text = `${minBits} ${options.hashAlgo} ${records[0]}`;
    const before = this.#keys.get(text);
    if (before !== undefined) {
      this.#keys.delete(text);
      this.#keys.set(text, before);
      return before;
    }
    const { getPublicKey } = loadMailauth();
    const read = await getPublicKey(type, name, minBits, async () => records, options);
    const key = { ...read, publicKey: createPublicKey(read.publicKey) };
    if (text.length <= MAX_TEXT) {
      const [oldest] = this.#keys.keys();
      if (this.#keys.size >= MOST_KEYS && oldest !== undefined) this.#keys.delete(oldest);
      this.#keys.set(text, key);
    }
    return key;
  }
}
