/** `smtpf-milter try --repeat`: each message in a session of its own, and what became of all of them. */

import { replyLines } from '../workbench/client-reply.ts';
import type { RecordedCall } from '../workbench/recorder.ts';
import type { Action, MessageOutcome } from '../workbench/smtp-dialogue.ts';
import { type Colour, type Paint, visible } from './paint.ts';
import type { TryBench } from './try-bench.ts';
import { callsJson, outcomeJson } from './try-json.ts';
import { openMailbox } from './try-mailbox.ts';
import { sendMessage } from './try-message.ts';

const SLOWEST = 10;
const BAR = 30;

interface Tried {
  readonly name: string;
  readonly outcome: MessageOutcome;
  readonly milliseconds: number;
  readonly failures: readonly RecordedCall[];
}

interface SlowCall {
  readonly message: string;
  readonly call: RecordedCall;
}

/** What became of all messages. */
export interface RepeatReport {
  readonly tried: readonly Tried[];
  /** The callbacks that took longest, first the slowest. */
  readonly slowest: readonly SlowCall[];
  /** What the milter would have logged about replies, by message. */
  readonly problems: readonly string[];
}

/** @throws OperatorError when the messages cannot be read. */
export async function tryAll(bench: TryBench, path: string): Promise<RepeatReport> {
  const { plan, recorder } = bench;
  const messages = openMailbox(path);
  const progress = new Progress(messages.length);
  const tried: Tried[] = [];
  const problems: string[] = [];
  let slowest: SlowCall[] = [];
  for (const { name, read } of messages) {
    const content = read();
    recorder.clear();
    const began = performance.now();
    const outcome = await sendMessage(
      bench.openSession(() => {}),
      plan,
      content,
    );
    const calls = recorder.calls.slice();
    tried.push({
      name,
      outcome: { ...outcome, content: undefined },
      milliseconds: performance.now() - began,
      failures: calls.filter(({ call }) => call?.failure !== undefined),
    });
    problems.push(...recorder.problems.map((problem) => `${name}: ${problem}`));
    slowest = [...slowest, ...calls.flatMap((call) => (call.call ? [{ message: name, call }] : []))]
      .sort((one, other) => other.call.milliseconds - one.call.milliseconds)
      .slice(0, SLOWEST);
    progress.step();
  }
  progress.end();
  return { tried, slowest, problems };
}

/** On a terminal only, and on standard error: what is printed stays clean. */
class Progress {
  readonly #total: number;
  readonly #shown = process.stderr.isTTY === true;
  #done = 0;

  constructor(total: number) {
    this.#total = total;
  }

  step(): void {
    this.#done += 1;
    if (!this.#shown) return;
    const filled = Math.floor((this.#done / this.#total) * BAR);
    process.stderr.write(
      `\r[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}] ${this.#done} of ${this.#total}`,
    );
  }

  end(): void {
    if (this.#shown) process.stderr.write('\r\x1b[K');
  }
}

const ACTIONS: readonly (readonly [Action, string, Colour])[] = [
  ['accept', 'accepted', 'green'],
  ['quarantine', 'quarantined', 'yellow'],
  ['discard', 'thrown away', 'yellow'],
  ['tempfail', 'deferred', 'yellow'],
  ['reject', 'refused', 'red'],
];

/** For a person; latin1. */
export function repeatText({ tried, slowest, problems }: RepeatReport, paint: Paint): string[] {
  const total = tried.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const lines = [
    `${paint('bold', `${tried.length} messages`)} in ${(total / 1000).toFixed(1)} s, ${(total / tried.length).toFixed(1)} ms each`,
    '',
  ];
  for (const [action, word, colour] of ACTIONS) {
    const count = tried.filter(({ outcome }) => outcome.action === action).length;
    if (count > 0) lines.push(`${String(count).padStart(7)}  ${paint(colour, word)}`);
  }
  const failed = tried.filter(({ failures }) => failures.length > 0);
  if (failed.length > 0)
    lines.push(`${String(failed.length).padStart(7)}  ${paint('red', 'with script errors')}`);

  const verdicts = verdictLines(tried);
  if (verdicts.length > 0) {
    lines.push('', paint('bold', 'By line of the script'));
    for (const { where, reply, names } of verdicts) {
      lines.push(
        `${String(names.length).padStart(7)}  ${visible(where)}  ${visible(reply)}`,
        paint('dim', `         ${visible(some(names))}`),
      );
    }
  }
  if (failed.length > 0) {
    lines.push('', paint('bold', 'Script errors'));
    for (const { name, failures } of failed) {
      for (const { call } of failures) {
        lines.push(`  ${visible(name)}: ${call?.name}: ${paint('red', visible(call?.failure ?? ''))}`);
      }
    }
  }
  lines.push('', paint('bold', 'Slowest callbacks'));
  for (const { message, call } of slowest) {
    lines.push(`${call.milliseconds.toFixed(1).padStart(7)} ms  ${call.call?.name}  ${visible(message)}`);
  }
  return [...lines, ...problems.map((problem) => paint('yellow', `warning: ${visible(problem)}`))];
}

/** See docs/try.md. */
export function repeatJson({ tried, slowest, problems }: RepeatReport): Readonly<Record<string, unknown>> {
  return {
    messages: tried.map(({ name, outcome, milliseconds, failures }) => {
      const { verdict, recipients, edits } = outcomeJson(outcome);
      const errors = failures.map(({ call }) => ({ callback: call?.name, error: call?.failure }));
      return { name, verdict, recipients, edits, errors, ms: Math.round(milliseconds * 1000) / 1000 };
    }),
    outcomes: Object.fromEntries(
      ACTIONS.map(([action]) => [action, tried.filter(({ outcome }) => outcome.action === action).length]),
    ),
    lines: verdictLines(tried).map(({ where, reply, names }) => ({
      where,
      reply,
      count: names.length,
      messages: names,
    })),
    slowest: slowest.map(({ message, call }) => ({ message, ...callsJson([call])[0] })),
    problems,
  };
}

interface VerdictLine {
  readonly where: string;
  readonly reply: string;
  readonly names: string[];
}

/** Which line of the script gave which answer to which messages, the commonest first. */
function verdictLines(tried: readonly Tried[]): VerdictLine[] {
  const found = new Map<string, VerdictLine>();
  for (const { name, outcome } of tried) {
    const refusals = new Map<string, readonly string[]>();
    const call = outcome.decisive?.call;
    if (call) refusals.set(call.where || call.name, replyLines(outcome.reply));
    for (const [where, lines] of refusals) {
      const reply =
        outcome.action === 'accept' || outcome.action === 'discard' || outcome.action === 'quarantine'
          ? (call?.verdict.kind ?? '')
          : (lines[0] ?? '');
      const key = `${where} ${reply}`;
      const line = found.get(key) ?? { where, reply, names: [] };
      found.set(key, line);
      line.names.push(name);
    }
  }
  return [...found.values()].sort((one, other) => other.names.length - one.names.length);
}

function some(names: readonly string[]): string {
  const shown = names.slice(0, 5).join(', ');
  return names.length > 5 ? `${shown}, ... ${names.length - 5} more` : shown;
}
