/** What the linter says of a text, in short. */
import { lint } from '../../src/lint/lint.ts';
import type { Surroundings } from '../../src/lint/policy.ts';

const PLAIN: Surroundings = { allowJs: false, allowExecute: false, isTest: false };

/** `RULE LINE:COLUMN`, with `?` behind the rule of a warning. The text's bytes are its characters. */
export function findings(text: string, surroundings: Partial<Surroundings> = {}): string[] {
  const found = lint(text, { ...PLAIN, ...surroundings });
  if (found === undefined) throw new Error('not read');
  return found.map(
    ({ rule, severity, line, column }) => `${rule}${severity === 'warning' ? '?' : ''} ${line}:${column}`,
  );
}

/** The suggestions, in order. */
export function suggestions(text: string, surroundings: Partial<Surroundings> = {}): (string | undefined)[] {
  return (lint(text, { ...PLAIN, ...surroundings }) ?? []).map(({ suggestion }) => suggestion);
}

/** A policy with one callback, whose body begins on line 2. */
export function inCallback(body: string, head = 'smtp.do_rcpt(recipient, params)'): string {
  return `function ${head}\n${body}\nend\n`;
}
