/** What a worker tells of a session, no longer than it needs to be, and of people no more than the journal keeps. */
import { bounded } from '../control/decision.ts';
import { anonymous, localPart, networkOf } from '../control/journal-key.ts';
import type { Change, Side } from '../replay/differences.ts';
import type { ShadowFinding } from './tally.ts';

const MAX_CHANGES = 50;
const MAX_EDITS = 8;
const MAX_QUESTIONS = 20;

/** @param isRedacted as `--journal-redact` says */
export function toldFinding(finding: ShadowFinding, isRedacted: boolean): ShadowFinding {
  const { client, sender, changes, failures, unrecorded } = finding;
  const people = [client, localPart(sender)];
  const text = (latin1: string) => bounded(isRedacted ? anonymous(latin1, people) : latin1);
  return {
    ...finding,
    client: isRedacted ? networkOf(client) : bounded(client),
    sender: text(sender),
    changes: changes.slice(0, MAX_CHANGES).map((change) => toldChange(change, text)),
    failures: failures
      .slice(0, MAX_CHANGES)
      .map((failure) => ({ ...failure, message: text(failure.message) })),
    unrecorded: unrecorded.slice(0, MAX_QUESTIONS).map(text),
  };
}

function toldChange(change: Change, text: (latin1: string) => string): Change {
  const { command, before, after, edits } = change;
  const side = (one: Side): Side => ({ ...one, answer: text(one.answer) });
  const lines = (all: readonly string[]) => all.slice(0, MAX_EDITS).map(text);
  return {
    ...change,
    command: text(command),
    before: side(before),
    after: side(after),
    edits: { before: lines(edits.before), after: lines(edits.after) },
  };
}
