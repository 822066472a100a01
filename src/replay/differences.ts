/** What is different between two runs of a session: of each message the first difference, after which nothing is known. */
import { createHash } from 'node:crypto';
import type { Modification, Reply } from '../milter/reply.ts';
import type { ReadSession } from './commands.ts';
import type { Played } from './playing.ts';
import type { Stage, Step } from './steps.ts';

/** One side of a change. Texts are latin1. */
export interface Side {
  /** `continue`, `550 5.7.1 no`. */
  readonly answer: string;
  readonly callback: string;
  readonly where: string;
}

export interface Change {
  readonly kind: 'verdict' | 'text' | 'edits';
  readonly stage: Stage;
  /** `RCPT TO:<a@example.com>` */
  readonly command: string;
  /** Of the message, where it is known. */
  readonly queueId: string | undefined;
  readonly before: Side;
  readonly after: Side;
  /** Changes to the message that are made on one side only. */
  readonly edits: { readonly before: readonly string[]; readonly after: readonly string[] };
  /** The same for changes that the same lines make to other mail. */
  readonly group: string;
}

/** What is to be told of a session. */
export interface Finding {
  readonly session: string;
  /** Milliseconds since the epoch. */
  readonly began: number;
  readonly client: string;
  readonly sender: string;
  readonly changes: readonly Change[];
  /** Look-ups on which the outcome depends and that have no recorded answer. */
  readonly unrecorded: readonly string[];
  readonly unseen: readonly string[];
  readonly isRedacted: boolean;
}

export function findingOf(read: ReadSession, before: readonly Step[], after: Played): Finding {
  const { session } = read;
  const { changes, unrecorded } = compare(before, after.steps);
  return {
    session: session.id,
    began: session.began,
    ...peopleOf(read),
    changes,
    unrecorded,
    unseen: after.unseen,
    isRedacted: session.redacted.length > 0,
  };
}

function compare(before: readonly Step[], after: readonly Step[]): Pick<Finding, 'changes' | 'unrecorded'> {
  let others: ReadonlyMap<string, Step> | undefined;
  const changes: Change[] = [];
  const unrecorded = new Set<string>();
  const settled = new Set<number>();
  for (const [i, step] of before.entries()) {
    if (step.message > 0 && settled.has(step.message)) continue;
    let other = after[i];
    // Both have nearly always the same steps.
    if (other?.key !== step.key) {
      others ??= new Map(after.map((its) => [its.key, its]));
      other = others.get(step.key);
    }
    if (other === undefined) continue;
    for (const question of other.unrecorded) unrecorded.add(question);
    const change = changeOf(step, other);
    if (change === undefined) continue;
    changes.push(change);
    if (step.message > 0) settled.add(step.message);
    else if (step.stage !== 'unknown') break; // What the client would have said then is not known.
  }
  return { changes, unrecorded: [...unrecorded] };
}

function changeOf(before: Step, after: Step): Change | undefined {
  if (before.edits.length + after.edits.length === 0 && isSameReply(before.reply, after.reply))
    return undefined;
  const [was, is] = [before, after].map(({ reply, stage }) => answerOf(reply, stage)) as [string, string];
  const edits = was === is && isDelivered(before) ? editsBetween(before, after) : { before: [], after: [] };
  const hasEdits = edits.before.length + edits.after.length > 0;
  if (was === is && !hasEdits) return undefined;
  const kind = hasEdits ? 'edits' : verdictOf(was) === verdictOf(is) ? 'text' : 'verdict';
  const sides = { before: sideOf(before, was), after: sideOf(after, is) };
  const names = [
    ...edits.before.map((line) => `-${nameOf(line)}`),
    ...edits.after.map((line) => `+${nameOf(line)}`),
  ];
  const group = [
    ...[kind, before.stage, verdictOf(was), verdictOf(is), sides.before.where, sides.after.where],
    ...new Set(names),
  ].join('\n');
  const { stage, command } = before;
  return { kind, stage, command, queueId: after.queueId, ...sides, edits, group };
}

function isSameReply(one: Reply, other: Reply): boolean {
  if (one.kind !== 'replyCode' || other.kind !== 'replyCode') return one.kind === other.kind;
  return one.text === other.text;
}

function sideOf({ callback, where }: Step, answer: string): Side {
  return { answer, callback, where };
}

function isDelivered({ reply }: Step): boolean {
  return reply.kind === 'continue' || reply.kind === 'accept';
}

function answerOf(reply: Reply, stage: Stage): string {
  if (reply.kind === 'replyCode') return reply.text.replaceAll('%%', '%');
  // At the end of a message both mean that it is taken.
  return reply.kind === 'continue' && stage === 'message' ? 'accept' : reply.kind;
}

/** Of an answer: what it does, without its words. */
function verdictOf(answer: string): string {
  return /^\d{3}/.exec(answer)?.[0] ?? answer;
}

function editsBetween(before: Step, after: Step): Change['edits'] {
  const was = before.edits.map(editText);
  const is = after.edits.map(editText);
  const left = without(was, is);
  const right = without(is, was);
  const isReordered = left.length + right.length === 0 && was.some((line, i) => line !== is[i]);
  return isReordered
    ? { before: ['another order of the changes'], after: [] }
    : { before: left, after: right };
}

/** What is in one list and not in the other, each as often as it is there. */
function without(list: readonly string[], other: readonly string[]): string[] {
  const rest = [...other];
  return list.filter((line) => {
    const at = rest.indexOf(line);
    if (at >= 0) rest.splice(at, 1);
    return at < 0;
  });
}

/** Headers in which a signature stands that no other key can make. */
const SIGNED = /^(?:DKIM-Signature|ARC-Seal|ARC-Message-Signature)$/i;

function shownValue(name: string, value: string): string {
  const shown = SIGNED.test(name) ? value.replace(/\bb=[A-Za-z0-9+/=\s]*/, 'b=...') : value;
  return shown.replace(/^ /, '');
}

function editText(edit: Modification): string {
  switch (edit.kind) {
    case 'addHeader':
      return `add ${edit.name}: ${shownValue(edit.name, edit.value)}`;
    case 'insertHeader':
      return `insert ${edit.name}: ${shownValue(edit.name, edit.value)} (at ${edit.index})`;
    case 'changeHeader':
      return edit.value === ''
        ? `delete ${edit.name}: number ${edit.index}`
        : `change ${edit.name}: ${shownValue(edit.name, edit.value)} (number ${edit.index})`;
    case 'addRecipient':
      return `add recipient: ${edit.address}${edit.params ? ` ${edit.params}` : ''}`;
    case 'deleteRecipient':
      return `delete recipient: ${edit.address}`;
    case 'changeSender':
      return `change sender: ${edit.address}${edit.params ? ` ${edit.params}` : ''}`;
    case 'replaceBody': {
      const digest = createHash('sha256').update(edit.bytes).digest('hex').slice(0, 12);
      return `replace body: ${edit.bytes.length} bytes (${digest})`;
    }
    case 'quarantine':
      return `quarantine: ${edit.reason}`;
    default:
      return edit satisfies never;
  }
}

/** Of a change to the message: what it is, without its value. */
function nameOf(line: string): string {
  return line.replace(/:.*$/s, '');
}

function peopleOf({ commands }: ReadSession): Pick<Finding, 'client' | 'sender'> {
  let client = '';
  let sender = '';
  for (const command of commands) {
    if (command?.kind === 'connect')
      client = 'address' in command.client ? command.client.address : command.hostname;
    if (command?.kind === 'mail') {
      sender = command.address;
      break;
    }
  }
  return { client, sender };
}
