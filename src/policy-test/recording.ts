/**
 * Answers of real services that a test was given once (`test --record`), in a file beside it: a line of JSON each.
 *
 * Asked or replayed is what a test has given no answer for. Passwords, and what looks like one in a URL, are not in the
 * file, and no failure is: who could not be asked when the test was recorded is asked again.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { isNotSaid } from '../modules/fake.ts';
import { askedOf, spokenName } from '../services/asked.ts';
import type { ServiceName, Services } from '../services/services.ts';
import { systemReason } from '../text/operator-error.ts';
import { decodeAnswer, encodeAnswer } from './recorded-answer.ts';

/** What is told of a recording at the end of a file's tests. Text is for people. */
export interface RecordingReport {
  readonly path: string;
  readonly answers: number;
  /** Questions that had none, each with the reason. */
  readonly unanswered: readonly string[];
  /** Why the file could not be written. */
  readonly problem?: string;
}

interface Line {
  readonly service: string;
  readonly question: string;
  readonly answer: unknown;
}

/** Services that are asked over a network. */
const RECORDED = [
  'records',
  'scanners',
  'web',
  'callAhead',
  'maps',
] as const satisfies readonly ServiceName[];
type Recorded = (typeof RECORDED)[number];

type Method = (...args: unknown[]) => unknown;

export class Recording {
  readonly #test: string;
  readonly #path: string;
  /** Who is asked; undefined where what is recorded is all there is. */
  readonly #real: Services | undefined;
  readonly #lines = new Map<string, Line>();
  /** Whether there is a file, so that what is not in it is missing. */
  readonly #isThere: boolean;
  readonly #asked = new Map<string, Promise<Answer<unknown>>>();
  readonly #unanswered = new Map<string, string>();
  /** Where the files of maps are that were opened. */
  readonly #places = new Map<unknown, unknown>();

  /**
   * @param test path of the test file, as the operator named it
   * @param real who is asked, to record
   * @param keeps whether what is recorded already stays, as where not all cases are run
   * @throws Error with what is wrong with the recording, `PATH:LINE: ...`
   */
  constructor(test: string, real: Services | undefined, keeps: boolean) {
    this.#test = test;
    this.#path = test.replace(/(?:\.lua)?$/, '.answers.jsonl');
    this.#real = real;
    const text = real === undefined || keeps ? readIfThere(this.#path) : undefined;
    this.#isThere = text !== undefined;
    for (const [i, written] of (text ?? '').split('\n').entries()) {
      if (written.trim() === '') continue;
      const line = lineOf(written);
      if (line === undefined)
        throw new Error(`${this.#path}:${i + 1}: no recorded answer: run ${this.#command}`);
      this.#lines.set(keyOf(line), line);
    }
  }

  /** These services; what a test has not answered is answered from here. */
  over(services: Services): Services {
    if (this.#real === undefined && !this.#isThere) return services;
    const replayed = RECORDED.map((name) => [name, this.#replayed(name, services[name])]);
    return { ...services, ...Object.fromEntries(replayed) };
  }

  /** Writes what was recorded; undefined where nothing is. */
  finish(): RecordingReport | undefined {
    if (this.#real === undefined) return undefined;
    const unanswered = [...this.#unanswered].map(([question, reason]) => `${question}: ${reason}`);
    const report = { path: this.#path, answers: this.#lines.size, unanswered };
    if (this.#lines.size === 0 && !this.#isThere && unanswered.length === 0) return undefined;
    try {
      const text = [...this.#lines.values()].map((line) => `${JSON.stringify(line)}\n`).join('');
      if (this.#lines.size > 0) writeFileSync(this.#path, text);
    } catch (error) {
      return { ...report, answers: 0, problem: `cannot be written: ${systemReason(error)}` };
    }
    return report;
  }

  #replayed<Service extends object>(name: Recorded, service: Service): Service {
    return new Proxy(service, {
      get: (target, method) => {
        const member: unknown = Reflect.get(target, method, target);
        if (typeof member !== 'function' || typeof method !== 'string') return member;
        return (...args: unknown[]): unknown => {
          if (name === 'maps' && method === 'open') this.#places.set(args[0], args[1]);
          const result: unknown = Reflect.apply(member, target, args);
          if (result instanceof Promise) {
            return result.then((answer) => (isNotSaid(answer) ? this.#answer(name, method, args) : answer));
          }
          // What would be known without asking has to be asked for.
          return isNotSaid(result) ? undefined : result;
        };
      },
    });
  }

  async #answer(name: Recorded, method: string, args: readonly unknown[]): Promise<Answer<unknown>> {
    const service = spokenName(name);
    const question = questionOf(name, method, args);
    const key = keyOf({ service, question });
    if (this.#real === undefined) {
      const line = this.#lines.get(key);
      if (line !== undefined) return known(decodeAnswer(line.answer));
      return unknown('unavailable', `not recorded: ${service} ${question}: run ${this.#command}`);
    }
    // Once, however often the tests ask.
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = this.#ask(name, method, args);
      this.#asked.set(key, asked);
      const answer = await asked;
      if (answer.kind === 'known')
        this.#lines.set(key, { service, question, answer: encodeAnswer(answer.value) });
      else this.#unanswered.set(`${service} ${question}`, answer.reason);
    }
    return asked;
  }

  async #ask(name: Recorded, method: string, args: readonly unknown[]): Promise<Answer<unknown>> {
    const service: object | undefined = this.#real?.[name];
    if (service === undefined) throw new Error('nobody to ask');
    const call = (of: string, given: readonly unknown[]) =>
      Reflect.apply(Reflect.get(service, of) as Method, service, given);
    if (name !== 'maps') return (await call(method, args)) as Answer<unknown>;
    // A map is opened before it is asked; one that cannot be is unavailable.
    const [spec, key, patience] = args as [string, string, Patience];
    try {
      await call('open', [spec, this.#places.get(spec)]);
    } catch (error) {
      return unknown('unavailable', error instanceof Error ? error.message : String(error));
    }
    return (call('recall', [spec, key]) ?? (await call('query', [spec, key, patience]))) as Answer<unknown>;
  }

  get #command(): string {
    return `smtpf-milter test --record ${this.#test}`;
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Error(`${path}: cannot be read: ${systemReason(error)}`);
  }
}

function lineOf(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('answer' in value)) return undefined;
    const { service, question, answer } = value as Partial<Line>;
    if (typeof service !== 'string' || typeof question !== 'string') return undefined;
    return { service, question, answer };
  } catch {
    return undefined;
  }
}

function keyOf({ service, question }: Pick<Line, 'service' | 'question'>): string {
  return `${service}\n${question}`;
}

/** In the words of `try`, with what tells one message from another. Bytes stand for themselves. */
function questionOf(name: Recorded, method: string, args: readonly unknown[]): string {
  const { question } = askedOf(name, method, args, false);
  const [request] = args;
  if (typeof request !== 'object' || request === null) return question;
  const more: string[] = [];
  if ('path' in request) more.push(`sha256 ${digest(readFileSync(String(request.path)))}`);
  if ('envelope' in request) more.push(...envelopeWords(request.envelope as object));
  if ('user' in request && typeof request.user === 'string') more.push(`user ${request.user}`);
  if ('body' in request && Buffer.isBuffer(request.body)) more.push(`body ${digest(request.body)}`);
  return [withoutSecrets(question), ...more].join(', ');
}

function envelopeWords(envelope: object): string[] {
  return Object.entries(envelope).flatMap(([name, value]) => {
    const text = [value ?? []].flat().join(' ');
    // The name in the queue is another each time.
    return text === '' || name === 'queueId' ? [] : [`${name} ${text}`];
  });
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

const SECRET = /key|token|secret|pass|pwd|auth|sig|session|credential/i;

/** A request, `GET URL`, without the passwords in it. */
function withoutSecrets(question: string): string {
  const [method = '', written = ''] = question.split(' ');
  if (!/^https?:/i.test(written) || !URL.canParse(written)) return question;
  const url = new URL(written);
  if (
    url.username === '' &&
    url.password === '' &&
    ![...url.searchParams.keys()].some((name) => SECRET.test(name))
  )
    return question;
  url.username = '';
  url.password = '';
  for (const name of url.searchParams.keys()) if (SECRET.test(name)) url.searchParams.set(name, 'left-out');
  return `${method} ${url.href}`;
}
