/** Keys and sets that others keep in the Redis or Valkey of the store: `redis:PREFIX`, `redis-set:KEY`. */
import { type Answer, known, type Patience } from '../asking/answer.ts';
import { type Found, type MapServer, NOT_THERE } from './map-server.ts';

/** Who asks Redis, and leaves it alone while it does not answer. Keys are as they stand there, bytes. */
export interface RedisSource {
  /** What it is and where, without secrets. */
  readonly address: string;
  /** Why it does not answer. */
  readonly trouble: string | undefined;
  /** The string under a key; undefined where there is none. */
  get(key: Buffer, patience: Patience): Promise<Answer<Buffer | undefined>>;
  /** Whether a set has a member. */
  has(set: Buffer, member: Buffer, patience: Patience): Promise<Answer<boolean>>;
}

export class RedisMap implements MapServer {
  readonly address: string;
  readonly #source: RedisSource;
  readonly #ask: (key: Buffer, patience: Patience) => Promise<Found>;

  private constructor(source: RedisSource, ask: (key: Buffer, patience: Patience) => Promise<Found>) {
    this.address = source.address;
    this.#source = source;
    this.#ask = ask;
  }

  /** The strings under keys that begin so. @param prefix latin1 */
  static ofKeys(source: RedisSource, prefix: string): RedisMap {
    return new RedisMap(source, async (key, patience) => {
      const answer = await source.get(Buffer.concat([Buffer.from(prefix, 'latin1'), key]), patience);
      if (answer.kind === 'unknown') return answer;
      return answer.value === undefined ? NOT_THERE : known(answer.value.toString('latin1'));
    });
  }

  /** The members of a set: what is found is the member itself. @param name latin1 */
  static ofSet(source: RedisSource, name: string): RedisMap {
    return new RedisMap(source, async (member, patience) => {
      const answer = await source.has(Buffer.from(name, 'latin1'), member, patience);
      if (answer.kind === 'unknown') return answer;
      return answer.value ? known(member.toString('latin1')) : NOT_THERE;
    });
  }

  get trouble(): string | undefined {
    return this.#source.trouble;
  }

  /** The source has a breaker of its own: whatever it says is an answer here. */
  async lookUp(key: string, patience: Patience): Promise<Answer<Found>> {
    return known(await this.#ask(Buffer.from(key, 'latin1'), patience));
  }

  /** The connection is the store's. */
  close(): void {}
}
