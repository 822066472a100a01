/** Rules on texts: calls of their methods with a dot, and comparisons that letter case decides. */

import { LUA_GLOBALS } from '../../api/lua.ts';
import { constantOf } from '../constants.ts';
import type { Report, Rule } from '../finding.ts';
import { type PatternItem, parsePattern } from '../pattern.ts';
import { patternUses } from '../pattern-uses.ts';
import type { PolicyScript } from '../policy-script.ts';
import { argumentsOf, type Expression, isCall, type Node, type NodeOf, spanOf } from '../syntax.ts';
import { classOf, isAlways, membersOf, methodsOf, presentType } from '../types.ts';

const TEXT_METHODS: readonly string[] =
  Object.entries(LUA_GLOBALS).find(([name]) => name === 'string')?.[1] ?? [];

export const dotCall: Rule = {
  name: 'dot-call',
  severity: 'error',
  summary:
    'a method called with a dot, or a function of a library with a colon: the first argument is another one',
  check(policy, report) {
    for (const node of policy.bindings.nodes()) {
      if (!isCall(node) || node.base.type !== 'MemberExpression') continue;
      if (node.base.indexer === '.') checkDot(policy, node.base, argumentsOf(node)[0], report);
      else checkColon(policy, node.base, report);
    }
  },
};

function checkDot(
  policy: PolicyScript,
  { base, identifier }: NodeOf<'MemberExpression'>,
  first: Expression | undefined,
  report: Report,
): void {
  const type = policy.typeOf(base);
  const isText = isAlways(type, ['string']);
  const owner = classOf(type) ?? (type === undefined ? undefined : presentType(type));
  const methods = isText ? TEXT_METHODS : owner === undefined ? [] : methodsOf(owner);
  if (!methods.includes(identifier.name)) return;
  const shown = textOf(policy, base);
  // `s.len(s)` is right, if odd.
  if (first && textOf(policy, first) === shown) return;
  report(
    base,
    `${shown}.${identifier.name}(...) does not hand on ${shown}: methods are called with a colon`,
    {
      suggestion: `${shown}:${identifier.name}(...)`,
    },
  );
}

function checkColon(
  policy: PolicyScript,
  { base, identifier }: NodeOf<'MemberExpression'>,
  report: Report,
): void {
  const library = policy.pathOf(base);
  const fields = library === undefined ? undefined : LUA_GLOBALS[library];
  if (!fields?.includes(identifier.name) || policy.isDefined(`${library}.${identifier.name}`)) return;
  report(base, `${library}.${identifier.name} is called with a dot, not a colon`, {
    suggestion: `${library}.${identifier.name}`,
  });
}

export const letterCase: Rule = {
  name: 'letter-case',
  severity: 'error',
  summary:
    'a text in lower case, as `lower()` or the API makes it, compared with one that has capitals, or the other way round: they are never the same',
  check(policy, report) {
    for (const node of policy.bindings.nodes()) {
      if (node.type === 'BinaryExpression' && (node.operator === '==' || node.operator === '~=')) {
        checkEquality(policy, node.left, node.right, report);
        checkEquality(policy, node.right, node.left, report);
      } else if (node.type === 'IndexExpression' && !policy.isWritten(node)) {
        checkKeys(policy, node, report);
      }
    }
    for (const use of patternUses(policy)) {
      const cased = caseOf(policy, use.subject);
      if (cased === undefined || use.text === undefined) continue;
      const parsed = use.plain ? undefined : parsePattern(use.text);
      if (parsed && 'complaint' in parsed) continue;
      const misfit = parsed ? parsed.items.some((item) => isMisfit(item, cased)) : !fits(use.text, cased);
      if (misfit) report(use.pattern, `this is looked for in a text in ${wordOf(cased)}: it is never there`);
    }
  },
};

type Case = 'lowercase' | 'uppercase';

function wordOf(cased: Case): string {
  return cased === 'lowercase' ? 'lower case' : 'upper case';
}

function caseOf(policy: PolicyScript, subject: Expression): Case | undefined {
  const type = policy.typeOf(subject);
  const members =
    type === undefined ? [] : membersOf(type).filter((member) => member !== 'nil' && member !== 'false');
  if (members.length === 0) return undefined;
  if (members.every((member) => member === 'lowercase')) return 'lowercase';
  return members.every((member) => member === 'uppercase') ? 'uppercase' : undefined;
}

/** ASCII only, as Lua's functions are in the C locale. */
function fits(text: string, cased: Case): boolean {
  return cased === 'lowercase' ? !/[A-Z]/.test(text) : !/[a-z]/.test(text);
}

function inCase(text: string, cased: Case): string {
  return cased === 'lowercase' ? text.toLowerCase() : text.toUpperCase();
}

function checkEquality(policy: PolicyScript, side: Expression, other: Expression, report: Report): void {
  const cased = caseOf(policy, side);
  const constant = cased && constantOf(policy, other);
  if (!cased || constant?.kind !== 'string' || fits(constant.value, cased)) return;
  report(
    other,
    `${textOf(policy, side)} is in ${wordOf(cased)}: it is never ${JSON.stringify(constant.value)}`,
    {
      suggestion: JSON.stringify(inCase(constant.value, cased)),
    },
  );
}

/** Names in a table of the script that is looked into with texts in one case. */
function checkKeys(policy: PolicyScript, { base, index }: NodeOf<'IndexExpression'>, report: Report): void {
  const cased = caseOf(policy, index);
  const table = cased && policy.valueOf(base);
  if (!cased || table?.type !== 'TableConstructorExpression' || isReadOtherwise(policy, base, cased)) return;
  for (const field of table.fields) {
    if (field.type === 'TableValue') continue;
    const key = field.type === 'TableKeyString' ? field.key.name : constantText(policy, field.key);
    if (key === undefined || fits(key, cased)) continue;
    const line = index.loc?.start.line ?? 0;
    report(field.key, `line ${line} looks this up in ${wordOf(cased)}: it is never found`, {
      suggestion: `[${JSON.stringify(inCase(key, cased))}]`,
    });
  }
}

/** Whether a table is used in another way than by lookups in this case, and by assignments. */
function isReadOtherwise(policy: PolicyScript, base: Expression, cased: Case): boolean {
  const binding = policy.variableOf(base);
  if (!binding) return true;
  return policy.bindings.usesOf(binding).some((use) => {
    const parent = policy.bindings.parents.get(use);
    if (parent?.type === 'LocalStatement') return false;
    return (
      parent?.type !== 'IndexExpression' || parent.base !== use || caseOf(policy, parent.index) !== cased
    );
  });
}

function constantText(policy: PolicyScript, expression: Expression): string | undefined {
  const constant = constantOf(policy, expression);
  return constant?.kind === 'string' ? constant.value : undefined;
}

/** Whether an item must match something that a text in this case does not have. */
function isMisfit(item: PatternItem, cased: Case): boolean {
  if (item.kind === 'char') return isNeeded(item.quantifier) && !fits(item.char, cased);
  if (item.kind !== 'class' || !isNeeded(item.quantifier)) return false;
  return (
    item.text === (cased === 'lowercase' ? '%u' : '%l') ||
    item.text === (cased === 'lowercase' ? '[A-Z]' : '[a-z]')
  );
}

function isNeeded(quantifier: string | undefined): boolean {
  return quantifier === undefined || quantifier === '+';
}

function textOf(policy: PolicyScript, node: Node): string {
  return policy.source.textAt(spanOf(node));
}
