/** The linter: from the text of a policy to what is wrong with it, without running it. */
import type { Details, Finding } from './finding.ts';
import { PolicyScript, type ScriptFacts } from './policy-script.ts';
import { RULES } from './rules/rules.ts';
import { withoutSilenced } from './silence.ts';
import { Source } from './source.ts';
import { type Node, parseLua, spanOf } from './syntax.ts';

/**
 * @param text the file's bytes as latin1; Lua has compiled it
 * @returns in the order of the source, with texts in latin1; undefined when the linter cannot read what Lua can
 */
export function lint(text: string, facts: ScriptFacts): Finding[] | undefined {
  const source = new Source(text);
  const tree = parseLua(source.text);
  if (tree === undefined) return undefined;
  const policy = new PolicyScript(source, tree, facts);
  const findings: Finding[] = [];
  for (const { name: rule, severity, check } of RULES) {
    const seen = new Set<Node>();
    check(policy, (node, message, { suggestion, ...details }: Details = {}) => {
      if (seen.has(node)) return;
      seen.add(node);
      findings.push({ rule, severity, ...details, message, suggestion, ...spanOf(node) });
    });
  }
  return withoutSilenced(findings, tree.comments).sort(inOrder);
}

function inOrder(one: Finding, other: Finding): number {
  return one.line - other.line || one.column - other.column;
}
