/**
 * What an SMTP client sees of a filter's reply, through Postfix or Sendmail.
 *
 * Seen with Postfix 3.7 and Sendmail 8.17. Texts are latin1.
 */
import type { Reply } from '../milter/reply.ts';

export type MtaKind = 'postfix' | 'sendmail';

/** One reply on the SMTP connection: its lines without code and enhanced status code. */
export interface ClientReply {
  readonly code: number;
  readonly enhanced: string | undefined;
  readonly lines: readonly string[];
}

export type ClientStage = 'connect' | 'helo' | 'mail' | 'rcpt' | 'data' | 'content' | 'unknown';

export function plain(code: number, enhanced: string | undefined, ...lines: string[]): ClientReply {
  return { code, enhanced, lines };
}

/** `550-5.7.1 one`, `550 5.7.1 two`: as on the wire, without line ends. */
export function replyLines({ code, enhanced, lines }: ClientReply): string[] {
  const prefix = enhanced === undefined ? '' : `${enhanced} `;
  return lines.map((line, index) => `${code}${index === lines.length - 1 ? ' ' : '-'}${prefix}${line}`);
}

/** Whether the MTA hangs up after this reply of a filter. */
export function closesSession(mta: MtaKind, { code }: ClientReply): boolean {
  return code === 421 || (code === 521 && mta === 'postfix');
}

/**
 * The refusal that a filter's reply is; undefined for replies that let the command pass.
 * @param path address of MAIL or RCPT with its angle brackets
 */
export function refusalOf(
  mta: MtaKind,
  stage: ClientStage,
  reply: Reply | undefined,
  path: string,
): ClientReply | undefined {
  switch (reply?.kind) {
    case 'reject':
      return addressed(mta, stage, rejection(mta, stage), path);
    case 'tempfail':
      return mta === 'postfix'
        ? plain(451, '4.7.1', 'Service unavailable - try again later')
        : plain(451, '4.3.2', 'Please try again later');
    case 'replyCode':
      return addressed(mta, stage, parseReply(reply.text), path);
    default:
      return undefined;
  }
}

function rejection(mta: MtaKind, stage: ClientStage): ClientReply {
  if (mta === 'sendmail' && stage === 'content') return plain(554, '5.7.1', 'Command rejected');
  if (mta === 'sendmail' && (stage === 'connect' || stage === 'helo'))
    return plain(550, '5.0.0', 'Command rejected');
  return plain(550, '5.7.1', 'Command rejected');
}

/** Sendmail puts the address before the first line of some replies, the middle of a long one left out. */
function addressed(mta: MtaKind, stage: ClientStage, reply: ClientReply, path: string): ClientReply {
  const named = (stage === 'mail' || stage === 'rcpt') && [450, 550, 553].includes(reply.code);
  if (mta !== 'sendmail' || !named) return reply;
  const [first = '', ...rest] = reply.lines;
  const shown = path.length < 203 ? path : `${path.slice(0, 100)}...${path.slice(-100)}`;
  return { ...reply, lines: [`${shown}... ${first}`, ...rest] };
}

/** Reads the text of SMFIR_REPLYCODE: every line carries the code and the same enhanced code, `%` is doubled. */
function parseReply(text: string): ClientReply {
  const lines = text.replaceAll('%%', '%').split('\r\n');
  const [, code = '', enhanced] = /^(\d{3})[ -](?:([245]\.\d{1,3}\.\d{1,3}) )?/.exec(lines[0] ?? '') ?? [];
  const skipped = 4 + (enhanced === undefined ? 0 : enhanced.length + 1);
  return { code: Number(code), enhanced, lines: lines.map((line) => line.slice(skipped)) };
}
