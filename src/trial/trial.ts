/**
 * An edited policy on trial, before it goes live: whether it can run, its lint errors, and its own tests (`--on-reload`).
 *
 * It is a process's only work, see supervisor/trial-process.ts: a test may take long, and memory.
 */
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import type { Finding } from '../lint/finding.ts';
import { lint } from '../lint/lint.ts';
import { formatFinding } from '../lint/report.ts';
import { requiredNames } from '../lint/requires.ts';
import { Compilation } from '../lua/script/compilation.ts';
import { EditedFile } from '../lua/script/edited-file.ts';
import type { Release } from '../lua/script/released-files.ts';
import { MAX_SCRIPT_BYTES, ScriptFile } from '../lua/script/script-file.ts';
import type { GoodVersion } from '../lua/script/script-versions.ts';
import type { Options } from '../options/option-table.ts';
import { packagePathOf, READY_POLICIES } from '../options/options.ts';
import { openPolicySource, type ScriptReport, servicesOf } from '../policy/policy-source.ts';
import { findTestFiles } from '../policy-test/find-files.ts';
import { type FileReport, realPathOf, runTestFile } from '../policy-test/test-file.ts';
import { Logger } from '../syslog/log.ts';
import type { LogSink } from '../syslog/log-sink.ts';
import type { ReadSecret } from '../system/secret-file.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { latin1Of } from '../text/visible.ts';
import { LookedAt } from './looked-at.ts';

export interface TrialStart {
  readonly options: Options;
  /** The private directory for message files. */
  readonly spool: string;
  readonly secrets: readonly ReadSecret[];
  /** The version that serves now, with its source. */
  readonly before: GoodVersion | undefined;
  /** Number of the release that it may become. */
  readonly id: number;
}

/** What is known when the main chunk has run, or could not. Texts are latin1. */
export interface Loaded {
  readonly report: Omit<ScriptReport, 'defined'>;
  readonly release: Release;
  /** What tells whether a file of the policy has changed since, by path; see versionAt(). */
  readonly versions: ReadonlyMap<string, string>;
  /** The same for the same bytes in all files. */
  readonly digest: string;
}

/** What came of the trial. Texts are latin1. */
export interface Verdict {
  /** Why the version is not to go live, in one line: `file:line: ...`. */
  readonly refusal: string | undefined;
  /** Cases that have passed; undefined where none were run. */
  readonly passed: number | undefined;
  readonly warnings: readonly string[];
  /** Of the files with tests, as those of the policy. */
  readonly tests: ReadonlyMap<string, string>;
  /** A file was edited meanwhile: the verdict may be about either. */
  readonly isMoved: boolean;
}

export interface TrialEvents {
  loaded(found: Loaded): void;
  /** What takes time from now on, for people. */
  trying(what: string): void;
}

/** @param sink where the script's own lines go. @throws what is a bug of ours, or trouble of the system */
export async function tryPolicy(start: TrialStart, sink: LogSink, events: TrialEvents): Promise<Verdict> {
  const { options } = start;
  const { onReload, script: path } = options;
  const looked = new LookedAt();
  events.trying(`${path}: the main chunk`);
  const { report, source } = await examine(start, sink, looked);
  if (source.bytes !== undefined && report.problem === undefined)
    addRequired(source.bytes.toString('latin1'), options, looked);
  const { defined, ...told } = report;
  const files = new Map(looked.files);
  events.loaded({
    report: told,
    release: { id: start.id, script: source, files, good: report.good },
    versions: new Map(looked.versions),
    digest: digestOf(source.bytes, files),
  });
  const verdict = { passed: undefined, warnings: [] as string[], tests: new Map<string, string>() };
  const end = (refusal: string | undefined): Verdict => ({ ...verdict, refusal, isMoved: looked.isMoved });
  if (report.problem !== undefined || source.bytes === undefined) return end(oneLine(report.problem ?? ''));
  if (onReload.includes('check')) {
    events.trying(`${path}: check`);
    const error = firstError(start, { ...report, defined }, source.bytes, files);
    if (error !== undefined) return end(oneLine(error));
  }
  if (!onReload.includes('test')) return end(undefined);
  const { failure, passed, ...of } = await runTests(options, files, events);
  return { ...end(failure && oneLine(failure)), ...of, passed };
}

function digestOf(source: Buffer | undefined, files: Loaded['release']['files']): string {
  const hash = createHash('sha256');
  for (const [path, file] of [['', source && { bytes: source }], ...files] as const) {
    hash.update(`${path}\0${file?.bytes.length ?? 'none'}\0`);
    if (file) hash.update(file.bytes);
  }
  return hash.digest('hex');
}

/** Runs the main chunk as a session would. */
async function examine({ options, spool, secrets, before }: TrialStart, sink: LogSink, looked: LookedAt) {
  const log = new Logger(sink, options.logLevel);
  const script = new EditedFile(options.script, MAX_SCRIPT_BYTES);
  const source = script.content();
  looked.note(latin1Of(options.script), source.bytes === undefined ? undefined : source.version);
  const services = servicesOf(options, sink, log, { secrets });
  try {
    const report = await openPolicySource({
      options: { ...options, onBadScript: 'last-good' },
      log,
      services,
      spool,
      surroundings: looked.surroundings,
      lastGood: before,
      file: new ScriptFile(options.script, { content: () => source }),
    }).examine();
    return { report, source };
  } finally {
    await services.store.close();
  }
}

/** Modules that only a callback requires: the main chunk has not loaded them. */
function addRequired(text: string, options: Options, looked: LookedAt): void {
  const patterns = latin1Of(packagePathOf(options)).split(';').filter(Boolean);
  const seen = new Set<string>();
  const texts = [text, ...[...looked.files.values()].flatMap((file) => file?.bytes.toString('latin1') ?? [])];
  for (const one of texts) {
    for (const name of requiredNames(one)) {
      if (seen.has(name)) continue;
      seen.add(name);
      const stem = name.replaceAll('.', '/');
      const found = looked.find(patterns.map((pattern) => pattern.replaceAll('?', () => stem)));
      if (found) texts.push(found.file.bytes.toString('latin1'));
    }
  }
}

/** The first error of the linter, in the script or in a module of the site. */
function firstError(
  { options }: TrialStart,
  { defined, callbacks, warnings }: ScriptReport,
  source: Buffer,
  files: Loaded['release']['files'],
): string | undefined {
  const { allowExecute, allowJs } = options;
  const facts = { defined, allowExecute, allowJs, isTest: false };
  const script = latin1Of(options.script);
  const found = errorIn(script, lint(source.toString('latin1'), { ...facts, callbacks, warnings }));
  if (found !== undefined) return found;
  for (const [path, file] of files) {
    if (file === null || path === script || path.startsWith(`${latin1Of(READY_POLICIES)}/`)) continue;
    const problem = compileProblem(file.bytes, path);
    const error = problem ?? errorIn(path, lint(file.bytes.toString('latin1'), facts));
    if (error !== undefined) return error;
  }
  return undefined;
}

function errorIn(path: string, findings: readonly Finding[] | undefined): string | undefined {
  const [first, ...others] = findings?.filter(({ severity }) => severity === 'error') ?? [];
  if (first === undefined) return undefined;
  return `${formatFinding(path, first)}${andOthers(others.length, 'error')}`;
}

function compileProblem(bytes: Buffer, path: string): string | undefined {
  const compilation = new Compilation(bytes, path, Buffer.from(path, 'latin1'));
  for (;;) {
    const result = compilation.advance();
    if (result !== undefined) return result.problem;
  }
}

/** Runs the tests of the script, and of modules that it loads, which are below the script's directory. */
async function runTests(options: Options, files: Loaded['release']['files'], events: TrialEvents) {
  const directory = dirname(options.script);
  const tests = new Map<string, string>();
  const looked = new LookedAt();
  const policies = new Set([realPathOf(options.script)]);
  for (const [path, file] of files)
    if (file !== null) policies.add(realPathOf(Buffer.from(path, 'latin1').toString()));
  const warnings: string[] = [];
  const closed: string[] = [];
  const reports: FileReport[] = [];
  for (const path of testFilesIn(directory, closed)) {
    events.trying(latin1Of(path));
    looked.note(latin1Of(path));
    const report = await runTestFile(path, { options, coverage: false, policies });
    const isOurs = report.cases.length > 0 || report.broken !== undefined;
    if (!isOurs) continue;
    reports.push(report);
    tests.set(latin1Of(path), looked.versions.get(latin1Of(path)) ?? '');
  }
  if (reports.length === 0) {
    const beside = closed.length === 0 ? '' : `; not read: ${closed.join(' ')}`;
    warnings.push(`--on-reload test: no test of this policy (*_test.lua) in ${directory}${beside}`);
  }
  const failures = reports.flatMap(failuresOf);
  const [first, ...others] = failures;
  const failure = first && latin1Of(`${first}${andOthers(others.length, 'failure')}`);
  const passed = reports.flatMap(({ cases }) => cases).filter(({ failure: one }) => one === undefined).length;
  return { failure, passed, warnings: warnings.map(latin1Of), tests };
}

function testFilesIn(directory: string, closed: string[]): string[] {
  try {
    return findTestFiles([directory], (path) => closed.push(path));
  } catch (error) {
    // There are none.
    if (error instanceof OperatorError && error.exitCode === EXIT.usage) return [];
    throw error;
  }
}

/** `file:line: "name": what was wrong` of each case, as text for people. */
function failuresOf({ file, cases, broken }: FileReport): string[] {
  const failed = cases.flatMap(({ name, failure }) => {
    if (failure === undefined) return [];
    const where = failure.where === '' ? file : failure.where;
    return [
      `${where}: test "${name}" fails: ${failure.message
        .split(/\n/)
        .map((line) => line.trim().replace(/\s+/g, ' '))
        .join(' / ')}`,
    ];
  });
  return broken === undefined ? failed : [...failed, broken.startsWith(file) ? broken : `${file}: ${broken}`];
}

function andOthers(count: number, what: string): string {
  return count === 0 ? '' : ` (and ${count} more ${what}${count === 1 ? '' : 's'})`;
}

function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, ' / ');
}
