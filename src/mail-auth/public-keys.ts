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

const kept = new Map<string, ReadKey>();

/** Has a verifier take its keys from here. */
export function keepKeys(cache: KeyCache, lookUps: LookUps): void {
  const ask = cache.get.bind(cache);
  const find: KeyCache['get'] = async (type, name, minBits, options) => {
    // Of another name the record has yet to be found.
    if (!/^[\0-\x7f]*$/.test(name)) return ask(type, name, minBits, options);
    const records = await lookUps.resolve(name, 'TXT');
    const [record] = records;
    const text = `${minBits} ${options.hashAlgo} ${record}`;
    const before = kept.get(text);
    if (before !== undefined) {
      kept.delete(text);
      kept.set(text, before);
      return before;
    }
    const { getPublicKey } = loadMailauth();
    const read = await getPublicKey(type, name, minBits, async () => records, options);
    const key = { ...read, publicKey: createPublicKey(read.publicKey) };
    if (text.length <= MAX_TEXT) {
      const [oldest] = kept.keys();
      if (kept.size >= MOST_KEYS && oldest !== undefined) kept.delete(oldest);
      kept.set(text, key);
    }
    return key;
  };
  cache.get = (type, name, minBits, options) => {
    const key = find(type, name, minBits, options);
    // mailauth asks for keys ahead, and looks at some of the answers only.
    key.catch(() => {});
    return key;
  };
}
