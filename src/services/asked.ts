/** A question to a service and its answer, in words for those who look at a policy at work. */
import type { Answer } from '../asking/answer.ts';
import type { MailExchanger } from '../dns/records.ts';
import { isPem } from '../mail-auth/signing-keys.ts';
import type { OutgoingMail } from '../mail-client/mailer.ts';
import type { ServiceName } from './services.ts';

/** Text is latin1. */
export interface Asked {
  /** `dns`. */
  readonly service: string;
  /** `MX example.com`. */
  readonly question: string;
  /** What was found out, made of texts, numbers, booleans, lists and objects; undefined where nothing was. */
  answer: unknown;
  /** Why nothing could be found out; undefined also while no answer has come. */
  failure: string | undefined;
  /** From question to answer. */
  milliseconds: number;
  /** The answer was known from an earlier question. */
  readonly cached: boolean;
}

/** How questions to a service are told; all but its name can be done without. */
interface Wording {
  readonly name: string;
  question?(method: string, args: readonly unknown[]): string;
  /** One value in an answer. */
  value?(value: unknown): unknown;
  /** Whether what is known at once has been asked for now: of others it is known from an earlier question. */
  readonly isAskedAtOnce?: boolean;
  /** Whether the texts in an answer are words of strangers, to be put into quotes. */
  isQuoted?(question: string): boolean;
}

const WORDINGS: { readonly [Name in ServiceName]?: Wording } = {
  records: {
    name: 'dns',
    question: (_, [type, name]) => `${type} ${name}`,
    value: (record) => (isExchanger(record) ? `${record.pref} ${record.host}` : record),
    isQuoted: (question) => question.startsWith('TXT '),
  },
  store: {
    name: 'store',
    question: (_, [operation]) => (isOperation(operation) ? operation.question : ''),
    value: (value) => value,
    isAskedAtOnce: true,
  },
  maps: {
    name: 'map',
    question: (method, [spec, key]) => (method === 'open' ? `open ${spec}` : `${spec} ${key}`),
    isQuoted: (question) => !question.startsWith('open '),
  },
  senders: {
    name: 'senders',
    question: (method, [address]) => `${method} <${address}>`,
  },
  keys: {
    name: 'key',
    question: (_, [text]) => (typeof text === 'string' && !isPem(text) ? text : 'in the script'),
    value: (key) => (typeof key === 'object' && key !== null && 'algorithm' in key ? key.algorithm : null),
  },
  callAhead: {
    name: 'callahead',
    question: (_, [request]) => (isCallAhead(request) ? `${request.hosts.join(' ')} <${request.rcpt}>` : ''),
  },
  mailer: {
    name: 'send',
    question: (_, [mail]) =>
      isMail(mail) ? `<${mail.from}> to <${mail.to.join('> <')}>, ${mail.message.length} bytes` : '',
    value: (value) => (isReply(value) ? value.reply : value),
  },
  geo: {
    name: 'geo',
    question: (_, [question, address]) => `${question} ${address}`,
    value: (value) => (isNetwork(value) ? `${value.number} ${value.name}` : value),
  },
  scanners: {
    name: 'scan',
    question: (method, [request]) => (isScan(request) ? `${method}, ${request.size} bytes` : method),
    value: (value) => (isScore(value) ? scoreText(value) : value),
  },
  web: {
    name: 'http',
    question: (_, [request]) => (isRequest(request) ? `${request.method} ${request.url}` : ''),
    value: (value) => (isResponse(value) ? `${value.code}, ${value.body.length} bytes` : value),
  },
};

/** Services that give no answers: to log, to count or to wait is no question. */
const SILENT: readonly ServiceName[] = ['clock', 'metrics', 'events', 'log', 'stderr'];

export function isAsked(service: ServiceName): boolean {
  return !SILENT.includes(service);
}

/** As questions to it are told. */
export function spokenName(service: ServiceName): string {
  return WORDINGS[service]?.name ?? service;
}

/** A question that has no answer yet. */
export function askedOf(
  service: ServiceName,
  method: string,
  args: readonly unknown[],
  isAtOnce: boolean,
): Asked {
  const wording = WORDINGS[service];
  const question = wording?.question?.(method, args) ?? [method, ...args.flatMap(wordOf)].join(' ');
  return {
    service: spokenName(service),
    question,
    answer: undefined,
    failure: undefined,
    milliseconds: 0,
    cached: isAtOnce && wording?.isAskedAtOnce !== true,
  };
}

/** Sets what became of a question. */
export function settle(asked: Asked, service: ServiceName, answer: Answer<unknown>): void {
  if (answer.kind === 'unknown') asked.failure = answer.reason;
  else asked.answer = plainOf(answer.value, WORDINGS[service]?.value ?? ((value) => value));
}

/** An answer in one line. @param quote puts text into quotes @param visible shows it without */
export function answerText(
  { service, question, answer, failure }: Asked,
  quote: (text: string) => string,
  visible: (text: string) => string,
): string {
  if (answer === undefined) return failure ?? 'no answer yet';
  const wording = Object.values(WORDINGS).find(({ name }) => name === service);
  return textOf(answer, (wording?.isQuoted?.(question) ?? !wording) ? quote : visible);
}

function textOf(value: unknown, show: (text: string) => string): string {
  if (typeof value === 'string') return show(value);
  if (typeof value !== 'object' || value === null) return value === null ? 'nothing' : String(value);
  if (Array.isArray(value)) return value.map((item) => textOf(item, show)).join(', ') || 'nothing';
  return Object.entries(value)
    .map(([key, item]) => `${key}=${textOf(item, show)}`)
    .join(' ');
}

/** Bytes become text, and what JSON cannot hold a text too. */
function plainOf(value: unknown, convert: (value: unknown) => unknown): unknown {
  const converted = convert(value);
  if (converted instanceof Uint8Array) return Buffer.from(converted).toString('latin1');
  if (Array.isArray(converted)) return converted.map((item) => plainOf(item, convert));
  if (converted instanceof Map) return plainOf(Object.fromEntries(converted), convert);
  if (typeof converted === 'object' && converted !== null) {
    const items = Object.entries(converted).map(([key, item]) => [key, plainOf(item, convert)]);
    return Object.fromEntries(items);
  }
  return converted ?? null;
}

/** Arguments that are words of a question. */
function wordOf(argument: unknown): string[] {
  if (typeof argument === 'string' || typeof argument === 'number') return [String(argument)];
  return argument instanceof Uint8Array ? [Buffer.from(argument).toString('latin1')] : [];
}

function isOperation(value: unknown): value is { readonly question: string } {
  return typeof value === 'object' && value !== null && 'question' in value;
}

function isRequest(value: unknown): value is { readonly method: string; readonly url: string } {
  return typeof value === 'object' && value !== null && 'method' in value && 'url' in value;
}

function isCallAhead(value: unknown): value is { readonly hosts: readonly string[]; readonly rcpt: string } {
  return typeof value === 'object' && value !== null && 'hosts' in value && 'rcpt' in value;
}

function isMail(value: unknown): value is OutgoingMail {
  return typeof value === 'object' && value !== null && 'message' in value && 'to' in value;
}

function isReply(value: unknown): value is { readonly reply: string } {
  return typeof value === 'object' && value !== null && 'kind' in value && 'reply' in value;
}

function isNetwork(value: unknown): value is { readonly number: number; readonly name: string } {
  return typeof value === 'object' && value !== null && 'number' in value && 'name' in value;
}

function isScan(value: unknown): value is { readonly size: number } {
  return typeof value === 'object' && value !== null && 'size' in value;
}

interface Score {
  readonly action?: string;
  readonly spam?: boolean;
  readonly score: number;
  readonly required: number;
  readonly symbols: readonly string[] | ReadonlyMap<string, unknown>;
}

function isScore(value: unknown): value is Score {
  return typeof value === 'object' && value !== null && 'score' in value && 'required' in value;
}

/** `reject, 20 of 15: SYMBOL OTHER` */
function scoreText({ action, spam, score, required, symbols }: Score): string {
  const names = 'keys' in symbols && symbols instanceof Map ? [...symbols.keys()] : [...symbols.values()];
  const verdict = action ?? (spam ? 'spam' : 'no spam');
  const text = `${verdict}, ${score} of ${required}${names.length > 0 ? `: ${names.join(' ')}` : ''}`;
  return Buffer.from(text).toString('latin1');
}

function isResponse(value: unknown): value is { readonly code: number; readonly body: Buffer } {
  return typeof value === 'object' && value !== null && 'code' in value && 'body' in value;
}

function isExchanger(record: unknown): record is MailExchanger {
  return typeof record === 'object' && record !== null && 'pref' in record && 'host' in record;
}
