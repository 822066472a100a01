/** `smtpf-milter check FILE`: what is wrong with a script, whether it runs, and which callbacks it defines. */
import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import type { Finding } from '../lint/finding.ts';
import { lint } from '../lint/lint.ts';
import { countsOf, formatCounts, formatExcerpt, formatFinding } from '../lint/report.ts';
import { doubleCallback, uncallableCallback } from '../lint/rules/callbacks.ts';
import { Source } from '../lint/source.ts';
import { Logger } from '../log.ts';
import { ScriptFile } from '../lua/script-file.ts';
import { EXIT } from '../operator-error.ts';
import type { Options } from '../option-table.ts';
import { packagePathOf } from '../options.ts';
import { openPolicySource, type ScriptReport } from '../policy-source.ts';
import { StderrSink } from '../syslog/stderr-sink.ts';

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
}

/**
 * Prints what it finds on standard output.
 * @param file the script as the operator named it, which is how messages name it.
 * @returns 0, or 1 for a script that cannot run or has errors.
 */
export async function check(options: Options, file: string, switches: CheckSwitches): Promise<number> {
  const report = isTestFile(file) ? compileOnly(file) : await run(options, file);
  const result = examineText(options, file, report);
  const output = switches.json
    ? readable(formatJson(result))
    : Buffer.from(formatPlain(result, process.stdout.isTTY), 'latin1');
  await new Promise<void>((resolve) => {
    process.stdout.write(output, () => resolve());
  });
  const { errors, warnings } = countsOf(result.findings);
  const failed = report.problem !== undefined || errors > 0 || (switches.strict && warnings > 0);
  return failed ? EXIT.badScript : EXIT.ok;
}

/** Files of tests run in a world of their own only: `smtpf-milter test`. */
function isTestFile(file: string): boolean {
  return file.endsWith('_test.lua');
}

async function run(options: Options, file: string): Promise<Report> {
  const sink = new StderrSink();
  const log = new Logger(sink, 'warning');
  const asNamed = { ...options, script: file, packagePath: packagePathOf(options) };
  return openPolicySource({ options: asNamed, log, sink, spool: '' }).examine();
}

function compileOnly(file: string): Report {
  const { script, failure } = new ScriptFile(file).current();
  return {
    hash: script?.hash,
    callbacks: [],
    problem: failure?.message,
    warnings: [],
    defined: undefined,
  };
}

function examineText(options: Options, file: string, report: Report): Result {
  const named = Buffer.from(file).toString('latin1');
  // What does not compile is not looked at: one mistake would look like many.
  const text = report.hash === undefined ? '' : readFileSync(file, 'latin1');
  const { allowExecute, allowJs } = options;
  const warnings = report.warnings.map((warning) => warning.replace(`${file}: `, ''));
  const { defined } = report;
  const findings =
    report.hash === undefined
      ? []
      : lint(text, { defined, warnings, allowExecute, allowJs, isTest: isTestFile(file) });
  return { file: named, report, text, findings: findings ?? unread(warnings) };
}

/** What there is to say of a script that Lua can read and the linter cannot: it is nested too deep, for instance. */
function unread(warnings: readonly string[]): Finding[] {
  const at = { severity: 'warning', line: 1, column: 1, endLine: 1, endColumn: 1 } as const;
  return [
    { rule: 'not-read', message: 'no rule has looked at this script: the linter cannot read it', ...at },
    ...warnings.map((message) => {
      const { name: rule } = message.startsWith('both ') ? doubleCallback : uncallableCallback;
      return { rule, message, ...at };
    }),
  ];
}

function formatPlain({ file, report, text, findings }: Result, withExcerpts: boolean): string {
  const source = new Source(text);
  const lines = findings.flatMap((finding) => {
    const line = formatFinding(file, finding);
    return withExcerpts ? [line, formatExcerpt(source, finding)] : [line];
  });
  if (findings.length > 0) lines.push(`${file}: ${formatCounts(findings)}`);
  const summary = isTestFile(file)
    ? 'tests, to be run by smtpf-milter test'
    : `callbacks: ${report.callbacks.join(' ') || 'none'}`;
  lines.push(report.problem ?? `${file}: ${summary}`);
  return `${lines.join('\n')}\n`;
}

/** JSON is UTF-8: the script's own bytes where they are that, else each byte as a character. */
function readable(latin1: string): Buffer {
  const bytes = Buffer.from(latin1, 'latin1');
  return isUtf8(bytes) ? bytes : Buffer.from(latin1);
}

function formatJson({ file, report, findings }: Result): string {
  const { hash, callbacks, problem } = report;
  const { errors, warnings } = countsOf(findings);
  const content = {
    file,
    hash: hash ?? null,
    callbacks,
    problem: problem ?? null,
    errors: errors + (problem === undefined ? 0 : 1),
    warnings,
    findings: [...findings, ...(problem === undefined ? [] : [problemFinding(problem, hash !== undefined)])],
  };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** `file:line: message` of what keeps the script from running, in the form of the findings. */
function problemFinding(problem: string, compiled: boolean): Finding {
  const [, line = '1', message = problem] = /^[^\n]*?:(\d+): ([\s\S]*)$/.exec(problem) ?? [];
  const at = { line: Number(line), column: 1, endLine: Number(line), endColumn: 1 };
  return { rule: compiled ? 'main-chunk' : 'syntax', severity: 'error', message, ...at };
}
