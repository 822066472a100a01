/** What came of a run of several test files. */
import type { FileCoverage } from './coverage.ts';
import type { FileReport } from './test-file.ts';

export interface Summary {
  readonly files: readonly FileReport[];
  readonly passed: number;
  readonly failed: number;
  /** Files that could not be run to their end. */
  readonly broken: number;
  readonly milliseconds: number;
  /** Of all files together; empty when it was not asked for. */
  readonly coverage: readonly FileCoverage[];
}

export function summaryOf(
  files: readonly FileReport[],
  milliseconds: number,
  coverage: readonly FileCoverage[],
): Summary {
  const cases = files.flatMap((file) => file.cases);
  const failed = cases.filter(({ failure }) => failure !== undefined).length;
  return {
    files,
    passed: cases.length - failed,
    failed,
    broken: files.filter(({ broken }) => broken !== undefined).length,
    milliseconds,
    coverage,
  };
}
