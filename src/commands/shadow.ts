/** `smtpf-milter shadow report`: what the candidate of `--shadow` would have done otherwise. */
import { askServer } from '../control/control-client.ts';
import type { Options } from '../options/option-table.ts';
import type { ShadowReport } from '../shadow/shadow-state.ts';
import type { FailureGroup } from '../shadow/tally.ts';
import { asciiJson } from '../text/json-text.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { visible } from '../text/visible.ts';
import { type Paint, paintFor } from './paint.ts';
import { counted, groupLines } from './replay/replay-report.ts';

/** Exit codes beyond those of sysexits.h, as those of `replay`. */
const DIFFERENT = 1;
const BROKEN = 3;

export interface ShadowArguments {
  readonly action: string;
  readonly json: boolean;
  readonly reset: boolean;
}

/** @throws OperatorError for another action, and where no server answers or it has no candidate. */
export async function shadow(options: Options, { action, json, reset }: ShadowArguments): Promise<number> {
  if (action !== 'report')
    throw new OperatorError(`shadow ${action}: no such action: report expected`, EXIT.usage);
  const request = { command: 'shadow', ...(reset && { reset: 'true' }) };
  for await (const answer of askServer(options, request)) {
    // The server is this program: its answer has this form.
    const report = answer['shadow'] as ShadowReport;
    const text = json ? asciiJson(report) : reportText(report, paintFor(process.stdout)).join('\n');
    process.stdout.write(`${text}\n`, 'latin1');
    if (report.problem !== undefined) return BROKEN;
    const { different, failed, unasked } = report;
    return different + failed + unasked.length > 0 ? DIFFERENT : EXIT.ok;
  }
  throw new OperatorError('the server has ended', EXIT.unavailable);
}

/** Latin1. */
function reportText(report: ShadowReport, paint: Paint): string[] {
  const { path, candidate, live, problem, since, compared, different, failed } = report;
  const lines = [
    paint(
      'bold',
      visible(`${counted(compared, 'session')}, ${different} would be different, ${failed} failed`),
    ),
    visible(`${path} (${candidate ?? 'no version yet'}) beside ${live ?? 'no script'}, since ${since}`),
  ];
  for (const group of report.groups) lines.push('', ...groupLines(group, paint));
  for (const failure of report.failures) lines.push('', ...failureLines(failure, paint));
  if (report.unasked.length > 0) {
    lines.push(
      '',
      paint('bold', 'Asked by the candidate alone, and not by a shadow: it got nil, "unavailable ..."'),
    );
    for (const { question, sessions, example } of report.unasked)
      lines.push(
        `${String(sessions).padStart(7)}  ${visible(question)}`,
        paint('dim', `         session ${visible(example)}`),
      );
  }
  const notes = notesOf(report);
  if (notes.length > 0) lines.push('');
  for (const note of notes) lines.push(paint('yellow', `warning: ${visible(note)}`));
  if (problem !== undefined) lines.push(paint('red', `does not run: ${visible(problem)}`));
  return lines;
}

function notesOf({ notCompared, unlisted, unseen }: ShadowReport): string[] {
  const { busy, long, broken } = notCompared;
  const not = (count: number, why: string) =>
    count === 0 ? [] : [`${counted(count, 'session')} not compared: ${why}`];
  return [
    ...unseen.map(
      ({ what, sessions }) =>
        `${counted(sessions, 'session')} without ${what}: nobody had asked the MTA for it`,
    ),
    ...not(busy, 'the process was short of time or memory'),
    ...not(long, 'too long to be kept'),
    ...not(broken, 'the candidate did not run'),
    ...(unlisted === 0
      ? []
      : [`differences in ${counted(unlisted, 'session')} are of too many kinds to be listed`]),
  ];
}

function failureLines({ callback, where, message, sessions, example }: FailureGroup, paint: Paint): string[] {
  const { session, time, client, sender } = example;
  return [
    `${String(sessions).padStart(7)}  ${paint('bold', 'failed')}  ${visible(where === '' ? callback : `${where}, ${callback}`)}`,
    paint(
      'dim',
      `         session ${visible(session)}, ${time}, client ${visible(client) || 'unknown'}, from ${visible(sender) || 'nobody yet'}`,
    ),
    paint('red', `         ${visible(message)}`),
  ];
}
