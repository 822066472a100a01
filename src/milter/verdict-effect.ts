/**
 * What a verdict comes to on the wire: the reply that has its effect on either MTA, and how far that reaches.
 *
 * Sources: libmilter/docs (which reply is legal where); what Postfix 3.7 and Sendmail 8.17 were seen to make of each.
 */
import { SMFIP } from './constants.ts';
import type { Verdict } from './policy.ts';
import type { Modification, Reply } from './reply.ts';
import { formatReply } from './reply-text.ts';

/** What a final reply other than `continue` puts an end to. */
export type Scope = 'session' | 'transaction' | 'command';

/** Events that take a reply, and the bit that says they take none. */
export const NO_REPLY = {
  connect: SMFIP.NR_CONN,
  helo: SMFIP.NR_HELO,
  mail: SMFIP.NR_MAIL,
  rcpt: SMFIP.NR_RCPT,
  data: SMFIP.NR_DATA,
  header: SMFIP.NR_HDR,
  headers: SMFIP.NR_EOH,
  chunk: SMFIP.NR_BODY,
  endOfMessage: 0,
  unknown: SMFIP.NR_UNKN,
} as const;
export type Stage = keyof typeof NO_REPLY;

/** A reply, and what the operator should read of it: that the script's text was changed to fit the protocol. */
export interface EffectiveReply {
  readonly reply: Reply;
  readonly warnings: readonly string[];
}

const ACCEPT: EffectiveReply = { reply: { kind: 'accept' }, warnings: [] };
const CONTINUE: EffectiveReply = { reply: { kind: 'continue' }, warnings: [] };

/**
 * @param mayEndBody SMFIR_SKIP was agreed on
 */
export function replyTo(verdict: Verdict, stage: Stage, mayEndBody: boolean): EffectiveReply {
  switch (verdict.kind) {
    case 'continue':
      return CONTINUE;
    case 'accept':
      // At an unknown command there is nothing to accept.
      return stage === 'unknown' ? CONTINUE : ACCEPT;
    case 'discard':
      // Sendmail: at CONNECT it would switch the filter off and deliver. Postfix: logs and ignores it. Each message of
      // the session is discarded at its MAIL instead.
      if (stage === 'connect' || stage === 'helo' || stage === 'unknown') return CONTINUE;
      return { reply: { kind: 'discard' }, warnings: [] };
    case 'skip':
      // Sendmail: outside the body SKIP leaves out the body or bypasses the filter. Here it is never needed: the
      // policy is simply not asked again.
      return stage === 'chunk' && mayEndBody ? { reply: { kind: 'skip' }, warnings: [] } : CONTINUE;
    case 'reject':
    case 'tempfail':
      return { reply: { kind: verdict.kind }, warnings: [] };
    case 'reply':
      return formatted(verdict);
    default:
      return verdict satisfies never;
  }
}

type TextReply = Extract<Verdict, { kind: 'reply' }>;

/** A policy has a few texts of one line that it uses again and again: by text, what was made of it last. */
const known = new Map<string, { readonly verdict: TextReply; readonly effective: EffectiveReply }>();
const MOST_KNOWN = 200;
const LONGEST_KNOWN = 500;

function formatted(verdict: TextReply): EffectiveReply {
  const { code, lines, enhanced } = verdict;
  const line = lines.length === 1 ? (lines[0] ?? '') : '';
  const last = known.get(line);
  if (last !== undefined && last.verdict.code === code && last.verdict.enhanced === enhanced) {
    return last.effective;
  }
  const { text, warnings } = formatReply(code, lines, enhanced);
  const effective: EffectiveReply = { reply: { kind: 'replyCode', text }, warnings };
  if (line !== '' && line.length <= LONGEST_KNOWN) {
    if (known.size >= MOST_KNOWN) known.clear();
    known.set(line, { verdict, effective });
  }
  return effective;
}

/** Source: milter-protocol tables of Sendmail's and Postfix's effect of each reply at each event. */
export function scopeOf(verdict: Verdict, stage: Stage): Scope {
  if (stage === 'endOfMessage') return 'transaction';
  if (verdict.kind === 'continue' || verdict.kind === 'skip') return 'command';
  const whole = verdict.kind === 'accept' || verdict.kind === 'discard';
  switch (stage) {
    case 'connect':
    case 'helo':
      return 'session';
    case 'rcpt':
    case 'data':
      return whole ? 'transaction' : 'command';
    case 'unknown':
      return 'command';
    default:
      return 'transaction';
  }
}

/** For an MTA that puts a space behind the colon itself. An empty value would delete: it stays as it is. */
export function withoutLeadingSpace(modification: Modification): Modification {
  switch (modification.kind) {
    case 'addHeader':
    case 'insertHeader':
    case 'changeHeader':
      return { ...modification, value: modification.value.replace(/^ (?!$)/, '') };
    default:
      return modification;
  }
}
