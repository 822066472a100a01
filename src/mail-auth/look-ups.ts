/**
 * What mailauth asks of the DNS, asked of ours: the session's cache, time-outs and allowance, and a bound of its own.
 *
 * mailauth knows failures by the codes of node:dns: no records is ENODATA, and all other codes are a failure for now.
 */
import { type Answer, unknown } from '../asking/answer.ts';
import type { Inquiry } from '../dns/inquiry.ts';
import type { Records as AllRecords, MailExchanger, RecordType } from '../dns/records.ts';
import { bytesOf } from './field.ts';
import type { Resolve } from './mailauth.ts';

export type Asker = Pick<Inquiry, 'ask' | 'recall'>;

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

/** By what may go wrong. */
export const CODES = {
  timeout: 'ETIMEOUT',
  servfail: 'ESERVFAIL',
  refused: 'EREFUSED',
  unavailable: 'ECONNREFUSED',
  protocol: 'EBADRESP',
  limit: 'ECANCELLED',
} as const;

interface Asked {
  readonly type: RecordType;
  readonly name: string;
  readonly coming: Promise<Answer<Records>>;
  /** Undefined while it has not come. */
  answer: Answer<Records> | undefined;
}

export class LookUps implements Asker {
  readonly #asker: Asker;
  readonly #most: number;
  readonly #asked = new Map<string, Asked>();
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
  readonly ask: Asker['ask'] = <Type extends RecordType>(type: Type, name: string) => {
    const key = keyOf(type, name);
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked =
        this.#asked.size < this.#most
          ? { type, name, coming: this.#asker.ask(type, name), answer: undefined }
          : settled(type, name, unknown('limit', `more than ${this.#most} look-ups for one message`));
      this.#add(key, asked);
    }
    return asked.coming as Promise<Answer<AllRecords[Type]>>;
  };

  /** What is known without asking; it counts as asked. */
  readonly recall: Asker['recall'] = <Type extends RecordType>(type: Type, name: string) => {
    const key = keyOf(type, name);
    let asked = this.#asked.get(key);
    if (asked === undefined && this.#asked.size < this.#most) {
      const answer = this.#asker.recall(type, name);
      if (answer === undefined) return undefined;
      asked = settled(type, name, answer);
      this.#asked.set(key, asked);
    }
    return asked?.answer as Answer<AllRecords[Type]> | undefined;
  };

  /** What was asked, with the answers; undefined while one has not come. */
  get questions(): readonly (Asked & { readonly answer: Answer<Records> })[] | undefined {
    const asked = [...this.#asked.values()];
    return asked.every(isAnswered) ? asked : undefined;
  }

  #add(key: string, asked: Asked): void {
    this.#asked.set(key, asked);
    void asked.coming.then((answer) => {
      asked.answer = answer;
    });
  }

  /** As mailauth wants it: its names are text. */
  readonly resolve: Resolve = async (name, type) => {
    const answer = await this.ask(type as RecordType, bytesOf(name));
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

function keyOf(type: RecordType, name: string): string {
  return `${type} ${name.toLowerCase()}`;
}

function settled(type: RecordType, name: string, answer: Answer<Records>): Asked {
  return { type, name, coming: Promise.resolve(answer), answer };
}

function isAnswered(asked: Asked): asked is Asked & { readonly answer: Answer<Records> } {
  return asked.answer !== undefined;
}
