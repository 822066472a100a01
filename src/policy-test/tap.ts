/** Test Anything Protocol, version 14: https://testanything.org/tap-version-14-specification.html */
import type { Failure } from './failure.ts';
import type { Summary } from './summary.ts';

/** @returns the whole stream, one test point for each case and for each file that is broken. */
export function formatTap({ files }: Summary): string {
  const lines = ['TAP version 14'];
  let number = 0;
  for (const { file, cases, broken } of files) {
    for (const { name, failure, printed, milliseconds } of cases) {
      number += 1;
      for (const line of printed) lines.push(`# ${line}`);
      lines.push(`${failure ? 'not ok' : 'ok'} ${number} - ${escaped(`${file}: ${name}`)}`);
      lines.push(...block(milliseconds, failure));
    }
    if (broken !== undefined) {
      number += 1;
      lines.push(`not ok ${number} - ${escaped(file)}`, '  ---', ...yaml('message', broken), '  ...');
    }
  }
  lines.push(`1..${number}`);
  return `${lines.join('\n')}\n`;
}

function block(milliseconds: number, failure: Failure | undefined): string[] {
  const inside = [
    `  duration_ms: ${milliseconds.toFixed(3)}`,
    ...(failure ? [...yaml('message', failure.message), ...yaml('at', failure.where)] : []),
  ];
  return ['  ---', ...inside, '  ...'];
}

function yaml(key: string, text: string): string[] {
  return text.includes('\n')
    ? [`  ${key}: |-`, ...text.split('\n').map((line) => `    ${line}`)]
    : [`  ${key}: ${JSON.stringify(text)}`];
}

function escaped(description: string): string {
  return description.replace(/[\\#]/g, '\\$&').replaceAll('\n', ' ');
}
