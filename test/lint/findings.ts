/** What the linter says of a text, in short. */
import { lint } from '../../src/lint/lint.ts';
import type { ScriptFacts } from '../../src/lint/policy-script.ts';

const PLAIN: ScriptFacts = { allowJs: false, allowExecute: false, isTest: false };

/** `RULE LINE:COLUMN`, with `?` behind the rule of a warning. The text's bytes are its characters. */
export function findings(text: string, facts: Partial<ScriptFacts> = {}): string[] {
  const found = lint(text, { ...PLAIN, ...facts });
  if (found === undefined) throw new Error('not read');
  return found.map(
    ({ rule, severity, line, column }) => `${rule}${severity === 'warning' ? '?' : ''} ${line}:${column}`,
  );
}

/** Only those of one rule. */
export function findingsOf(rule: string, text: string, facts: Partial<ScriptFacts> = {}): string[] {
  return findings(text, facts).filter((finding) => finding.replace('?', '').startsWith(`${rule} `));
}

/** The suggestions, in order; of one rule only, where it is named. */
export function suggestions(text: string, only?: string): (string | undefined)[] {
  const found = lint(text, PLAIN) ?? [];
  return found.filter(({ rule }) => only === undefined || rule === only).map(({ suggestion }) => suggestion);
}

/** A policy with one callback, whose body begins on line 2. */
export function inCallback(body: string, head = 'smtp.do_rcpt(recipient, params)'): string {
  return `function ${head}\n${body}\nend\n`;
}
