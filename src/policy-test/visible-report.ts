/** A report on tests with all its text made harmless, for those who read it in a terminal. */
import { visibleText } from '../text/visible.ts';
import type { Failure } from './failure.ts';
import type { CaseReport, FileReport } from './test-file.ts';

export function visibleReport(report: FileReport): FileReport {
  const { file, policy, cases, broken, coverage } = report;
  return {
    ...report,
    file: visibleText(file),
    policy: visibleText(policy),
    cases: cases.map(visibleCase),
    ...(broken !== undefined && { broken: lines(broken) }),
    coverage: coverage.map((of) => ({ ...of, file: visibleText(of.file) })),
  };
}

function visibleCase(report: CaseReport): CaseReport {
  const { name, printed, failure } = report;
  return {
    ...report,
    name: visibleText(name),
    printed: printed.map(visibleText),
    ...(failure && { failure: visibleFailure(failure) }),
  };
}

function visibleFailure({ message, where, source, callers, transcripts }: Failure): Failure {
  return {
    message: lines(message),
    where: visibleText(where),
    source: visibleText(source),
    callers: callers.map(visibleText),
    transcripts: transcripts.map((transcript) =>
      transcript.map(({ command, reply, where: place }) => ({
        command: visibleText(command),
        reply: visibleText(reply),
        where: visibleText(place),
      })),
    ),
  };
}

function lines(text: string): string {
  return text.split('\n').map(visibleText).join('\n');
}
