/** `smtpf-milter test [FILES]`: runs the tests that stand beside policies. */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative, resolve } from 'node:path';
import type { Options } from '../options/option-table.ts';
import { formatLcov, mergeCoverage, summarize } from '../policy-test/coverage.ts';
import { findTestFiles } from '../policy-test/find-files.ts';
import { formatJunit } from '../policy-test/junit.ts';
import { runTestFiles } from '../policy-test/parallel.ts';
import type { RecordingReport } from '../policy-test/recording.ts';
import { type Summary, summaryOf } from '../policy-test/summary.ts';
import { formatTap } from '../policy-test/tap.ts';
import type { FileReport } from '../policy-test/test-file.ts';
import { TextReport } from '../policy-test/text-report.ts';
import { visibleReport } from '../policy-test/visible-report.ts';
import { FileWatch } from '../policy-test/watch.ts';
import { indentedJson } from '../text/json-text.ts';
import { EXIT, OperatorError, systemReason } from '../text/operator-error.ts';
import { visibleText } from '../text/visible.ts';

export interface TestArguments {
  /** Files and directories. */
  readonly places: readonly string[];
  /** Regular expression, without regard to case, for names of cases. */
  readonly filter: string | undefined;
  /** Processes. */
  readonly jobs: string | undefined;
  readonly watch: boolean;
  /** Whether each file ends with the first case that fails. */
  readonly bail: boolean;
  /** Whether real services are asked, and their answers kept. */
  readonly record: boolean;
  /** What goes to standard output; text for people if neither. */
  readonly tap: boolean;
  readonly json: boolean;
  readonly coverage: boolean;
  /** Files to write. */
  readonly junit: string | undefined;
  readonly lcov: string | undefined;
}

const FAILED = 1;
const BROKEN = 3;

/**
 * @returns 0, 1 when cases failed, 3 when files could not be run to their end
 * @throws OperatorError when there is nothing to run, or a file cannot be written
 */
export async function test(options: Options, given: TestArguments): Promise<number> {
  checkFilter(given.filter);
  checkOutputs(given);
  const jobs = readJobs(given.jobs);
  if (!given.watch) return conclude(await runOnce(options, given, jobs), given);
  return runAgainAndAgain(options, given, jobs);
}

async function runOnce(options: Options, given: TestArguments, jobs: number): Promise<Summary> {
  const began = performance.now();
  const withCoverage = given.coverage || given.lcov !== undefined;
  const text = textReport(given);
  const files = await runTestFiles(findTestFiles(given.places), {
    settings: {
      options,
      coverage: withCoverage,
      filter: given.filter,
      bail: given.bail,
      record: given.record,
    },
    jobs,
    finished: (report) => {
      const isEmpty = report.cases.length === 0 && report.broken === undefined;
      if (text && !isEmpty) process.stdout.write(`${text.file(visibleReport(report))}\n`);
      if (report.recording) process.stderr.write(recordingLines(report.recording));
    },
  });
  const coverage = mergeCoverage(files.map((file) => file.coverage.map(named)));
  return summaryOf(files, performance.now() - began, coverage);
}

/** To standard error, so that reports for programs stay what they are. */
function recordingLines({ path, answers, unanswered, problem }: RecordingReport): string {
  const lines = [
    `${path}: ${problem ?? `${answers} recorded ${answers === 1 ? 'answer' : 'answers'}`}`,
    ...unanswered.map((question) => `  no answer to record: ${question}`),
  ];
  return lines.map((line) => `${visibleText(line)}\n`).join('');
}

/** Prints and writes the reports. */
function conclude(summary: Summary, given: TestArguments): number {
  const text = textReport(given);
  const coverage = summary.coverage.map((of) => ({ ...of, file: visibleText(of.file) }));
  const shown = { ...summary, files: summary.files.map(visibleReport), coverage };
  if (text) {
    if (given.coverage) process.stdout.write(`${text.coverage(coverage)}\n`);
    process.stdout.write(text.summary(summary));
  }
  if (given.tap) {
    process.stdout.write(formatTap(shown));
    if (given.coverage) process.stdout.write(commented(new TextReport(false).coverage(coverage)));
  }
  if (given.json) process.stdout.write(indentedJson(plainSummary(summary)));
  if (given.junit !== undefined) write('--junit', given.junit, formatJunit(shown));
  if (given.lcov !== undefined) write('--lcov', given.lcov, formatLcov(coverage));
  if (summary.broken > 0) return BROKEN;
  if (summary.failed > 0) return FAILED;
  if (summary.passed === 0) {
    throw new OperatorError(`--filter: no test.case matches ${JSON.stringify(given.filter)}`, EXIT.usage);
  }
  return EXIT.ok;
}

/** Ends with the process. */
async function runAgainAndAgain(options: Options, given: TestArguments, jobs: number): Promise<never> {
  const known = new Set<string>();
  const watch = new FileWatch((path) => known.has(path) || path.endsWith('_test.lua'));
  for (;;) {
    try {
      const tests = findTestFiles(given.places).map((file) => resolve(file));
      learn(tests);
      const summary = await runOnce(options, given, jobs);
      learn(summary.files.flatMap((file: FileReport) => file.dependencies));
      conclude(summary, given);
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      process.stdout.write(`${visibleText(error.message)}\n`);
      watch.add(given.places.map((place) => resolve(place, 'any')));
    }
    if (textReport(given)) process.stdout.write('\nwaiting for changes\n');
    const changed = await watch.next();
    if (textReport(given)) {
      if (process.stdout.isTTY) process.stdout.write('\x1bc');
      process.stdout.write(`changed: ${changed.map((path) => visibleText(shortName(path))).join(' ')}\n\n`);
    }
  }

  function learn(paths: readonly string[]): void {
    for (const path of paths) known.add(path);
    watch.add(paths);
  }
}

function textReport(given: TestArguments): TextReport | undefined {
  if (forPrograms(given).length > 0) return undefined;
  const { NO_COLOR: unwanted } = process.env;
  return new TextReport(process.stdout.isTTY && process.stdout.hasColors() && !unwanted);
}

/** What --json prints; see docs/testing.md. */
function plainSummary({ files, coverage, ...counts }: Summary): object {
  return {
    ...counts,
    files: files.map(({ file, policy, broken, milliseconds, cases }) => ({
      file,
      policy,
      broken,
      milliseconds,
      cases: cases.map((report) => ({ ...report, outcome: report.failure ? 'failed' : 'passed' })),
    })),
    coverage: coverage.map(summarize),
  };
}

function named<Of extends { readonly file: string }>(of: Of): Of {
  return { ...of, file: shortName(of.file) };
}

/** As seen from the working directory, where it is in it. */
function shortName(path: string): string {
  const short = relative('', resolve(path));
  return short.startsWith('..') ? path : short;
}

function write(option: string, file: string, content: string): void {
  if (isStandardOutput(file)) {
    process.stdout.write(content);
    return;
  }
  try {
    writeFileSync(file, content);
  } catch (error) {
    throw new OperatorError(
      `${option} ${file}: cannot be written: ${systemReason(error)}`,
      EXIT.cannotCreate,
    );
  }
}

/** Options that write a document for a program to standard output, in place of the text. */
function forPrograms({ tap, json, junit, lcov }: TestArguments): string[] {
  return [
    ...(tap ? ['--tap'] : []),
    ...(json ? ['--json'] : []),
    ...(junit !== undefined && isStandardOutput(junit) ? [`--junit ${junit}`] : []),
    ...(lcov !== undefined && isStandardOutput(lcov) ? [`--lcov ${lcov}`] : []),
  ];
}

function isStandardOutput(file: string): boolean {
  return file === '-' || ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'].includes(resolve(file));
}

/** @throws OperatorError for options of which a program could not read what they print. */
function checkOutputs(given: TestArguments): void {
  const [first, second] = forPrograms(given);
  if (second !== undefined) {
    throw new OperatorError(`test: ${first} and ${second}: only one of them on standard output`, EXIT.usage);
  }
  if (given.record && given.watch) {
    throw new OperatorError('test: --record and --watch: each change would ask again', EXIT.usage);
  }
  if (first !== undefined && given.watch) {
    throw new OperatorError(`test: ${first} and --watch: a run again and again is for people`, EXIT.usage);
  }
}

/** As comments of TAP. */
function commented(text: string): string {
  return text.trimEnd().replace(/^/gm, '# ').concat('\n');
}

function checkFilter(filter: string | undefined): void {
  try {
    new RegExp(filter ?? '', 'iu');
  } catch {
    throw new OperatorError(`--filter: ${JSON.stringify(filter)} is no regular expression`, EXIT.usage);
  }
}

function readJobs(given: string | undefined): number {
  if (given === undefined) return availableParallelism();
  if (!/^[1-9]\d{0,2}$/.test(given)) {
    throw new OperatorError(`--jobs: ${JSON.stringify(given)} must be a number from 1 to 999`, EXIT.usage);
  }
  return Number(given);
}
