/**
 * One message handed to a mail server. The one place that uses nodemailer: the dialogue, STARTTLS, line ends and dots are
 * its work. It is loaded when a script that sends is.
 */
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createConnection, type LookupFunction, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Answer, type Failure, known, type Patience, unknown } from '../asking/answer.ts';
import { OURS } from './own-addresses.ts';
import { type SmarthostPlace, type TlsLevel, writtenPlace } from './smarthost-place.ts';

type Connection = typeof import('nodemailer/lib/smtp-connection').default;
type SendInfo = import('nodemailer/lib/smtp-connection').SentMessageInfo;

const require = createRequire(import.meta.url);
let loaded: Connection | undefined;

/** Loads the package, once in a process. @throws an error that names what is missing */
export function loadNodemailer(): Connection {
  try {
    loaded ??= require('nodemailer/lib/smtp-connection') as Connection;
    return loaded;
  } catch {
    throw new Error('smtp.send needs `npm install nodemailer@10.6.1`');
  }
}

/** Text is latin1. */
export interface Submission {
  readonly server: SmarthostPlace;
  readonly tls: TlsLevel;
  /** What we say at EHLO. */
  readonly helo: string;
  /** Without brackets; `''` is the null sender. */
  readonly from: string;
  readonly to: readonly string[];
  /** ENVID for servers that take it (RFC 3461): printable ASCII. */
  readonly envelopeId: string;
  /** Headers, an empty line and the body, with any line ends. */
  readonly message: readonly Buffer[];
}

/** What the server makes of it; replies are `550 5.1.1 text`, further lines behind LF. */
export type Verdict =
  /** `refused`: recipients that it did not take, and why. */
  | { readonly kind: 'sent'; readonly reply: string; readonly refused: ReadonlyMap<string, string> }
  /** Nobody gets it, for good. */
  | { readonly kind: 'no'; readonly reply: string }
  | { readonly kind: 'unsure'; readonly reply: string };

/** Bytes of the message that are written between two turns of the event loop. */
const PIECE = 64 * 1024;
const MAX_REPLY = 64 * 1024;
/** How long the other side may take to close the connection when all has been said. */
const CLOSE_MS = 2000;

/** Never rejects. @param lookup which address a name leads to */
export async function submit(
  submission: Submission,
  lookup: LookupFunction,
  { timeoutMs, cancelled }: Patience,
): Promise<Answer<Verdict>> {
  const { host, port } = submission.server;
  const subject = `smarthost ${writtenPlace(submission.server)}`;
  if (cancelled.aborted) return unknown('unavailable', `${subject}: cancelled`);
  const socket = createConnection({ host, port, lookup });
  socket.on('error', () => {}); // Who waits for it is told; later nobody does.
  let end: (answer: Answer<Verdict>) => void = () => {};
  const over = new Promise<Answer<Verdict>>((resolve) => {
    end = resolve;
  });
  const late = () => end(unknown('timeout', `${subject}: no answer in ${timeoutMs / 1000} s`));
  const timer = setTimeout(late, timeoutMs);
  const cancel = () => end(unknown('unavailable', `${subject}: cancelled`));
  cancelled.addEventListener('abort', cancel, { once: true });
  const talk = talkOver(socket, submission, timeoutMs).catch((error: unknown) => failed(error, subject));
  try {
    const answer = await Promise.race([over, talk]);
    // What was said to the end is said good-bye to, the rest is cut off.
    if (answer.kind === 'unknown') socket.destroy();
    return answer;
  } finally {
    clearTimeout(timer);
    cancelled.removeEventListener('abort', cancel);
  }
}

/** Rejects with whatever fails on the way. */
async function talkOver(socket: Socket, submission: Submission, timeoutMs: number): Promise<Answer<Verdict>> {
  const { server, tls, helo, from, to, envelopeId, message } = submission;
  const SmtpConnection = loadNodemailer();
  await once(socket, 'connect');
  const connection = new SmtpConnection({
    connection: socket,
    host: server.host,
    port: server.port,
    secure: false,
    name: helo,
    ignoreTLS: tls === 'none',
    requireTLS: tls === 'verify',
    opportunisticTLS: tls === 'may',
    tls: { rejectUnauthorized: tls === 'verify' },
    // Our own time ends all of it.
    connectionTimeout: timeoutMs + CLOSE_MS,
    greetingTimeout: timeoutMs + CLOSE_MS,
    socketTimeout: timeoutMs + CLOSE_MS,
    socketCloseTimeout: CLOSE_MS,
    maxResponseSize: MAX_REPLY,
  });
  // However it ends, it does.
  const close = () => {
    setTimeout(() => connection.close(), CLOSE_MS).unref();
  };
  return new Promise<Answer<Verdict>>((resolve, reject) => {
    const settle = (error: unknown) => {
      const verdict = verdictOf(error);
      if (verdict === undefined) reject(error);
      else resolve(known(verdict));
    };
    connection.on('error', settle);
    connection.on('end', () => reject(new Error('closed the connection')));
    connection.connect((problem) => {
      if (problem) return settle(problem);
      const size = message.reduce((sum, { length }) => sum + length, 0);
      const envelope = {
        from: unicodeOf(from),
        to: to.map(unicodeOf),
        size,
        use8BitMime: true,
        dsn: { envid: envelopeId },
      };
      const bytes = Readable.from(piecesOf(message), { objectMode: false });
      connection.send(envelope, bytes, (error, info) => {
        if (error) settle(error);
        else resolve(known(sentOf(info)));
        connection.quit();
      });
    });
  }).finally(close);
}

function sentOf({ response, rejectedErrors = [] }: SendInfo): Verdict {
  const refused = rejectedErrors.map(
    (each) => [latin1Of(each.recipient ?? ''), replyOf(each.response)] as const,
  );
  return { kind: 'sent', reply: replyOf(response), refused: new Map(refused) };
}

async function* piecesOf(message: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const part of message) {
    for (let at = 0; at < part.length; at += PIECE) {
      yield part.subarray(at, at + PIECE);
      await nextTurn();
    }
  }
}

/** What nodemailer's errors tell. */
interface SubmissionError {
  readonly code?: string;
  readonly command?: string;
  readonly response?: string;
  readonly responseCode?: number;
  readonly message: string;
}

/** What the server has said; undefined where it has said nothing that is a reply. */
function verdictOf(error: unknown): Verdict | undefined {
  const { command = '', response, responseCode = 0 } = error as SubmissionError;
  if (responseCode < 400 || responseCode > 599) return undefined;
  const reply = replyOf(response);
  const isOfMessage = ['MAIL FROM', 'RCPT TO', 'DATA'].includes(command);
  return isOfMessage && responseCode >= 500
    ? { kind: 'no', reply }
    : { kind: 'unsure', reply: `${STEPS[command] ?? command}: ${reply}` };
}

const STEPS: Readonly<Record<string, string>> = { CONN: 'greeting', 'MAIL FROM': 'MAIL', 'RCPT TO': 'RCPT' };

const FAILURES: Readonly<Record<string, Failure>> = {
  [OURS]: 'refused',
  EPROTOCOL: 'protocol',
  EENVELOPE: 'protocol',
  ETIMEDOUT: 'timeout',
  // The size that the server has told.
  EMESSAGE: 'limit',
};

function failed(error: unknown, subject: string): Answer<never> {
  const { code = '', message } = error as SubmissionError;
  return unknown(FAILURES[code] ?? 'unavailable', `${subject}: ${message.slice(0, 200)}`);
}

/** A reply as one text, in latin1: the code once, its lines joined by LF. */
function replyOf(response: string | undefined): string {
  const lines = latin1Of(response ?? '').split(/\r?\n/);
  const texts = lines.map((line, i) =>
    i === 0 ? line.replace(/^(\d{3})-/, '$1 ') : line.replace(/^\d{3}[ -]?/, ''),
  );
  return texts
    .map((text) => text.replace(/[^\x20-\x7e\x80-\xff]/g, '?'))
    .join('\n')
    .trim()
    .slice(0, 1000);
}

/** Bytes of an address are UTF-8, if anything. */
const unicodeOf = (latin1: string): string => Buffer.from(latin1, 'latin1').toString('utf8');
const latin1Of = (unicode: string): string => Buffer.from(unicode, 'utf8').toString('latin1');
