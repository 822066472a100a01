/**
 * Records that stand in the place of the DNS, for trying and testing a policy: what is not in them does not exist.
 */
import { isIP } from 'node:net';
import { type Answer, type Failure, known, unknown } from '../asking/answer.ts';
import { parseAddress, pointerName, questionName } from './name.ts';
import {
  type MailExchanger,
  NO_RECORDS,
  type RecordSource,
  type Records,
  type RecordType,
  subject,
} from './records.ts';

/** What a question is answered with: the records' texts (of MX, `10 mx.example.com`), or why there is no answer. */
export type ZoneAnswer = { readonly records: readonly string[] } | { readonly failure: Failure };

/** What is wrong with an entry; the message names it. */
export class ZoneError extends Error {
  override readonly name = 'ZoneError';
}

export class Zone implements RecordSource {
  readonly timeoutMs: number = 5000;
  /** By `name TYPE`. */
  readonly #answers = new Map<string, ZoneAnswer>();

  /**
   * Sets what a question is answered with, in place of an earlier answer.
   *
   * @param question `example.com MX`; with PTR an address may stand for its name
   * @throws ZoneError when the question is none, or a record cannot be one of its type
   */
  set(question: string, answer: ZoneAnswer): void {
    const { name, type } = parseQuestion(question);
    if ('records' in answer) for (const text of answer.records) checkRecord(type, text, question);
    this.#answers.set(`${name} ${type}`, answer);
  }

  /** A zone of its own with the same entries. */
  copy(): Zone {
    const copy = new Zone();
    copy.take(this);
    return copy;
  }

  /** Takes the entries of another. */
  take(other: Zone): void {
    for (const [question, answer] of other.#answers) this.#answers.set(question, answer);
  }

  get isEmpty(): boolean {
    return this.#answers.size === 0;
  }

  /** Nothing is known without asking, so that callbacks wait here as they will. */
  recall(): undefined {
    return undefined;
  }

  async query<Type extends RecordType>(type: Type, name: string): Promise<Answer<Records[Type]>> {
    const answer = this.#answers.get(`${name} ${type}`);
    if (answer === undefined) return known(NO_RECORDS[type]);
    if ('failure' in answer) return unknown(answer.failure, subject(type, name));
    return known(readRecords(type, answer.records));
  }
}

function parseQuestion(question: string): { name: string; type: RecordType } {
  const [, written = '', typeName = ''] = /^(\S+)\s+(\S+)$/.exec(question.trim()) ?? [];
  const type = typeName.toUpperCase();
  if (!isRecordType(type)) {
    throw new ZoneError(`${JSON.stringify(question)} is no question: a name and A, AAAA, MX, TXT, PTR or NS`);
  }
  const address = type === 'PTR' ? parseAddress(written) : undefined;
  const parsed = questionName(address === undefined ? written : pointerName(address));
  if (parsed.kind !== 'name' && parsed.kind !== 'odd')
    throw new ZoneError(`${JSON.stringify(written)} is no name that the DNS can hold`);
  return { name: parsed.name, type };
}

function isRecordType(type: string): type is RecordType {
  return Object.hasOwn(NO_RECORDS, type);
}

function checkRecord(type: RecordType, text: string, question: string): void {
  const expected = expectation(type, text);
  if (expected !== undefined) {
    throw new ZoneError(`${question}: ${JSON.stringify(text)}: ${expected} expected`);
  }
}

/** What a record of the type must be, if the text is not. */
function expectation(type: RecordType, text: string): string | undefined {
  switch (type) {
    case 'A':
      return isIP(text) === 4 ? undefined : 'an IPv4 address';
    case 'AAAA':
      return isIP(text) === 6 ? undefined : 'an IPv6 address';
    case 'MX':
      return parseExchanger(text) === undefined ? 'a preference and a host' : undefined;
    default:
      return undefined;
  }
}

function parseExchanger(text: string): MailExchanger | undefined {
  const [, pref, host] = /^(?:(\d{1,5})\s+)?(\S+)$/.exec(text.trim()) ?? [];
  return host === undefined ? undefined : { host: withoutDot(host), pref: Number(pref ?? 10) };
}

function withoutDot(name: string): string {
  return name.length > 1 && name.endsWith('.') ? name.slice(0, -1) : name;
}

function readRecords<Type extends RecordType>(type: Type, texts: readonly string[]): Records[Type];
function readRecords(type: RecordType, texts: readonly string[]): Records[RecordType] {
  switch (type) {
    case 'MX':
      return texts.flatMap((text) => parseExchanger(text) ?? []).sort((one, other) => one.pref - other.pref);
    case 'PTR':
    case 'NS':
      return texts.map(withoutDot);
    default:
      return texts;
  }
}
