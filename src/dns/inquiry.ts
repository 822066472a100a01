/**
 * One call of a look-up function: the questions it asks have its time between them, end when nobody wants to know any
 * more, and are counted.
 */
import { setMaxListeners } from 'node:events';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { questionName } from './name.ts';
import { NO_RECORDS, type RecordSource, type Records, type RecordType, subject } from './records.ts';

/** Look-ups a session has at its beginning, and how many more for each second that it lasts. */
const ALLOWED = 1000;
const ALLOWED_PER_SECOND = 10;

/** What a session may still ask for. Answers from the cache are free. */
export class Allowance {
  #left = ALLOWED;
  #counted = performance.now();

  take(): boolean {
    const now = performance.now();
    this.#left = Math.min(ALLOWED, this.#left + ((now - this.#counted) / 1000) * ALLOWED_PER_SECOND);
    this.#counted = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}

export class Inquiry {
  readonly #source: RecordSource;
  readonly #allowance: Allowance;
  readonly #cancelled: AbortSignal;
  /** On the clock of performance.now(). */
  readonly #deadline: number;

  /** The patience is for all questions together; the source's own time-out holds for each. */
  constructor(source: RecordSource, allowance: Allowance, { timeoutMs, cancelled }: Patience) {
    this.#source = source;
    this.#allowance = allowance;
    this.#cancelled = cancelled;
    this.#deadline = performance.now() + timeoutMs;
    setMaxListeners(0, cancelled); // All jobs of a session listen to one signal.
  }

  /** The records of a name, as a script wrote it: bytes in latin1. Never rejects. */
  async ask<Type extends RecordType>(type: Type, written: string): Promise<Answer<Records[Type]>> {
    const question = questionName(written);
    switch (question.kind) {
      case 'impossible':
        return known(NO_RECORDS[type]);
      case 'unaskable':
        return unknown('protocol', `${subject(type, written)}: characters that cannot be asked for`);
      case 'name':
      case 'odd':
        return this.#source.recall(type, question.name) ?? this.#query(type, question.name);
      default:
        return question satisfies never;
    }
  }

  /** What is known without asking, as `ask` would say it; the same object for as long as it is kept. */
  recall<Type extends RecordType>(type: Type, written: string): Answer<Records[Type]> | undefined {
    const question = questionName(written);
    return question.kind === 'name' || question.kind === 'odd'
      ? this.#source.recall(type, question.name)
      : undefined;
  }

  #query<Type extends RecordType>(type: Type, name: string): Promise<Answer<Records[Type]>> {
    const left = this.#deadline - performance.now();
    if (left <= 0 || this.#cancelled.aborted) {
      return Promise.resolve(unknown('timeout', subject(type, name)));
    }
    if (!this.#allowance.take()) {
      return Promise.resolve(unknown('limit', `${subject(type, name)}: too many look-ups in this session`));
    }
    const timeoutMs = Math.min(left, this.#source.timeoutMs);
    return this.#source.query(type, name, { timeoutMs, cancelled: this.#cancelled });
  }
}
