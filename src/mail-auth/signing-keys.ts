/** The keys that policies sign with: in files, or in the script itself. Nothing of a key is ever said. */
import { type Answer, known, unknown } from '../asking/answer.ts';
import { type Made, type ReadSecret, SecretFile } from '../system/secret-file.ts';
import { readSigningKey, type SigningKey } from './signing-key.ts';

export interface KeySource {
  /** @param text an absolute path, or a key in PEM form; in latin1 */
  key(text: string): Answer<SigningKey>;
}

/** Whether a text is a key and no path. */
export function isPem(text: string): boolean {
  return text.trimStart().startsWith('-----BEGIN ');
}

/** For a SecretFile. */
export function readKeyFile(bytes: Buffer): Made<SigningKey> {
  const read = readSigningKey(bytes.toString('latin1'));
  return 'wrong' in read ? read : { content: read };
}

/** Files that are kept in mind; a script may make up names. */
const MAX_FILES = 1000;
/** Texts of keys of which it is known what they are. */
const MAX_TEXTS = 100;

export class SigningKeys implements KeySource {
  readonly #warn: (message: string) => void;
  readonly #files = new Map<string, SecretFile<SigningKey>>();
  readonly #texts = new Map<string, Answer<SigningKey>>();

  /**
   * @param given files that were read at the start, when this process may have had more rights
   * @param warn takes what the operator should know of a file
   */
  constructor(given: readonly ReadSecret[], warn: (message: string) => void) {
    this.#warn = warn;
    for (const { path, bytes } of given) {
      const latin1 = Buffer.from(path).toString('latin1');
      this.#files.set(latin1, new SecretFile(path, path, readKeyFile, warn, bytes));
    }
  }

  key(text: string): Answer<SigningKey> {
    return isPem(text) ? this.#inText(text) : this.#inFile(text);
  }

  #inFile(latin1: string): Answer<SigningKey> {
    let file = this.#files.get(latin1);
    const path = Buffer.from(latin1, 'latin1');
    if (file === undefined) {
      if (this.#files.size >= MAX_FILES) return unknown('limit', `more than ${MAX_FILES} files of keys`);
      file = new SecretFile(path.toString(), path, readKeyFile, this.#warn);
      this.#files.set(latin1, file);
    }
    const found = file.get();
    if ('content' in found) return known(found.content);
    return unknown(found.isWrong ? 'protocol' : 'unavailable', `key ${path}: ${found.problem}`);
  }

  #inText(pem: string): Answer<SigningKey> {
    const before = this.#texts.get(pem);
    if (before !== undefined) return before;
    const read = readSigningKey(pem);
    const answer = 'wrong' in read ? unknown('protocol', `the key in the script ${read.wrong}`) : known(read);
    if (this.#texts.size >= MAX_TEXTS) this.#texts.clear();
    this.#texts.set(pem, answer);
    return answer;
  }
}
