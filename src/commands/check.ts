/** `smtpf-milter check FILE...`: what is wrong with scripts, whether they run, and which callbacks they define. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Finding } from '../lint/finding.ts';
import { lint } from '../lint/lint.ts';
import { countsOf, formatCounts, formatExcerpt, formatFinding } from '../lint/report.ts';
import { Source } from '../lint/source.ts';
import { syntaxHint } from '../lint/syntax-hint.ts';
import { ScriptFile } from '../lua/script/script-file.ts';
import type { Options } from '../options/option-table.ts';
import { packagePathOf } from '../options/options.ts';
import { openPolicySource, type ScriptReport, servicesOf } from '../policy/policy-source.ts';
import { Logger } from '../syslog/log.ts';
import { StderrSink } from '../syslog/stderr-sink.ts';
import { decoded, indentedJson } from '../text/json-text.ts';
import { EXIT } from '../text/operator-error.ts';
import { latin1Of, visible } from '../text/visible.ts';
import { mapFindings } from './check-maps.ts';
import { unreadableScript } from './input-file.ts';
import { print } from './print.ts';

export interface CheckSwitches {
  /** Warnings fail too. */
  readonly strict: boolean;
  readonly json: boolean;
}

type Report = Pick<ScriptReport, 'hash' | 'callbacks' | 'problem' | 'warnings' | 'defined'>;

/** What there is to say of a script. Texts are latin1. */
interface Result {
  readonly file: string;
  readonly report: Report;
  readonly text: string;
  readonly findings: readonly Finding[];
  readonly exitCode: number;
}

/**
 * Prints what it finds on standard output: of each file by itself, or as one JSON document.
 * @param files the scripts as the operator named them, which is how messages name them; at least one
 * @returns the highest of their codes: 0, 1 for a script that cannot run or has errors, 66 for one that cannot be read
 */
export async function check(
  options: Options,
  files: readonly string[],
  switches: CheckSwitches,
): Promise<number> {
  const results: Result[] = [];
  for (const file of files) {
    const result = await examine(options, file, switches);
    results.push(result);
    if (!switches.json) await print(Buffer.from(formatPlain(result, process.stdout.isTTY), 'latin1'));
  }
  if (switches.json) await print(Buffer.from(formatJson(results)));
  return Math.max(...results.map(({ exitCode }) => exitCode));
}

async function examine(options: Options, file: string, { strict }: CheckSwitches): Promise<Result> {
  const unreadable = unreadableScript(file);
  if (unreadable !== undefined) {
    const report = { ...NOTHING, problem: latin1Of(`${file}: cannot be read: ${unreadable}`) };
    return { file: latin1Of(file), report, text: '', findings: [], exitCode: EXIT.noInput };
  }
  const report = isTestFile(file) ? compileOnly(file) : await run(options, file);
  const examined = examineText(options, file, report);
  const maps = isTestFile(file) ? [] : await mapFindings(examined.text, namesIn(file), report.problem);
  const result = { ...examined, findings: [...examined.findings, ...maps] };
  const { errors, warnings } = countsOf(result.findings);
  const failed = report.problem !== undefined || errors > 0 || (strict && warnings > 0);
  return { ...result, exitCode: failed ? EXIT.badScript : EXIT.ok };
}

const NOTHING: Report = {
  hash: undefined,
  callbacks: [],
  problem: undefined,
  warnings: [],
  defined: undefined,
};

/** Files of tests run in a world of their own only: `smtpf-milter test`. */
function isTestFile(file: string): boolean {
  return file.endsWith('_test.lua');
}

async function run(options: Options, file: string): Promise<Report> {
  const sink = new StderrSink();
  const log = new Logger(sink, 'warning');
  const packagePath = packagePathOf({ ...options, script: resolve(file) });
  const asNamed = { ...options, script: file, packagePath };
  return openPolicySource({
    options: asNamed,
    log,
    services: servicesOf(asNamed, sink, log),
    spool: '',
  }).examine();
}

/** All strings in a script; none where it does not compile. */
function namesIn(file: string): ReadonlySet<string> {
  return new ScriptFile(file).current().script?.names() ?? new Set();
}

function compileOnly(file: string): Report {
  const { script, failure } = new ScriptFile(file).current();
  return { ...NOTHING, hash: script?.hash, problem: failure?.message };
}

function examineText(options: Options, file: string, report: Report): Omit<Result, 'exitCode'> {
  // What does not compile is not looked at: one mistake would look like many.
  const text = report.hash === undefined ? '' : readFileSync(file, 'latin1');
  const { allowExecute, allowJs } = options;
  const { defined, warnings } = report;
  const callbacks = defined === undefined ? undefined : report.callbacks;
  const findings =
    report.hash === undefined
      ? []
      : lint(text, { defined, callbacks, warnings, allowExecute, allowJs, isTest: isTestFile(file) });
  return {
    file: latin1Of(file),
    report: explained(file, report),
    text,
    findings: findings ?? unread(warnings),
  };
}

/** A script that does not compile, with what is likely meant where it stops. */
function explained(file: string, report: Report): Report {
  const [, line, message] = /:(\d+): (.*)$/s.exec(report.problem ?? '') ?? [];
  if (report.hash !== undefined || line === undefined || message === undefined) return report;
  const hint = syntaxHint(readFileSync(file, 'latin1'), Number(line), message);
  return hint === undefined ? report : { ...report, problem: `${report.problem} (${hint})` };
}

/** What there is to say of a script that Lua can read and the linter cannot: it is nested too deep, for instance. */
function unread(warnings: Report['warnings']): Finding[] {
  const at = { severity: 'warning', line: 1, column: 1, endLine: 1, endColumn: 1 } as const;
  return [
    { rule: 'not-read', message: 'no rule has looked at this script: the linter cannot read it', ...at },
    ...warnings.map(({ code, text }) => ({ rule: code, message: text, ...at })),
  ];
}

function formatPlain({ file, report, text, findings }: Result, withExcerpts: boolean): string {
  const source = new Source(text);
  const lines = findings.flatMap((finding) => {
    const line = visible(formatFinding(file, finding));
    return withExcerpts ? [line, formatExcerpt(source, finding)] : [line];
  });
  if (findings.length > 0) lines.push(visible(`${file}: ${formatCounts(findings)}`));
  const summary = isTestFile(file)
    ? 'tests, to be run by smtpf-milter test'
    : `callbacks: ${report.callbacks.join(' ') || 'none'}`;
  // What keeps it from running may have several lines, of which its name begins none.
  const problem = report.problem?.replaceAll(file, () => visible(file));
  lines.push(
    problem === undefined ? visible(`${file}: ${summary}`) : problem.split('\n').map(indented).join('\n'),
  );
  return `${lines.join('\n')}\n`;
}

/** A line of an error message, which Lua indents with a tab. */
function indented(line: string): string {
  return line.startsWith('\t') ? `\t${visible(line.slice(1))}` : visible(line);
}

/** Of one file an object; of several one that holds these. */
function formatJson(results: readonly Result[]): string {
  const files = results.map(contentOf);
  const [only] = files;
  const total = (of: 'errors' | 'warnings') => files.reduce((sum, file) => sum + file[of], 0);
  const content = files.length === 1 ? only : { errors: total('errors'), warnings: total('warnings'), files };
  return indentedJson(content, decoded);
}

function contentOf({ file, report, findings, exitCode }: Result) {
  const { hash, callbacks, problem } = report;
  const { errors, warnings } = countsOf(findings);
  const compiled = hash !== undefined;
  const rule = exitCode === EXIT.noInput ? 'unreadable' : compiled ? 'main-chunk' : 'syntax';
  return {
    file,
    hash: hash ?? null,
    callbacks,
    problem: problem ?? null,
    errors: errors + (problem === undefined ? 0 : 1),
    warnings,
    findings: [...findings, ...(problem === undefined ? [] : [problemFinding(problem, rule)])],
  };
}

/** `file:line: message` of what keeps the script from running, in the form of the findings. */
function problemFinding(problem: string, rule: string): Finding {
  const [, line = '1', message = problem] = /^[^\n]*?:(\d+): ([\s\S]*)$/.exec(problem) ?? [];
  const at = { line: Number(line), column: 1, endLine: Number(line), endColumn: 1 };
  return { rule, severity: 'error', message, ...at };
}
