/** The options of `smtpf-milter try` itself, and the plan that they and the arguments come to. */
import { isIP } from 'node:net';
import { EXIT, OperatorError } from '../../text/operator-error.ts';
import type { MtaKind } from '../../workbench/client-reply.ts';
import { parseSmtpCommand } from '../../workbench/smtp-script.ts';
import { ownList, ownSwitch, ownValue } from '../own-option.ts';

const MESSAGE = 'What is tried';
const CLIENT = 'The client and the MTA';

export const TRY_OPTIONS = {
  from: ownValue(
    MESSAGE,
    'Sender, with ESMTP parameters behind it if wanted; <> is the null sender',
    'as the message says',
  ),
  to: ownList(MESSAGE, 'Recipient, likewise. May be given several times', 'as the message says'),
  session: ownValue(
    MESSAGE,
    'File with SMTP commands to say in place of one message; - for standard input, typed or piped',
  ),
  repeat: ownValue(
    MESSAGE,
    'Directory or mbox file of messages: each is tried, and what became of them is summed up',
  ),
  dns: ownValue(
    MESSAGE,
    'File of records that stand in the place of the DNS; what is not in it does not exist',
  ),
  live: ownSwitch(
    MESSAGE,
    'Ask the servers that the policy asks: those of its maps, web servers, and the store of --store',
  ),
  ip: ownValue(CLIENT, 'Address of the SMTP client', '192.0.2.1'),
  ptr: ownValue(CLIENT, 'Its verified name', 'none'),
  helo: ownValue(CLIENT, 'What it says at EHLO', 'its name, or client.example'),
  auth: ownValue(CLIENT, 'User as whom the client logs in'),
  tls: ownValue(CLIENT, 'Version of TLS that the client asks for with STARTTLS: TLSv1.3'),
  mta: ownValue(CLIENT, 'The MTA to imitate: postfix or sendmail', 'postfix'),
  macro: ownList(CLIENT, 'A macro of the MTA, NAME=VALUE. May be given several times'),
  json: ownSwitch('Output', 'Print JSON, see docs/try.md'),
} as const;

/** An address with its angle brackets, and ESMTP parameters. */
export interface Path {
  readonly address: string;
  readonly params: readonly string[];
}

/** All text is latin1, one character per byte, but for the paths of files. */
export interface TryPlan {
  readonly policy: string;
  /** File of the message; undefined for the built-in one. */
  readonly message: string | undefined;
  readonly mta: MtaKind;
  readonly ip: string;
  readonly ptr: string;
  readonly helo: string;
  /** Undefined: as the message says. */
  readonly from: Path | undefined;
  readonly to: readonly Path[];
  readonly auth: string | undefined;
  readonly tls: string | undefined;
  readonly macros: ReadonlyMap<string, string>;
  readonly dns: string | undefined;
  readonly live: boolean;
  readonly session: string | undefined;
  readonly repeat: string | undefined;
  readonly json: boolean;
}

/** @param args as yargs has them. @throws OperatorError */
export function readPlan(args: Readonly<Record<string, unknown>>): TryPlan {
  const texts = (name: keyof typeof TRY_OPTIONS): string[] => [args[name] ?? []].flat().map(String);
  const text = (name: keyof typeof TRY_OPTIONS): string | undefined => texts(name)[0];
  const { policy, message, json, live } = args;
  const from = text('from');
  const ptr = bytes(text('ptr') ?? '');
  const plan: TryPlan = {
    policy: String(policy),
    message: message === undefined ? undefined : String(message),
    mta: readMta(text('mta') ?? 'postfix'),
    ip: readIp(text('ip') ?? '192.0.2.1'),
    ptr,
    helo: bytes(text('helo') ?? '') || ptr || 'client.example',
    from: from === undefined ? undefined : readPath('from', from),
    to: texts('to').map((recipient) => readPath('to', recipient)),
    auth: optional(text('auth')),
    tls: readTls(text('tls')),
    macros: new Map(texts('macro').map(readMacro)),
    dns: text('dns'),
    live: live === true,
    session: text('session'),
    repeat: text('repeat'),
    json: json === true,
  };
  const [first, second] = [
    ['MESSAGE', plan.message],
    ['--session', plan.session],
    ['--repeat', plan.repeat],
  ].flatMap(([name, value]) => (value === undefined ? [] : [name]));
  if (second !== undefined) throw wrong(`try: ${first} and ${second}: only one of them at a time`);
  return plan;
}

export function wrong(message: string): OperatorError {
  return new OperatorError(message, EXIT.usage);
}

function readMta(text: string): MtaKind {
  if (text === 'postfix' || text === 'sendmail') return text;
  throw wrong(`--mta: ${JSON.stringify(text)} must be postfix or sendmail`);
}

function readIp(text: string): string {
  if (isIP(text) !== 0 || text.startsWith('/') || text === '') return bytes(text);
  throw wrong(`--ip: ${JSON.stringify(text)} must be an IP address, or the path of a unix socket`);
}

function readTls(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const [, digits] = /^(?:TLSv?)?(1(?:\.[0-3])?)$/i.exec(text) ?? [];
  if (digits !== undefined) return `TLSv${digits}`;
  throw wrong(`--tls: ${JSON.stringify(text)} must be a version of TLS: TLSv1.2 or TLSv1.3`);
}

function readMacro(text: string): [string, string] {
  const equals = text.indexOf('=');
  if (equals > 0) return [bytes(text.slice(0, equals)), bytes(text.slice(equals + 1))];
  throw wrong(`--macro: ${JSON.stringify(text)} must be NAME=VALUE`);
}

/** `a@b.example SIZE=10`, `<a@b.example>`, `<>`. */
function readPath(name: 'from' | 'to', text: string): Path {
  const command = parseSmtpCommand(`MAIL FROM:${text.trim() === '' ? '<>' : bytes(text)}`);
  if (command.kind === 'mail' && !(name === 'to' && /^<?>?$/.test(command.address))) {
    const { address, params } = command;
    return { address: address.startsWith('<') ? address : `<${address}>`, params };
  }
  throw wrong(`--${name}: ${JSON.stringify(text)} must be an address`);
}

function optional(text: string | undefined): string | undefined {
  return text === undefined ? undefined : bytes(text);
}

/** What the command line gave, as one character per byte. */
function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
