/** The linter's findings as text for people. */
import { visibleLines } from '../text/visible.ts';
import type { Finding } from './finding.ts';
import type { Source } from './source.ts';

/** One line: `FILE:LINE:COLUMN: SEVERITY: MESSAGE (SUGGESTION) [RULE]`. All texts are latin1. */
export function formatFinding(file: string, finding: Finding): string {
  const { line, column, severity, message, suggestion, rule } = finding;
  const hint = suggestion === undefined ? '' : ` (${adviceOf(suggestion)})`;
  return `${file}:${line}:${column}: ${severity}: ${message}${hint} [${rule}]`;
}

function adviceOf(suggestion: string): string {
  return /^[\w.:]+$/.test(suggestion) ? `did you mean ${suggestion}?` : `instead: ${suggestion}`;
}

/** The line it is about, and a mark below the place. */
export function formatExcerpt(source: Source, finding: Finding): string {
  const text = source.lines[finding.line - 1] ?? '';
  const number = String(finding.line).padStart(5);
  const end = finding.endLine === finding.line ? finding.endColumn : text.length + 1;
  const before = withoutInnerBytes(visibleLines(text.slice(0, finding.column - 1))).replace(/[^\t]/g, ' ');
  const width = Math.max(1, withoutInnerBytes(visibleLines(text.slice(finding.column - 1, end - 1))).length);
  return `${number} | ${visibleLines(text)}\n      | ${before}^${'~'.repeat(width - 1)}`;
}

/** One character for each column of a terminal: bytes in the middle of a UTF-8 character take none. */
function withoutInnerBytes(latin1: string): string {
  return latin1.replace(/[\x80-\xbf]/g, '');
}

export function countsOf(findings: readonly Finding[]): { errors: number; warnings: number } {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return { errors, warnings: findings.length - errors };
}

/** `2 errors, 1 warning`; empty without any. */
export function formatCounts(findings: readonly Finding[]): string {
  const { errors, warnings } = countsOf(findings);
  return [plural(errors, 'error'), plural(warnings, 'warning')].filter((text) => text !== '').join(', ');
}

function plural(count: number, word: string): string {
  return count === 0 ? '' : `${count} ${word}${count === 1 ? '' : 's'}`;
}
