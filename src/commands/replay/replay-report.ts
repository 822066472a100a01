/** What a replay has found, by line of the policy: for people and for programs. */
import { type ChangeGroup, groupOf } from '../../replay/change-group.ts';
import type { Change, Finding } from '../../replay/differences.ts';
import { visible } from '../../text/visible.ts';
import type { Colour, Paint } from '../paint.ts';

export interface ReplayReport {
  readonly sessions: number;
  readonly changed: number;
  /** The commonest first. */
  readonly groups: readonly ChangeGroup[];
  /** Sessions whose outcome hangs on what was not recorded, though nothing else changed. */
  readonly unrecorded: readonly {
    readonly question: string;
    readonly sessions: number;
    readonly example: string;
  }[];
  /** What the policy would be told and was not asked for when the sessions were recorded. */
  readonly unseen: readonly { readonly what: string; readonly sessions: number }[];
  readonly redacted: number;
  readonly problems: readonly string[];
}

interface Growing {
  readonly group: ChangeGroup;
  readonly sessions: Set<string>;
}

export function reportOf(all: readonly Finding[], problems: readonly string[]): ReplayReport {
  const findings = [...all].sort(
    (one, other) => one.began - other.began || (one.session < other.session ? -1 : 1),
  );
  const groups = new Map<string, Growing>();
  const unrecorded = new Map<string, { sessions: number; example: string }>();
  const unseen = new Map<string, number>();
  for (const finding of findings) {
    for (const change of finding.changes) {
      const known = groups.get(change.group) ?? { group: groupOf(change, finding), sessions: new Set() };
      known.sessions.add(finding.session);
      groups.set(change.group, known);
    }
    for (const question of finding.unrecorded) {
      const known = unrecorded.get(question) ?? { sessions: 0, example: finding.session };
      known.sessions += 1;
      unrecorded.set(question, known);
    }
    for (const what of finding.unseen) unseen.set(what, (unseen.get(what) ?? 0) + 1);
  }
  return {
    sessions: findings.length,
    changed: findings.filter(({ changes }) => changes.length > 0).length,
    groups: [...groups.values()]
      .map(({ group, sessions }) => ({ ...group, sessions: sessions.size }))
      .sort((one, other) => other.sessions - one.sessions),
    unrecorded: [...unrecorded]
      .map(([question, { sessions, example }]) => ({ question, sessions, example }))
      .sort((one, other) => other.sessions - one.sessions),
    unseen: [...unseen].map(([what, sessions]) => ({ what, sessions })),
    redacted: findings.filter(({ isRedacted }) => isRedacted).length,
    problems,
  };
}

/** Questions that are shown: there may be one for each client. */
const MOST_QUESTIONS = 10;
const MOST_EDITS = 8;

/** Latin1. @param isCompared with another policy, and not with what was answered then */
export function reportText(report: ReplayReport, isCompared: boolean, paint: Paint): string[] {
  const { sessions, changed, groups, unrecorded, unseen, redacted, problems } = report;
  const lines = [`${paint('bold', `${counted(sessions, 'session')}, ${changed} would change`)}`];
  for (const group of groups) {
    lines.push('');
    for (const line of groupLines(group, paint)) lines.push(line);
  }
  if (unrecorded.length > 0) {
    lines.push(
      '',
      paint('bold', 'Not in the recording: what this policy asks and the one before did not ask'),
    );
    for (const { question, sessions: count, example } of unrecorded.slice(0, MOST_QUESTIONS)) {
      lines.push(
        `${String(count).padStart(7)}  ${visible(question)}`,
        paint('dim', `         session ${example}`),
      );
    }
    if (unrecorded.length > MOST_QUESTIONS)
      lines.push(`         and ${unrecorded.length - MOST_QUESTIONS} more`);
  }
  const notes = [
    ...unseen.map(
      ({ what, sessions: count }) =>
        `${counted(count, 'session')} without ${what}: nobody had asked the MTA for it`,
    ),
    ...(redacted > 0 && !isCompared
      ? [`${counted(redacted, 'session')} redacted: compare with the policy that served them by --against`]
      : []),
    ...problems,
  ];
  if (notes.length > 0) lines.push('');
  for (const note of notes) lines.push(paint('yellow', `warning: ${visible(note)}`));
  return lines;
}

/** As people know them. */
export const STAGES: Readonly<Record<Change['stage'], string>> = {
  connect: 'connect',
  helo: 'HELO',
  mail: 'MAIL',
  rcpt: 'RCPT',
  data: 'DATA',
  message: 'message',
  unknown: 'unknown command',
};

/** Latin1. */
export function groupLines({ kind, stage, sessions, example }: ChangeGroup, paint: Paint): string[] {
  const { session, time, client, sender, queueId, command, before, after, edits } = example;
  const lines = [
    `${String(sessions).padStart(7)}  ${paint('bold', `${STAGES[stage]}: ${kind}`)}  ${placeOf(after)}${before.where === after.where ? '' : ` (was ${placeOf(before)})`}`,
    paint(
      'dim',
      `         session ${visible(session)}, ${queueId === undefined ? '' : `${visible(queueId)}, `}${time}, client ${visible(client) || 'unknown'}, from ${visible(sender) || 'nobody yet'}`,
    ),
    paint('dim', `         ${visible(command)}`),
  ];
  const show = (sign: string, colour: Colour, text: string): void => {
    lines.push(paint(colour, `         ${sign} ${visible(text)}`));
  };
  if (kind === 'edits') {
    for (const line of edits.before.slice(0, MOST_EDITS)) show('-', 'red', line);
    for (const line of edits.after.slice(0, MOST_EDITS)) show('+', 'green', line);
  } else {
    show('-', 'red', before.answer);
    show('+', 'green', after.answer);
  }
  return lines;
}

function placeOf({ where, callback }: Change['before']): string {
  return visible(where || callback || 'no callback');
}

export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
