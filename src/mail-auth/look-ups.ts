/**
 * What mailauth asks of the DNS, asked of ours: the session's cache, time-outs and allowance, and a bound of its own.
 *
 * mailauth knows failures by the codes of node:dns: no records is ENODATA, and all other codes are a failure for now.
 */
import { type Answer, unknown } from '../asking/answer.ts';
import type { Inquiry } from '../dns/inquiry.ts';
import type { MailExchanger, RecordType } from '../dns/records.ts';
import type { Resolve } from './mailauth.ts';

export type Asker = Pick<Inquiry, 'ask'>;

/** Why something could not be found out. */
export type Unknown = Extract<Answer<never>, { kind: 'unknown' }>;

type Records = readonly (string | MailExchanger)[];

/** A look-up without records, or that failed, in the words of node:dns. */
export class LookUpError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

const CODES = {
  timeout: 'ETIMEOUT',
  servfail: 'ESERVFAIL',
  refused: 'EREFUSED',
  unavailable: 'ECONNREFUSED',
  protocol: 'EBADRESP',
  limit: 'ECANCELLED',
} as const;

export class LookUps {
  readonly #asker: Asker;
  readonly #most: number;
  readonly #asked = new Map<string, Promise<Answer<Records>>>();
  #failure: Unknown | undefined;

  /** @param most different questions that may be asked */
  constructor(asker: Asker, most: number) {
    this.#asker = asker;
    this.#most = most;
  }

  /** The first failure since it was last taken. */
  takeFailure(): Unknown | undefined {
    const failure = this.#failure;
    this.#failure = undefined;
    return failure;
  }

  /** Asks each question once. */
  ask(type: RecordType, name: string): Promise<Answer<Records>> {
    const key = `${type} ${name.toLowerCase()}`;
    let answer = this.#asked.get(key);
    if (answer === undefined) {
      answer =
        this.#asked.size < this.#most
          ? this.#asker.ask(type, name)
          : Promise.resolve(unknown('limit', `more than ${this.#most} look-ups for one message`));
      this.#asked.set(key, answer);
    }
    return answer;
  }

  /** As mailauth wants it. */
  readonly resolve: Resolve = async (name, type) => {
    const answer = await this.ask(type as RecordType, name);
    if (answer.kind === 'unknown') {
      this.#failure ??= answer;
      throw new LookUpError(CODES[answer.failure], answer.reason);
    }
    if (answer.value.length === 0) throw new LookUpError('ENODATA', `no ${type} of ${name}`);
    return answer.value.map((record) => {
      if (typeof record !== 'string') return { exchange: record.host, priority: record.pref };
      return type === 'TXT' ? [record] : record;
    });
  };
}
