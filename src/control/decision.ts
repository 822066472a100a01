/**
 * What was decided about a message, or about a session before there was one: the record behind the log's decision line,
 * the journal, and `trace`. Plain data; all texts are latin1.
 */
import type { Verdict } from '../milter/policy.ts';
import type { VerdictName } from './counts.ts';

/** What the client was told, in the script's words; nothing where the MTA finds its own. */
export interface Refusal {
  readonly code?: number;
  readonly text?: string;
  /** `file:line` of the script that it came from. */
  readonly where?: string;
}

export interface RecipientDecision {
  readonly address: string;
  readonly refused?: Refusal;
}

export interface Decision {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly session: string;
  /** Absent where a session was refused. */
  readonly transaction?: string;
  readonly queueId?: string;
  readonly client: { readonly ip: string; readonly ptr: string; readonly helo?: string };
  readonly sender?: string;
  /** The first of them; `recipientCount` says how many there were. */
  readonly recipients: readonly RecipientDecision[];
  readonly recipientCount: number;
  /** In bytes: as received, or as the client announced it. */
  readonly size?: number;
  readonly verdict: VerdictName;
  readonly code?: number;
  readonly text?: string;
  /** The callback that decided, as the script spells it. */
  readonly callback?: string;
  /** `file:line` that it returned from. */
  readonly where?: string;
  /** Spent in the script's callbacks. */
  readonly milliseconds: number;
  /** Hash of the script. */
  readonly script?: string;
}

export const MAX_RECIPIENTS = 20;

const MAX_TEXT = 512;
const MAX_SHOWN = 160;

/** What a verdict comes to for a message; undefined for one that decides nothing. */
export function verdictName(verdict: Verdict): VerdictName | undefined {
  switch (verdict.kind) {
    case 'continue':
    case 'skip':
      return undefined;
    case 'reply':
      return verdict.code >= 500 ? 'reject' : 'defer';
    case 'tempfail':
      return 'defer';
    case 'accept':
    case 'discard':
    case 'reject':
      return verdict.kind;
    default:
      return verdict satisfies never;
  }
}

/** The words of a verdict that refuses. */
export function refusalOf(verdict: Verdict, where: string): Refusal {
  const position = where === '' ? {} : { where };
  if (verdict.kind !== 'reply') return position;
  const text = verdict.lines.join(' / ');
  return { code: verdict.code, text: verdict.enhanced ? `${verdict.enhanced} ${text}` : text, ...position };
}

/** A text that may have come from anywhere, short enough for a record. */
export function bounded(text: string, most = MAX_TEXT): string {
  return text.length <= most ? text : `${text.slice(0, most - 3)}...`;
}

/** The decision as one line of a log. */
export function decisionLine(decision: Decision): string {
  const { session, transaction, queueId, verdict, callback, where, code, text, script } = decision;
  const ids = queueId === undefined ? (transaction ?? session) : `${transaction ?? session}: ${queueId}`;
  const reply = code === undefined ? '' : ` ${code} ${bounded(text ?? '')}`;
  const by = callback === undefined ? '' : ` ${callback}:${reply === '' ? ` ${verdict}` : reply}`;
  const line = where === undefined ? '' : ` at ${where}`;
  const details = [...detailsOf(decision)].join(' ');
  return `${ids}: ${verdict}:${by || reply || ` ${reasonWithoutCallback(decision)}`}${line} (script ${script ?? 'none'}), ${details}`;
}

/** Why there is a decision that no callback has made. */
export function reasonWithoutCallback({ verdict, script }: Decision): string {
  if (verdict === 'abandoned') return 'given up by the client or the MTA';
  if (script === undefined) return 'the script does not run';
  return verdict === 'accept' ? 'no callback objected' : 'no callback was called';
}

function* detailsOf(decision: Decision): Generator<string> {
  const { client, sender, recipients, recipientCount, size, milliseconds } = decision;
  if (sender !== undefined) yield `from=<${bounded(sender, MAX_SHOWN)}>`;
  if (recipients.length > 0) {
    const more = recipientCount - recipients.length;
    yield `to=${recipients.map(recipientText).join(',')}${more > 0 ? ` and ${more} more` : ''}`;
  }
  yield `client=${bounded(client.ptr, MAX_SHOWN) || 'unknown'}[${bounded(client.ip, MAX_SHOWN)}]`;
  if (client.helo !== undefined) yield `helo=<${bounded(client.helo, MAX_SHOWN)}>`;
  if (size !== undefined) yield `size=${size}`;
  yield `time=${roundedMs(milliseconds)}ms`;
}

function recipientText({ address, refused }: RecipientDecision): string {
  const shown = `<${bounded(address, MAX_SHOWN)}>`;
  if (refused === undefined) return shown;
  const reply =
    refused.code === undefined ? 'refused' : `${refused.code} ${bounded(refused.text ?? '', MAX_SHOWN)}`;
  return `${shown} (${reply}${refused.where === undefined ? '' : ` at ${refused.where}`})`;
}

/** Milliseconds with as many digits as mean something. */
export function roundedMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
