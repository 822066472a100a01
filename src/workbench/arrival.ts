/**
 * What Postfix and Sendmail do to a message before a filter sees it.
 *
 * Seen with Postfix 3.7 and Sendmail 8.17; Postfix src/cleanup/cleanup_message.c, sendmail/collect.c.
 */
import { type ClientReply, type MtaKind, plain } from './client-reply.ts';
import { type MailHeader, type MailMessage, parseMessage } from './mail-message.ts';

export interface ArrivalFacts {
  readonly queueId: string;
  readonly host: string;
  readonly sender: string;
  readonly time: Date;
  /** The client is on the MTA's own machine: Postfix adds headers that are missing for such clients only. */
  readonly local: boolean;
}

export type Arrival =
  | { readonly message: MailMessage; readonly refusal?: undefined }
  /** The MTA refuses the message by itself; the filter is shown nothing of it. */
  | { readonly message?: undefined; readonly refusal: ClientReply };

/** Postfix: message_drop_headers. */
const DROPPED = new Set(['bcc', 'content-length', 'resent-bcc', 'return-path']);

export function arrive(mta: MtaKind, bytes: Buffer, facts: ArrivalFacts): Arrival {
  const message = parseMessage(bytes);
  if (mta === 'sendmail') {
    return hasBareCarriageReturn(message)
      ? { refusal: plain(421, '4.5.0', 'Bare carriage return (CR) not allowed') }
      : { message };
  }
  const headers = message.headers
    .filter(({ name }) => !DROPPED.has(name.toLowerCase()))
    .map(({ name, value }) => ({ name, value: value.replaceAll('\r', ' ') }));
  if (facts.local) headers.push(...missingHeaders(mta, message.headers, facts));
  return { message: { headers, body: withoutBareCarriageReturns(message.body) } };
}

/** The headers that the MTA adds where the client has sent none, in its order. */
export function missingHeaders(
  mta: MtaKind,
  present: readonly MailHeader[],
  facts: ArrivalFacts,
): MailHeader[] {
  const names = new Set(present.map(({ name }) => name.toLowerCase()));
  const { time, host, queueId, sender } = facts;
  const digits = time
    .toISOString()
    .replace(/\D/g, '')
    .slice(0, mta === 'postfix' ? 14 : 12);
  const date = time.toUTCString().replace('GMT', mta === 'postfix' ? '+0000 (UTC)' : 'GMT');
  const values = [
    ['Message-Id', `<${digits}.${queueId}@${host}>`],
    ['Date', date],
    ['From', sender || 'MAILER-DAEMON'],
  ] as const;
  const resent = [...names].some((name) => name.startsWith('resent-'));
  // Of a message that is sent again Postfix completes only what tells of that, Sendmail both.
  const prefixes = mta === 'postfix' ? [resent ? 'Resent-' : ''] : resent ? ['Resent-', ''] : [''];
  return prefixes
    .flatMap((prefix) => values.map(([name, value]) => ({ name: `${prefix}${name}`, value: ` ${value}` })))
    .filter(({ name }) => !names.has(name.toLowerCase()));
}

function hasBareCarriageReturn({ headers, body }: MailMessage): boolean {
  return headers.some(({ value }) => value.includes('\r')) || /\r(?!\n)/.test(body.toString('latin1'));
}

function withoutBareCarriageReturns(body: Buffer): Buffer {
  if (!body.includes('\r')) return body;
  const text = body.toString('latin1');
  return /\r(?!\n)/.test(text) ? Buffer.from(text.replace(/\r(?!\n)/g, ' '), 'latin1') : body;
}
