/** The report that people read. */
import { styleText } from 'node:util';
import { type FileCoverage, summarize } from './coverage.ts';
import type { Failure, TranscriptLine } from './failure.ts';
import type { Summary } from './summary.ts';
import type { CaseReport, FileReport } from './test-file.ts';

/** Cases that took as long or longer tell it in colour. */
const SLOW_MS = 500;
/** Sessions of a case that are shown, the last ones, and commands of each. */
const TRANSCRIPTS = 2;
const TRANSCRIPT_LINES = 12;
/** Characters of a test's line that are shown. */
const SOURCE = 100;

type Format = Parameters<typeof styleText>[0];

export class TextReport {
  readonly #colours: boolean;

  /** @param colours whether the terminal shows them */
  constructor(colours: boolean) {
    this.#colours = colours;
  }

  file({ file, cases, broken }: FileReport): string {
    const lines = [this.#style('bold', file), ...cases.flatMap((report) => this.#case(report))];
    if (broken !== undefined) {
      const [first = '', ...rest] = broken.split('\n');
      lines.push(`  ${this.#style('red', '✗ broken:')} ${first}`, ...rest.map((line) => `    ${line}`));
    }
    return `${lines.join('\n').trimEnd()}\n`;
  }

  summary({ files, passed, failed, broken, milliseconds }: Summary): string {
    const parts = [
      this.#style(passed > 0 && failed + broken === 0 ? 'green' : 'reset', `${passed} passed`),
      ...(failed > 0 ? [this.#style('red', `${failed} failed`)] : []),
      ...(broken > 0 ? [this.#style('red', `${broken} broken ${broken === 1 ? 'file' : 'files'}`)] : []),
    ];
    const count = files.length === 1 ? '1 file' : `${files.length} files`;
    return `${parts.join(', ')} in ${count}, ${(milliseconds / 1000).toFixed(1)} s\n`;
  }

  coverage(coverage: readonly FileCoverage[]): string {
    const summaries = coverage.map(summarize);
    const width = Math.max(8, ...summaries.map(({ file }) => file.length));
    const row = (file: string, lines: string, percent: string, rest: string): string =>
      `${file.padEnd(width)}  ${lines.padStart(9)}  ${percent.padStart(6)}  ${rest}`.trimEnd();
    const rows = summaries.map(({ file, lines, covered, percent, uncovered }) => {
      const missing = uncovered.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(', ');
      const text = row(file, `${covered}/${lines}`, percentText(percent), missing);
      return this.#style(percent === 100 ? 'green' : percent < 80 ? 'red' : 'yellow', text);
    });
    return `${[this.#style('bold', row('coverage', 'lines', '', 'not run')), ...rows].join('\n')}\n`;
  }

  #case({ name, milliseconds, printed, failure }: CaseReport): string[] {
    const time = this.#style(milliseconds < SLOW_MS ? 'dim' : 'yellow', `(${Math.round(milliseconds)} ms)`);
    const mark = failure ? this.#style('red', '✗') : this.#style('green', '✓');
    return [
      `  ${mark} ${name} ${time}`,
      ...printed.map((line) => this.#style('dim', `    | ${line}`)),
      ...(failure ? this.#failure(failure).map((line) => (line === '' ? '' : `    ${line}`)) : []),
    ];
  }

  #failure({ message, where, source, callers, transcripts }: Failure): string[] {
    const [headline = '', ...details] = message.split('\n');
    const all = transcripts.filter((lines) => lines.length > 0);
    const sessions = all.slice(-TRANSCRIPTS);
    const first = all.length - sessions.length + 1;
    return [
      '',
      `${where === '' ? '' : `${where}: `}${this.#style('bold', headline)}`,
      ...(source === ''
        ? []
        : [this.#style('dim', `  > ${source.length > SOURCE ? `${source.slice(0, SOURCE)}...` : source}`)]),
      ...callers.map((caller) => this.#style('dim', `    called at ${caller}`)),
      ...details.map((line) => this.#detail(line)),
      ...sessions.flatMap((lines, index) => [
        `  ${all.length === 1 ? 'the session:' : `session ${first + index} of ${all.length}:`}`,
        ...this.#transcript(lines).map((line) => `    ${line}`),
      ]),
      '',
    ];
  }

  #detail(line: string): string {
    if (/^ {2}(expected:|- (?!expected))/.test(line)) return this.#style('green', line);
    return /^ {2}(got:|\+ )/.test(line) ? this.#style('red', line) : line;
  }

  #transcript(all: readonly TranscriptLine[]): string[] {
    const lines = all.slice(-TRANSCRIPT_LINES);
    const width = Math.min(50, Math.max(...lines.map(({ command }) => command.length)));
    const left = all.length - lines.length;
    return [
      ...(left > 0 ? [this.#style('dim', `... ${left} more before`)] : []),
      ...lines.map(({ command, reply, where }) =>
        `${command.padEnd(width)}  ${reply}${where === '' ? '' : `  ${this.#style('dim', where)}`}`.trimEnd(),
      ),
    ];
  }

  #style(format: Format, text: string): string {
    return this.#colours ? styleText(format, text) : text;
  }
}

/** 100 % only where all is covered. */
function percentText(percent: number): string {
  return `${(Math.floor(percent * 10) / 10).toFixed(1)}%`;
}
