/**
 * Which lines of a policy, and of the modules it loads, were run.
 *
 * Lines that can run are those that instructions stand for. The line of a function's `end` is not one of them: a function
 * that returns before it never comes there.
 */
import type { Proto } from 'fengari';
import { latin1Of } from '../lua/engine/engine.ts';

/** Of one file, by line: how often it was run. Every line that can run is in it. */
export interface FileCoverage {
  /** As in the script's messages. */
  readonly file: string;
  readonly lines: readonly (readonly [line: number, runs: number])[];
}

export class Coverage {
  readonly #files = new Map<string, Map<number, number>>();
  readonly #runsOf = new WeakMap<Proto, Map<number, number>>();

  /** To be told of each line that runs. */
  readonly watch = (running: Proto, line: number): void => {
    const runs = this.#runsOf.get(running) ?? this.#enter(running);
    const before = runs.get(line);
    if (before !== undefined) runs.set(line, before + 1);
  };

  /** Counts the lines of a main chunk, and of the functions in it, among those that can run. */
  include(chunk: Proto): void {
    this.#enter(chunk);
  }

  report(): FileCoverage[] {
    return [...this.#files].map(([file, lines]) => ({ file, lines: [...lines].sort(([a], [b]) => a - b) }));
  }

  /** A function that has not run before. A main chunk comes before the functions in it. */
  #enter(running: Proto): Map<number, number> {
    const file = fileOf(running);
    const runs = file === undefined ? new Map<number, number>() : (this.#files.get(file) ?? new Map());
    if (file !== undefined) this.#files.set(file, runs);
    if (file !== undefined && running.linedefined === 0) {
      for (const line of executableLines(running)) runs.set(line, runs.get(line) ?? 0);
    }
    this.#runsOf.set(running, runs);
    return runs;
  }
}

/** Adds up what several runs have seen. */
export function mergeCoverage(reports: readonly (readonly FileCoverage[])[]): FileCoverage[] {
  const files = new Map<string, Map<number, number>>();
  for (const { file, lines } of reports.flat()) {
    const sum = files.get(file) ?? new Map<number, number>();
    for (const [line, runs] of lines) sum.set(line, (sum.get(line) ?? 0) + runs);
    files.set(file, sum);
  }
  return [...files]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([file, lines]) => ({ file, lines: [...lines].sort(([a], [b]) => a - b) }));
}

export interface CoverageSummary {
  readonly file: string;
  readonly lines: number;
  readonly covered: number;
  /** 0 to 100. */
  readonly percent: number;
  /** First and last line of each stretch that was not run. */
  readonly uncovered: readonly (readonly [from: number, to: number])[];
}

export function summarize({ file, lines }: FileCoverage): CoverageSummary {
  const covered = lines.filter(([, runs]) => runs > 0).length;
  const uncovered: [number, number][] = [];
  let open = false;
  for (const [line, runs] of lines) {
    const last = uncovered.at(-1);
    if (runs > 0) open = false;
    else if (open && last) last[1] = line;
    else {
      uncovered.push([line, line]);
      open = true;
    }
  }
  const percent = lines.length === 0 ? 100 : (100 * covered) / lines.length;
  return { file, lines: lines.length, covered, percent, uncovered };
}

/** The tracefile of lcov, which genhtml and editors read. */
export function formatLcov(files: readonly FileCoverage[]): string {
  return files
    .flatMap(({ file, lines }) => [
      'TN:',
      `SF:${file}`,
      ...lines.map(([line, runs]) => `DA:${line},${runs}`),
      `LF:${lines.length}`,
      `LH:${lines.filter(([, runs]) => runs > 0).length}`,
      'end_of_record',
    ])
    .map((line) => `${line}\n`)
    .join('');
}

/** undefined for code that came from a string. */
function fileOf({ source }: Proto): string | undefined {
  const name = source === null ? '' : latin1Of(source.realstring);
  return name.startsWith('@') ? name.slice(1) : undefined;
}

function executableLines(proto: Proto): Set<number> {
  const lines = new Set(proto.lineinfo.slice(0, -1)); // The last instruction is the return at `end`.
  for (const inner of proto.p) for (const line of executableLines(inner)) lines.add(line);
  return lines;
}
