/** `smtpf-milter try --repeat`: each message in a session of its own, and what became of all of them. */

import { positioned } from '../../policy/failure.ts';
import type { CallRecord } from '../../policy/policy-settings.ts';
import { visible } from '../../text/visible.ts';
import type { MessageAction, MessageOutcome } from '../../workbench/smtp-dialogue.ts';
import type { Paint } from '../paint.ts';
import { Progress } from '../progress.ts';
import { failureJson, outcomeJson, rounded } from './try-json.ts';
import type { StoredMessage } from './try-mailbox.ts';
import { sendMessage } from './try-message.ts';
import type { TryRun } from './try-run.ts';
import { ACTION_WORDS } from './try-text.ts';

const SLOWEST = 10;

interface Tried {
  readonly name: string;
  readonly outcome: MessageOutcome;
  readonly milliseconds: number;
  readonly failures: readonly CallRecord[];
  /** The calls that gave an answer other than `continue`. */
  readonly answers: readonly CallRecord[];
}

interface SlowCall {
  readonly message: string;
  readonly call: CallRecord;
}

/** What became of all messages. */
export interface RepeatReport {
  readonly tried: readonly Tried[];
  /** The callbacks that took longest, first the slowest. */
  readonly slowest: readonly SlowCall[];
  /** What the milter would have logged about replies, by message. */
  readonly problems: readonly string[];
}

/** @throws OperatorError when a message cannot be read. */
export async function tryAll(run: TryRun, messages: readonly StoredMessage[]): Promise<RepeatReport> {
  const { plan, recorder } = run;
  const progress = new Progress(messages.length);
  const tried: Tried[] = [];
  const problems: string[] = [];
  let slowest: SlowCall[] = [];
  for (const { name, read } of messages) {
    const content = read();
    recorder.clear();
    const began = performance.now();
    const outcome = await sendMessage(
      run.openSession(() => {}),
      plan,
      content,
    );
    const calls = recorder.calls.slice();
    const records = calls.flatMap(({ call }) => call ?? []);
    tried.push({
      name,
      outcome: { ...outcome, content: undefined },
      milliseconds: performance.now() - began,
      failures: records.filter(({ failure }) => failure !== undefined),
      answers: records.filter(({ verdict }) => verdict.kind !== 'continue').map(withoutMessage),
    });
    problems.push(...recorder.problems.map((problem) => `${name}: ${problem}`));
    slowest = [...slowest, ...records.map((call) => ({ message: name, call: withoutMessage(call) }))]
      .sort((one, other) => other.call.wallMilliseconds - one.call.wallMilliseconds)
      .slice(0, SLOWEST);
    progress.step();
  }
  progress.end();
  return { tried, slowest, problems };
}

/** In the order of the report. */
const ACTIONS = [
  'accept',
  'quarantine',
  'discard',
  'tempfail',
  'reject',
] as const satisfies readonly MessageAction[];

/** For a person; latin1. */
export function repeatText({ tried, slowest, problems }: RepeatReport, paint: Paint): string[] {
  const total = tried.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const lines = [
    `${paint('bold', `${tried.length} messages`)} in ${(total / 1000).toFixed(1)} s, ${(total / tried.length).toFixed(1)} ms wall time each`,
    '',
  ];
  for (const action of ACTIONS) {
    const { word, colour } = ACTION_WORDS[action];
    const count = tried.filter(({ outcome }) => outcome.action === action).length;
    if (count > 0) lines.push(`${String(count).padStart(7)}  ${paint(colour, word)}`);
  }
  const failed = tried.filter(({ failures }) => failures.length > 0);
  if (failed.length > 0)
    lines.push(`${String(failed.length).padStart(7)}  ${paint('red', 'with script errors')}`);

  const verdicts = verdictLines(tried);
  if (verdicts.length > 0) {
    lines.push('', paint('bold', 'By line of the script'));
    for (const { where, answer, count, names } of verdicts) {
      lines.push(
        `${String(count).padStart(7)}  ${visible(where)}  ${visible(answer)}`,
        paint('dim', `         ${visible(some([...names]))}`),
      );
    }
  }
  if (failed.length > 0) {
    lines.push('', paint('bold', 'Script errors'));
    for (const { name, failures } of failed) {
      for (const { name: callback, failure } of failures) {
        const what = failure ? `${positioned(failure)} (--on-error ${failure.action})` : '';
        lines.push(`  ${visible(name)}: ${callback}: ${paint('red', visible(what))}`);
      }
    }
  }
  lines.push('', paint('bold', 'Slowest callbacks'));
  for (const { message, call } of slowest) {
    const [wall, cpu] = [call.wallMilliseconds, call.cpuMilliseconds].map((ms) => ms.toFixed(1).padStart(7));
    lines.push(`  wall ${wall} ms  cpu ${cpu} ms  ${call.name}  ${visible(message)}`);
  }
  return [...lines, ...problems.map((problem) => paint('yellow', `warning: ${visible(problem)}`))];
}

/** See docs/try.md. */
export function repeatJson({ tried, slowest, problems }: RepeatReport): Readonly<Record<string, unknown>> {
  return {
    messages: tried.map(({ name, outcome, milliseconds, failures }) => {
      const { verdict, recipients, edits, notes } = outcomeJson(outcome);
      const errors = failures.map(failureJson);
      return { name, verdict, recipients, edits, notes, errors, wallMilliseconds: rounded(milliseconds) };
    }),
    outcomes: Object.fromEntries(
      ACTIONS.map((action) => [action, tried.filter(({ outcome }) => outcome.action === action).length]),
    ),
    lines: verdictLines(tried).map(({ names, ...line }) => ({ ...line, messages: [...names] })),
    slowest: slowest.map(({ message, call: { name, where, cpuMilliseconds, wallMilliseconds } }) => ({
      message,
      name,
      where: where === '' ? null : where,
      cpuMilliseconds: rounded(cpuMilliseconds),
      wallMilliseconds: rounded(wallMilliseconds),
    })),
    problems,
  };
}

interface VerdictLine {
  readonly where: string;
  readonly answer: string;
  count: number;
  readonly names: Set<string>;
}

/** Which line of the script gave which answer, how often and to which messages; the commonest first. */
function verdictLines(tried: readonly Tried[]): VerdictLine[] {
  const found = new Map<string, VerdictLine>();
  for (const { name, answers } of tried) {
    for (const call of answers) {
      const where = call.where || call.name;
      const answer = answerText(call);
      const key = `${where} ${answer}`;
      const line = found.get(key) ?? { where, answer, count: 0, names: new Set() };
      line.count += 1;
      line.names.add(name);
      found.set(key, line);
    }
  }
  return [...found.values()].sort((one, other) => other.count - one.count);
}

function answerText({ verdict, failure }: CallRecord): string {
  if (failure !== undefined) return `error, ${verdict.kind}`;
  return verdict.kind === 'reply' ? `${verdict.code} ${verdict.lines.join(' / ')}` : verdict.kind;
}

/** The event may hold on to a whole message. */
function withoutMessage(call: CallRecord): CallRecord {
  return { ...call, event: { kind: 'data' }, edits: [], notes: [] };
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown}, ... ${names.length - 5} more` : shown;
}
