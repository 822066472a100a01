/** `smtpf-milter replay`: recorded sessions again, against another policy. */
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Options } from '../../options/option-table.ts';
import type { RecordedSession } from '../../recording/recorded-session.ts';
import { indexSessions, readSession, type SessionIndex } from '../../recording/session-file.ts';
import type { Finding } from '../../replay/differences.ts';
import { replayAll } from '../../replay/parallel.ts';
import { newKeys, SessionReplay } from '../../replay/session-replay.ts';
import { testOf } from '../../replay/session-test.ts';
import { asciiJson } from '../../text/json-text.ts';
import { EXIT, OperatorError } from '../../text/operator-error.ts';
import { visible } from '../../text/visible.ts';
import { noInput, requireScript, unreadable } from '../input-file.ts';
import { paintFor } from '../paint.ts';
import { Progress } from '../progress.ts';
import { reportOf, reportText } from './replay-report.ts';

/** Exit codes beyond those of sysexits.h. */
const CHANGED = 1;
const BROKEN = 3;

export interface ReplayArguments {
  readonly directory: string;
  readonly against: string | undefined;
  readonly jobs: string | undefined;
  readonly asTest: string | undefined;
  readonly json: boolean;
}

/** @param options with the policy as their script */
export async function replay(options: Options, args: ReplayArguments): Promise<number> {
  const { directory, against, asTest, json } = args;
  const jobs = jobsOf(args.jobs);
  requireScript('replay', options.script);
  if (against !== undefined) requireScript('replay --against', against);
  const index = indexOf(directory);
  if (asTest !== undefined) return printTest(options.script, asTest, index);
  const settings = {
    options,
    against: against === undefined ? undefined : { ...options, script: resolve(against) },
    keys: newKeys(),
  };
  const first = new SessionReplay(settings);
  const problem = await first.problem();
  first.close();
  if (problem !== undefined) {
    process.stderr.write(`smtpf-milter: replay: ${visible(problem)}\n`, 'latin1');
    return BROKEN;
  }
  const findings: Finding[] = [];
  const problems = [...index.problems];
  const progress = new Progress(index.places.length);
  await replayAll(index.places, settings, jobs, (replayed) => {
    if ('problem' in replayed) problems.push(replayed.problem);
    else findings.push(replayed);
    progress.step();
  });
  progress.end();
  const report = reportOf(findings, problems);
  const isClean = report.groups.length === 0 && report.unrecorded.length === 0;
  process.stdout.write(
    json
      ? `${asciiJson(report)}\n`
      : `${reportText(report, against !== undefined, paintFor(process.stdout)).join('\n')}\n`,
    'latin1',
  );
  return isClean ? EXIT.ok : CHANGED;
}

function jobsOf(text: string | undefined): number {
  if (text === undefined) return availableParallelism();
  if (/^[1-9]\d{0,2}$/.test(text)) return Number(text);
  throw new OperatorError(`--jobs: ${JSON.stringify(text)} must be a whole number from 1 to 999`, EXIT.usage);
}

function indexOf(directory: string): SessionIndex {
  let index: SessionIndex;
  try {
    index = indexSessions(directory);
  } catch (error) {
    throw unreadable('replay:', directory, error);
  }
  if (index.places.length > 0) return index;
  const why = index.problems.length === 0 ? '' : ` (${index.problems.join('; ')})`;
  throw noInput(`replay: ${directory}: no recorded session is there${why}`);
}

function printTest(policy: string, id: string, { places }: SessionIndex): number {
  let session: RecordedSession | undefined;
  for (const place of places) {
    const found = readable(place);
    if (found?.id === id) session = found;
  }
  if (session === undefined) throw noInput(`replay --as-test ${id}: no such session in the recording`);
  process.stdout.write(testOf(session, policy), 'latin1');
  return EXIT.ok;
}

function readable(place: Parameters<typeof readSession>[0]): RecordedSession | undefined {
  try {
    return readSession(place);
  } catch {
    return undefined;
  }
}
