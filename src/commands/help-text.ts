/** What `--help` says below the options. yargs would break an example where its column ends: then nobody can copy it. */
import type { CommandDefinition } from './command-table.ts';

const MIN_COLUMNS = 40;
const MAX_COLUMNS = 100;
const USUAL_COLUMNS = 80;

const EXIT_CODES =
  'Exit codes of all commands: 64 wrong use, 66 a file cannot be read, 69 no server answers, 70 internal error, 73 a file cannot be written, 75 the machine is not ready: start again later, 78 wrong configuration.';

/** Of the terminal, else as COLUMNS says. */
export function helpWidth(): number {
  const { COLUMNS: wanted } = process.env;
  const columns = process.stdout.columns || Number(wanted) || USUAL_COLUMNS;
  return Math.max(MIN_COLUMNS, Math.min(MAX_COLUMNS, Math.floor(columns)));
}

/** @param width of lines; an example stands on one line, however long it is. */
export function helpFoot({ examples, notes = [] }: CommandDefinition, width: number): string {
  const texts = [...notes, EXIT_CODES];
  return [
    'Examples:',
    ...examples.flatMap(([example, meaning]) => [
      `  ${example.replace('$0', 'smtpf-milter')}`,
      ...wrapped(meaning, width - 6).map((line) => `      ${line}`),
    ]),
    ...texts.flatMap((text) => ['', ...wrapped(text, width)]),
  ].join('\n');
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
