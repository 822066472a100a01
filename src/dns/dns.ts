/**
 * The DNS as all sessions of the process share it: a cache, and one question for all who ask the same at a time.
 */

import { type Answer, type Patience, unknown } from '../asking/answer.ts';
import { TimedCache } from './cache.ts';
import type { Fresh, Question } from './question.ts';
import { type RecordSource, type Records, type RecordType, subject } from './records.ts';
import { Resolver, type ResolverSettings } from './resolver.ts';

/** Of each type of record. */
const MAX_ENTRIES = 5000;
const MAX_BYTES = 4 * 1024 * 1024;
/** Questions of a type under way in the process. */
const MAX_QUESTIONS = 5000;

const SECOND = 1000;
/** For types of which c-ares does not tell the TTL. */
const DEFAULT_TTL = 60;
/** No answer is kept longer, whatever its TTL. */
const MAX_TTL = 3600;
/** For names that do not exist, whose TTL (RFC 2308) c-ares does not tell. */
const NEGATIVE_TTL = 30;
/** For failures: a server in trouble is not asked by every session anew (RFC 9520). */
const FAILURE_TTL = 1;

export class Dns implements RecordSource {
  readonly timeoutMs: number;
  readonly #caches: { readonly [Type in RecordType]: TypeCache<Type> };

  constructor(settings: ResolverSettings) {
    this.timeoutMs = settings.timeoutMs;
    const resolver = new Resolver(settings);
    this.#caches = {
      A: new TypeCache('A', resolver),
      AAAA: new TypeCache('AAAA', resolver),
      MX: new TypeCache('MX', resolver),
      TXT: new TypeCache('TXT', resolver),
      PTR: new TypeCache('PTR', resolver),
      NS: new TypeCache('NS', resolver),
    };
  }

  recall<Type extends RecordType>(type: Type, name: string): Answer<Records[Type]> | undefined {
    return this.#caches[type].recall(name);
  }

  query<Type extends RecordType>(
    type: Type,
    name: string,
    patience: Patience,
  ): Promise<Answer<Records[Type]>> {
    return this.#caches[type].query(name, patience);
  }
}

/** All records of one type, by name. */
class TypeCache<Type extends RecordType> {
  readonly #type: Type;
  readonly #resolver: Resolver;
  readonly #cache = new TimedCache<Answer<Records[Type]>>(MAX_ENTRIES, MAX_BYTES);
  readonly #asked = new Map<string, Question<Records[Type]>>();

  constructor(type: Type, resolver: Resolver) {
    this.#type = type;
    this.#resolver = resolver;
  }

  recall(name: string): Answer<Records[Type]> | undefined {
    return this.#cache.get(name);
  }

  query(name: string, patience: Patience): Promise<Answer<Records[Type]>> {
    const recalled = this.recall(name);
    if (recalled !== undefined) return Promise.resolve(recalled);
    const asked = this.#asked.get(name);
    if (asked !== undefined) return asked.wait(patience);
    if (this.#asked.size >= MAX_QUESTIONS) {
      return Promise.resolve(unknown('limit', `${subject(this.#type, name)}: too many questions under way`));
    }
    const question = this.#resolver.question(this.#type, name);
    this.#asked.set(name, question);
    question.answer.then((answer) => {
      this.#asked.delete(name);
      this.#cache.set(name, answer, sizeOf(name, answer), lifetimeOf(answer) * SECOND);
    });
    return question.wait(patience);
  }
}

/** In seconds. */
function lifetimeOf(answer: Fresh<Records[RecordType]>): number {
  if (answer.kind === 'unknown') return FAILURE_TTL;
  if (answer.value.length === 0) return NEGATIVE_TTL;
  return Math.min(answer.ttl ?? DEFAULT_TTL, MAX_TTL);
}

/** About what an entry takes in memory. */
function sizeOf(name: string, answer: Answer<Records[RecordType]>): number {
  const texts = answer.kind === 'unknown' ? [answer.reason] : answer.value;
  return texts.reduce(
    (sum, text) => sum + 64 + (typeof text === 'string' ? text : text.host).length,
    256 + name.length,
  );
}
