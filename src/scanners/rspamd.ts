/** rspamd's HTTP protocol (POST /checkv2): what it would do with a message, and why. */
import { type Answer, known, type Patience, unknown } from '../asking/answer.ts';
import { exchange } from '../http/exchange.ts';
import type { Content } from './conversation.ts';

/** Where rspamd is: the normal or the proxy worker. */
export interface RspamdPlace {
  /** Its path counts where it has one. */
  readonly url: URL;
  /** Of a unix socket, to which the connection is made then. */
  readonly socketPath?: string;
}

export function writtenPlace({ url, socketPath }: RspamdPlace): string {
  return socketPath === undefined ? url.origin : `unix:${socketPath}`;
}

/** What rspamd is told of the session. latin1 */
export interface RspamdEnvelope {
  readonly ip?: string | undefined;
  readonly helo?: string | undefined;
  readonly hostname?: string | undefined;
  readonly from?: string | undefined;
  readonly rcpt: readonly string[];
  readonly user?: string | undefined;
  readonly queueId?: string | undefined;
}

export interface RspamdSymbol {
  readonly score: number;
  readonly options: readonly string[];
}

export interface RspamdResult {
  readonly action: string;
  readonly score: number;
  readonly required: number;
  readonly symbols: ReadonlyMap<string, RspamdSymbol>;
  /** The changes that it asks for (`milter`), as it sends them. */
  readonly milter: unknown;
  /** The Subject that it asks for. */
  readonly subject: string | undefined;
  /** Values of the DKIM-Signature headers that it asks for. */
  readonly signatures: readonly string[];
  /** The text of a refusal that it asks for. */
  readonly reply: string | undefined;
}

const MAX_ANSWER = 1024 * 1024;

export async function askRspamd(
  place: RspamdPlace,
  password: string | undefined,
  content: Content,
  envelope: RspamdEnvelope,
  patience: Patience,
): Promise<Answer<RspamdResult>> {
  const subject = `rspamd at ${writtenPlace(place)}`;
  const url = new URL(place.url);
  if (url.pathname === '/') url.pathname = '/checkv2';
  const answer = await exchange(
    {
      method: 'POST',
      url,
      headers: headersOf(envelope, password),
      body: content,
      most: MAX_ANSWER,
      socketPath: place.socketPath,
      subject,
    },
    patience,
  );
  if (answer.kind === 'unknown') return answer;
  const { code, body } = answer.value;
  if (code !== 200)
    return unknown('unavailable', `${subject}: HTTP ${code} ${body.toString('latin1', 0, 200)}`);
  return readResult(body, subject);
}

function headersOf(envelope: RspamdEnvelope, password: string | undefined): Record<string, string> {
  const { ip, helo, hostname, from, rcpt, user, queueId } = envelope;
  const given = {
    IP: ip,
    Helo: helo,
    Hostname: hostname,
    From: from,
    User: user,
    'Queue-Id': queueId,
    Password: password,
  };
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) if (value !== undefined) headers[name] = oneLine(value);
  // One header, as rspamd reads it: Node.js would write an array as several.
  if (rcpt.length > 0) headers['Rcpt'] = rcpt.map(oneLine).join(',');
  return headers;
}

/** What a client has written must not begin a header of its own. */
const oneLine = (value: string) => value.replace(/[^\x20-\x7e\x80-\xff]/g, '?').slice(0, 1000);

function readResult(body: Buffer, subject: string): Answer<RspamdResult> {
  let result: unknown;
  try {
    result = JSON.parse(body.toString('utf8'));
  } catch {
    return unknown('protocol', `${subject}: no JSON`);
  }
  const {
    action,
    score,
    required_score: required,
    symbols,
    milter,
    subject: newSubject,
    messages,
    error,
    'dkim-signature': signatures,
  } = recordOf(result);
  if (typeof error === 'string') return unknown('unavailable', `${subject}: ${error}`);
  if (typeof action !== 'string' || typeof score !== 'number') {
    return unknown('protocol', `${subject}: no action and score`);
  }
  const reply = recordOf(messages)['smtp_message'];
  return known({
    action,
    score,
    required: typeof required === 'number' ? required : 0,
    symbols: new Map(Object.entries(recordOf(symbols)).map(([name, symbol]) => [name, symbolOf(symbol)])),
    milter,
    subject: typeof newSubject === 'string' ? newSubject : undefined,
    signatures: (Array.isArray(signatures) ? signatures : [signatures]).filter(
      (text) => typeof text === 'string',
    ),
    reply: typeof reply === 'string' ? reply : undefined,
  });
}

function symbolOf(symbol: unknown): RspamdSymbol {
  const { score, options } = recordOf(symbol);
  return {
    score: typeof score === 'number' ? score : 0,
    options: Array.isArray(options) ? options.filter((option) => typeof option === 'string') : [],
  };
}

function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}
