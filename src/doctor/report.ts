/** How findings are shown: as text, as JSON, as a script. */
import { visible } from '../text/visible.ts';
import type { Finding, Findings, Mend } from './finding.ts';

const LABELS: Readonly<Record<Mend['kind'], string>> = {
  shell: '',
  option: 'option of the milter: ',
  'sendmail.mc': 'in sendmail.mc: ',
  policy: 'in the policy: ',
  dns: 'in the DNS: ',
  look: 'look: ',
};

/** For a person at a terminal. */
export function formatText(findings: Findings): string {
  const lines = findings.all.flatMap(({ id, severity, where, problem, mend }) => [
    `${severity.padEnd(8)}${id}: ${where}`,
    ...wrapped(problem).map((line) => `        ${line}`),
    ...mend.map(({ kind, line }) => `    mend: ${LABELS[kind]}${line}`),
    '',
  ]);
  for (const { kind, where, text } of findings.remarks)
    lines.push(`${(kind === 'right' ? 'ok' : 'note').padEnd(8)}${where}: ${text}`);
  const count = findings.all.length;
  lines.push('', count === 0 ? 'nothing wrong was found' : count === 1 ? '1 finding' : `${count} findings`);
  return `${lines.map(visible).join('\n')}\n`;
}

const WIDTH = 104;

/** In lines that a terminal shows whole. */
function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/** What --json prints. */
export function contentOf(findings: Findings) {
  return { findings: findings.all, remarks: findings.remarks };
}

/**
 * A shell script that mends what a command can mend, and says the rest in comments. Services are started when the rest is
 * mended.
 * @param reloads commands to run at its end
 */
export function formatScript(findings: Findings, reloads: readonly string[]): string {
  const all = findings.all;
  const done = new Set<string>();
  const mends = all.some(({ mend }) => mend.some(({ kind }) => kind === 'shell'));
  const lines = [
    ...['#!/bin/sh', '# Read this before you run it, as root.', 'set -eu', ''],
    ...all.flatMap((finding) => [...scriptOf(finding, done), '']),
    ...startsIn(all),
    ...(mends ? reloads : []),
  ];
  return `${lines.map(visible).join('\n')}\n`;
}

function scriptOf({ id, where, problem, mend }: Finding, done: Set<string>): string[] {
  const lines = [`# ${id}: ${where}`, `# ${problem}`];
  for (const { kind, line } of mend) {
    if (done.has(line)) continue;
    done.add(line);
    if (isStart({ kind, line })) continue;
    lines.push(kind === 'shell' ? line : `# ${LABELS[kind]}${line}`);
  }
  return lines;
}

function isStart({ kind, line }: Mend): boolean {
  return kind === 'shell' && line.startsWith('systemctl ');
}

function startsIn(all: readonly Finding[]): string[] {
  return [...new Set(all.flatMap(({ mend }) => mend.filter(isStart).map(({ line }) => line)))];
}
