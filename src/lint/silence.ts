/**
 * Comments that silence rules:
 *
 *     -- smtpf: ignore RULE[, RULE...]         on the line of the finding, or on the line above
 *     -- smtpf: ignore-file RULE[, RULE...]    anywhere, for the whole file
 */
import { nearest } from '../text/nearest.ts';
import type { Finding } from './finding.ts';
import { RULES, UNKNOWN_RULE } from './rules/rules.ts';
import type { Comment } from './syntax.ts';

interface Silence {
  readonly comment: Comment;
  readonly wholeFile: boolean;
  readonly rules: readonly string[];
}

const NAMES: readonly string[] = RULES.map((rule) => rule.name);

/** The findings that no comment silences, and what is wrong with such comments. */
export function withoutSilenced(findings: readonly Finding[], comments: readonly Comment[]): Finding[] {
  const silences = comments.flatMap(parseSilence);
  const silenced = ({ rule, line }: Finding): boolean =>
    silences.some(
      ({ comment, wholeFile, rules }) =>
        rules.includes(rule) && (wholeFile || comment.line === line || comment.endLine + 1 === line),
    );
  return [...findings.filter((finding) => !silenced(finding)), ...silences.flatMap(unknownRules)];
}

function parseSilence(comment: Comment): Silence[] {
  const match = /^\s*smtpf:\s*(ignore-file|ignore)\b([^\n]*)/.exec(comment.text);
  if (!match) return [];
  const [, form, rest = ''] = match;
  // A reason may stand behind the names, after two dashes or in brackets.
  const names = rest.replace(/(--|\().*$/, '').split(/[\s,]+/);
  return [{ comment, wholeFile: form === 'ignore-file', rules: names.filter((name) => name !== '') }];
}

function unknownRules({ comment, rules }: Silence): Finding[] {
  const at = { rule: UNKNOWN_RULE, severity: 'warning' as const, ...comment };
  if (rules.length === 0) return [{ ...at, message: 'this comment names no rule' }];
  return rules
    .filter((rule) => !NAMES.includes(rule))
    .map((rule) => ({ ...at, message: `there is no rule ${rule}`, suggestion: nearest(rule, NAMES) }));
}
