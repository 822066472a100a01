/**
 * What was decided about a message, or about a session before there was one: the record behind the log's decision line,
 * the journal, and `trace`. Plain data; all texts are latin1.
 */

import type { Verdict } from '../milter/policy.ts';
import type { Failure } from '../policy/failure.ts';
import type { OnError } from '../policy/policy-settings.ts';
import { escapeByte } from '../text/lua-escape.ts';
import type { VerdictName } from './counts.ts';

/** What the client was told, in the script's words; nothing where the MTA finds its own. */
export interface Refusal {
  readonly code?: number;
  readonly text?: string;
  /** `file:line` of the script that it came from. */
  readonly where?: string;
  /** The callback had failed: this is the action of `--on-error`. */
  readonly onError?: OnError;
}

/** A callback that failed on the way to a decision, whatever came of it. */
export interface CallbackFailure {
  /** As the script spells it, or MAIN_CHUNK. */
  readonly callback: string;
  /** `file:line`; absent where no Lua code was at work. */
  readonly where?: string;
  /** In Lua's words, without traceback. */
  readonly message: string;
  /** What was done about it. */
  readonly action: OnError;
  /** How often, in the same place. */
  readonly times: number;
}

/** Stands for the name of a callback where the script itself does not run. */
export const MAIN_CHUNK = 'main chunk';

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
  /** `file:line` that it returned from, or failed at. */
  readonly where?: string;
  /** The action of `--on-error`, where the verdict is what that made of a failed callback. */
  readonly onError?: OnError;
  /** The first callbacks that failed, of the message and of its session before it; absent where none did. */
  readonly failures?: readonly CallbackFailure[];
  /** Spent in the script's callbacks: CPU time, and from their beginnings to their ends, waiting included. */
  readonly cpuMilliseconds: number;
  readonly wallMilliseconds: number;
  /** Hash of the script. */
  readonly script?: string;
  /** It is the candidate of `--canary`; absent where it is not. */
  readonly canary?: boolean;
}

export const MAX_RECIPIENTS = 20;

/** Places in which callbacks of a message, or of a session, failed; those beyond are in the log. */
const MAX_FAILURES = 5;
const MAX_TEXT = 512;
const MAX_SHOWN = 160;

/** The names of the line's fields, as they would begin one. */
const FIELD_NAMES = /(client|size|cpu|wall|helo|from|to)=/gi;

/** What a verdict comes to for a message; undefined for one that decides nothing. */
export function verdictName(verdict: Verdict): VerdictName | undefined {
  switch (verdict.kind) {
    case 'continue':
    case 'skip':
      return undefined;
    case 'reply':
      return verdict.code >= 500 ? 'reject' : 'tempfail';
    case 'accept':
    case 'discard':
    case 'reject':
    case 'tempfail':
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

/** Adds a failure to those of a message or a session. */
export function noteFailure(
  failures: CallbackFailure[],
  callback: string,
  { message, where, action }: Failure,
): void {
  const same = failures.findIndex((known) => known.callback === callback && (known.where ?? '') === where);
  const known = failures[same];
  if (known) failures[same] = { ...known, times: known.times + 1 };
  else if (failures.length < MAX_FAILURES) {
    const place = where === '' ? {} : { where };
    failures.push({ callback, ...place, message: bounded(message), action, times: 1 });
  }
}

/**
 * The decision as one line of a log: what no client chooses stands before what it may choose, and nothing of the second
 * kind looks like a field. docs/log.md has the grammar.
 */
export function decisionLine(decision: Decision): string {
  const { session, transaction, queueId, verdict, script, client } = decision;
  const id = transaction ?? session;
  const ids = queueId === undefined ? id : `${id}: ${inBrackets(queueId)}`;
  const cause = inText(causeOf(decision));
  const details = [...detailsOf(decision)].join(' ');
  const which = `script ${script ?? 'none'}${decision.canary ? ' canary' : ''}`;
  return `${ids}: ${clientField(client)}: ${verdict}: ${cause} (${which}), ${details}`;
}

function clientField({ ptr, ip }: Decision['client']): string {
  return `client=${hostName(ptr) || 'unknown'}[${bounded(ip, MAX_SHOWN).replace(/[^\w.:/-]/g, escapeByte)}]`;
}

/** A verified name is one of the DNS, in which its owner may write what he likes. */
function hostName(ptr: string): string {
  return bounded(ptr, MAX_SHOWN).replace(/[^\w.-]/g, escapeByte);
}

/** A value between brackets: nothing in it ends it, no blank begins another, and none has the name of a field. */
function inBrackets(value: string): string {
  return inText(value.replace(/[ \t\r\n\v\f<>"\\]/g, escapeByte));
}

/** A text of the script, which may hold what a client has said. */
function inText(text: string): string {
  return text.replace(FIELD_NAMES, (name) => `${name.slice(0, -1)}\\x3d`);
}

/** What made the verdict: the words of a callback with its line, and what failed on the way. */
export function causeOf(decision: Decision): string {
  const { onError, failures = [] } = decision;
  const failed = failures.length === 0 ? '' : failureWords(failures, decision.script !== undefined);
  if (onError !== undefined) return failed;
  return failed === '' ? wordsOf(decision) : `${wordsOf(decision)}; ${failed}`;
}

function wordsOf(decision: Decision): string {
  const { verdict, callback, where, code, text } = decision;
  const reply = code === undefined ? '' : `${code} ${bounded(text ?? '')}`;
  const line = where === undefined ? '' : ` at ${where}`;
  if (callback !== undefined) return `${callback}: ${reply || verdict}${line}`;
  return `${reply || reasonWithoutCallback(decision)}${line}`;
}

/** Why there is a decision that no callback has made. */
function reasonWithoutCallback({ verdict, text }: Decision): string {
  switch (verdict) {
    case 'abandoned':
      return 'given up by the client or the MTA';
    case 'accept':
      return 'no callback objected';
    case 'quarantine':
      return `smtp.quarantine: ${bounded(text ?? '', MAX_SHOWN)}`;
    default:
      return 'no callback was called';
  }
}

/** `smtp.do_rcpt failed at policy.lua:3 (2 times), --on-error continue` */
function failureWords(failures: readonly CallbackFailure[], isCompiled: boolean): string {
  const words = failures.map(({ callback, where, message, times }) => {
    if (callback === MAIN_CHUNK && !isCompiled) {
      // The message has been logged, once for each version of the file.
      return `the script does not run${where === undefined ? '' : ` (${where})`}`;
    }
    const place = where === undefined ? `: ${bounded(message, MAX_SHOWN)}` : ` at ${where}`;
    return `${callback} failed${place}${times > 1 ? ` (${times} times)` : ''}`;
  });
  return `${words.join(', ')}, --on-error ${failures[0]?.action}`;
}

function* detailsOf(decision: Decision): Generator<string> {
  const { client, sender, recipients, recipientCount, size, cpuMilliseconds, wallMilliseconds } = decision;
  if (size !== undefined) yield `size=${size}`;
  yield `cpu=${roundedMs(cpuMilliseconds)}ms`;
  yield `wall=${roundedMs(wallMilliseconds)}ms`;
  if (client.helo !== undefined) yield `helo=<${inBrackets(bounded(client.helo, MAX_SHOWN))}>`;
  if (sender !== undefined) yield `from=<${inBrackets(bounded(sender, MAX_SHOWN))}>`;
  if (recipients.length > 0) {
    const more = recipientCount - recipients.length;
    yield `to=${recipients.map(recipientText).join(',')}${more > 0 ? ` and ${more} more` : ''}`;
  }
}

function recipientText({ address, refused }: RecipientDecision): string {
  const shown = `<${inBrackets(bounded(address, MAX_SHOWN))}>`;
  if (refused === undefined) return shown;
  const { code, text, where, onError } = refused;
  const reply = code === undefined ? 'refused' : `${code} ${inText(bounded(text ?? '', MAX_SHOWN))}`;
  const at = where === undefined ? '' : ` at ${where}`;
  return `${shown} (${onError === undefined ? `${reply}${at}` : `failed${at}, --on-error ${onError}`})`;
}

/** Milliseconds with as many digits as mean something. */
export function roundedMs(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
