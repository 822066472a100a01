/** The keys of a test: each path stands for a key of its own, made for the test, unless the test says another. */
import type { LuaState } from 'fengari';
import { type Answer, known } from '../../asking/answer.ts';
import { lua } from '../../lua/engine/engine.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { makeSigningKey, readSigningKey, type SigningKey } from '../../mail-auth/signing-key.ts';
import { isPem, type KeySource } from '../../mail-auth/signing-keys.ts';
import { checkText } from '../arguments.ts';
import { fake, type StandIn } from '../fake.ts';
import { checkFakeAnswer } from '../fake-answer.ts';

const MAX_KEY = 16 * 1024;

class KeyWorld implements KeySource, StandIn {
  readonly #keys: Map<string, Answer<SigningKey>>;

  constructor(keys: ReadonlyMap<string, Answer<SigningKey>> = new Map()) {
    this.#keys = new Map(keys);
  }

  copy(): KeyWorld {
    return new KeyWorld(this.#keys);
  }

  key(text: string): Answer<SigningKey> {
    const set = this.#keys.get(text);
    if (set !== undefined) return set;
    const answer = keyOf(isPem(text) ? text : makeSigningKey('ed25519').pem);
    this.#keys.set(text, answer);
    return answer;
  }

  set(path: string, answer: Answer<SigningKey>): void {
    this.#keys.set(path, answer);
  }
}

function keyOf(pem: string): Answer<SigningKey> {
  const read = readSigningKey(pem);
  if (!('wrong' in read)) return known(read);
  return { kind: 'unknown', failure: 'protocol', reason: `protocol the key in the script ${read.wrong}` };
}

export const keysFake = fake({
  service: 'keys',
  make: () => new KeyWorld(),
  api: [
    {
      kind: 'function',
      name: 'test.signing_key',
      params: [
        { name: 'path', type: 'string', doc: 'as the policy names it' },
        {
          name: 'key',
          type: 'string',
          doc: 'what the file holds, in PEM form; or `test.fails "unavailable"`',
        },
      ],
      results: [],
      doc: 'A key that `auth.sign` and `auth.seal` find in a file. Without it each path stands for a new Ed25519 key: no file is read.',
      example: 'test.signing_key("/etc/mail/keys/example.com.pem", test.fails "unavailable")',
    },
  ],
  functions: { signing_key: signingKey },
});

function signingKey(L: LuaState, world: KeyWorld): number {
  const path = checkText(L, 1, MAX_KEY);
  if (lua.lua_type(L, 2) === lua.LUA_TSTRING) {
    const read = readSigningKey(checkText(L, 2, MAX_KEY));
    if ('wrong' in read) return argumentError(L, 2, 'a private key in PEM form expected');
    world.set(path, known(read));
    return 0;
  }
  const answer = checkFakeAnswer(L, 2)([]);
  if (answer.kind === 'known') return argumentError(L, 2, 'a key or test.fails(...) expected');
  world.set(path, answer);
  return 0;
}
