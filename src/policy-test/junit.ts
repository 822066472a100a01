/** JUnit's XML as CI servers read it: a suite for each file. */
import type { Summary } from './summary.ts';
import type { CaseReport, FileReport } from './test-file.ts';

export function formatJunit({ files, passed, failed, broken, milliseconds }: Summary): string {
  const total = attributes({
    tests: passed + failed,
    failures: failed,
    errors: broken,
    time: seconds(milliseconds),
  });
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="smtpf-milter"${total}>`,
    ...files.flatMap(suite),
    '</testsuites>',
    '',
  ].join('\n');
}

function suite({ file, cases, broken, milliseconds }: FileReport): string[] {
  const failures = cases.filter(({ failure }) => failure !== undefined).length;
  const counts = { tests: cases.length, failures, errors: broken === undefined ? 0 : 1 };
  return [
    `  <testsuite${attributes({ name: file, ...counts, time: seconds(milliseconds) })}>`,
    ...cases.flatMap((report) => testCase(file, report)),
    ...(broken === undefined
      ? []
      : [
          `    <testcase${attributes({ name: file, classname: file })}>`,
          `      <error${attributes({ message: firstLine(broken) })}>${escaped(broken)}</error>`,
          '    </testcase>',
        ]),
    '  </testsuite>',
  ];
}

function testCase(file: string, { name, milliseconds, failure, printed }: CaseReport): string[] {
  const [, line] = /:(\d+)$/.exec(failure?.where ?? '') ?? [];
  const head = attributes({ name, classname: file, file, line, time: seconds(milliseconds) });
  const inside = [];
  if (failure) {
    const text = [failure.where, failure.message, ...failure.transcripts.flat().map(transcriptLine)];
    inside.push(
      `      <failure${attributes({ message: firstLine(failure.message) })}>${escaped(text.join('\n'))}</failure>`,
    );
  }
  if (printed.length > 0) inside.push(`      <system-out>${escaped(printed.join('\n'))}</system-out>`);
  return inside.length === 0
    ? [`    <testcase${head}/>`]
    : [`    <testcase${head}>`, ...inside, '    </testcase>'];
}

function transcriptLine({
  command,
  reply,
  where,
}: {
  command: string;
  reply: string;
  where: string;
}): string {
  return `${command} -> ${reply}${where === '' ? '' : ` (${where})`}`;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(3);
}

function attributes(values: Readonly<Record<string, string | number | undefined>>): string {
  return Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${escaped(String(value)).replaceAll('\n', '&#10;')}"`)
    .join('');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** XML 1.0 has no control characters at all, not even escaped. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, '?')
    .replace(/[&<>"]/g, (char) => ENTITIES[char] ?? char);
}
