/** Rules on nil: uses of what may be nil, and questions for nil where there is none. */
import { API_NAMES } from '../../api/names.ts';
import type { Report, Rule } from '../finding.ts';
import type { PolicyScript } from '../policy-script.ts';
import { calleeOf } from '../results.ts';
import { type CallExpression, type Expression, isCall, type Node, spanOf } from '../syntax.ts';
import { isAlways, mayBeNil, presentType, type Type } from '../types.ts';

const COMPARISONS: readonly string[] = ['==', '~='];

/** An expression that must not be nil where it stands, and what would fail. */
interface Use {
  readonly subject: Expression;
  readonly fails: string;
}

function* usesOf(policy: PolicyScript): Generator<Use> {
  for (const node of policy.bindings.nodes()) {
    switch (node.type) {
      case 'MemberExpression':
        yield {
          subject: node.base,
          fails: node.indexer === ':' ? `has no method ${node.identifier.name}` : 'has no fields',
        };
        break;
      case 'IndexExpression':
        yield { subject: node.base, fails: 'has no elements' };
        break;
      case 'BinaryExpression':
        if (COMPARISONS.includes(node.operator)) break;
        for (const subject of [node.left, node.right]) yield { subject, fails: failureOf(node.operator) };
        break;
      case 'UnaryExpression':
        if (node.operator !== 'not') {
          yield { subject: node.argument, fails: node.operator === '#' ? 'has no length' : 'is no number' };
        }
        break;
      case 'ForNumericStatement':
        for (const bound of [node.start, node.end, node.step]) {
          if (bound) yield { subject: bound, fails: 'is no number' };
        }
        break;
      default:
        if (isCall(node)) yield* usesByCall(policy, node);
    }
  }
}

function failureOf(operator: string): string {
  if (operator === '..') return 'cannot be joined to a text';
  return ['<', '>', '<=', '>='].includes(operator) ? 'is not less or more than something' : 'is no number';
}

function* usesByCall(policy: PolicyScript, call: Node): Generator<Use> {
  if (!isCall(call)) return;
  yield { subject: call.base, fails: 'cannot be called' };
  const callee = calleeOf(policy, call, (node) => policy.typeOf(node));
  if (callee === undefined) return;
  for (const [i, subject] of callee.args.entries()) {
    const param = callee.params[i];
    if (param === undefined || param.name === '...' || param.optional === true) continue;
    if (/\bany\b|\bnil\b/.test(param.type)) continue;
    const isMethod = call.base.type === 'MemberExpression' && call.base.base === subject;
    if (!isMethod) yield { subject, fails: `is no ${param.name} for ${callee.name}` };
  }
}

export const maybeNil: Rule = {
  name: 'maybe-nil',
  severity: 'warning',
  summary:
    'a use of what may be nil without asking first: a field of `smtp.sess.auth`, `header.get(...):lower()`, `#dns.mx(d)`, an index into what `match` found',
  check(policy, report) {
    // A test that fails by it says so when it is run.
    if (policy.facts.isTest) return;
    for (const { subject, fails } of usesOf(policy)) {
      const type = policy.typeOf(subject);
      if (type === undefined || !mayBeNil(type) || policy.isWritten(subject) || isCaught(policy, subject))
        continue;
      const shown = textOf(policy, subject);
      if (presentType(type) === undefined) {
        // A constant nil is told as a wrong argument, a field that is not known yet as too early.
        if (subject.type === 'NilLiteral' || isUnknownYet(policy, subject)) continue;
        report(subject, `${shown} is nil here: it ${fails}`, { severity: 'error' });
        continue;
      }
      const why = API_NAMES.fields.get(policy.pathOf(subject) ?? '')?.absent;
      report(subject, `${shown} may be nil, which ${fails}${why === undefined ? '' : `: ${why}`}`, {
        suggestion: guardOf(policy, subject, type, shown),
      });
    }
  },
};

/** Whether an error is expected: in a function that is written down for pcall. */
function isCaught(policy: PolicyScript, subject: Node): boolean {
  const body = policy.bindings.functionOf(subject);
  const call = body && policy.bindings.parents.get(body);
  return call !== undefined && isCall(call) && ['pcall', 'xpcall'].includes(policy.pathOf(call.base) ?? '');
}

function isUnknownYet(policy: PolicyScript, subject: Node): boolean {
  const field = API_NAMES.fields.get(policy.pathOf(subject) ?? '');
  return (
    field !== undefined && policy.flow.stages.typeOfField(field, policy.flow.stagesOf(subject)) === 'nil'
  );
}

/** How to ask first, or what to put in its place. */
function guardOf(policy: PolicyScript, subject: Expression, type: Type, shown: string): string {
  if (/[\n]/.test(shown) || shown.length > 60) return 'ask whether it is nil first';
  if (isCall(subject) && isLookUp(policy, subject)) return `must(${shown})`;
  if (isAlways(type, ['string'])) return `(${shown} or "")`;
  if (isAlways(type, ['number'])) return `(${shown} or 0)`;
  if (presentType(type ?? '')?.endsWith('[]')) return `(${shown} or {})`;
  return subject.type === 'Identifier' || subject.type === 'MemberExpression'
    ? `if ${shown} then`
    : 'a local variable for it, and a question whether it is nil';
}

/** Whether nil means that something could not be found out, which `must` is for. */
function isLookUp(policy: PolicyScript, call: CallExpression): boolean {
  return calleeOf(policy, call, (node) => policy.typeOf(node))?.entry?.waits === true;
}

export const neverNil: Rule = {
  name: 'never-nil',
  severity: 'warning',
  summary:
    'a question whether a text of the API is nil that never is: the null sender and a missing name are `""`',
  check(policy, report) {
    for (const node of policy.bindings.nodes()) {
      const subject = askedForNil(node);
      if (subject === undefined) continue;
      const type = policy.typeOf(subject);
      if (type === undefined || mayBeNil(type) || isComparedWithBlank(policy, subject)) continue;
      const blank = blankOf(policy, subject);
      if (blank === undefined) {
        // Of one that is never missing, `== nil` alone says what is thought; `not` may be there to be on the safe side.
        const isField = API_NAMES.fields.has(policy.pathOf(subject) ?? '');
        if (isField && node.type === 'BinaryExpression') {
          report(node, `${textOf(policy, subject)} is never nil here: this is always false`);
        }
        continue;
      }
      const shown = textOf(policy, subject);
      report(node, `${shown} is never nil: ${blank} is ""`, { suggestion: `${shown} == ""` });
    }
  },
};

/** What `x == nil` and `not x` ask about. */
function askedForNil(node: Node): Expression | undefined {
  if (node.type === 'UnaryExpression' && node.operator === 'not') return node.argument;
  if (node.type !== 'BinaryExpression' || node.operator !== '==') return undefined;
  if (node.right.type === 'NilLiteral') return node.left;
  return node.left.type === 'NilLiteral' ? node.right : undefined;
}

/** What `""` stands for in a parameter of a callback or a field. */
function blankOf(policy: PolicyScript, subject: Expression): string | undefined {
  const field = API_NAMES.fields.get(policy.pathOf(subject) ?? '');
  if (field) return field.blank;
  const binding = policy.variableOf(subject);
  if (!binding?.parameter || binding.assigned) return undefined;
  const { of, index } = binding.parameter;
  return policy.callbacks.find(({ body }) => body === of)?.callback.params[index]?.blank;
}

/** Whether the same function asks for `""` too: then nil is asked for to be on the safe side. */
function isComparedWithBlank(policy: PolicyScript, subject: Expression): boolean {
  const shown = textOf(policy, subject);
  const home = policy.bindings.functionOf(subject);
  for (const node of policy.bindings.nodes()) {
    if (node.type !== 'BinaryExpression' || !COMPARISONS.includes(node.operator)) continue;
    const sides: [Expression, Expression][] = [
      [node.left, node.right],
      [node.right, node.left],
    ];
    for (const [side, other] of sides) {
      const isBlank = other.type === 'StringLiteral' && other.value === '';
      const isLength = other.type === 'NumericLiteral' && textOf(policy, side) === `#${shown}`;
      if ((isBlank && textOf(policy, side) === shown) || isLength) {
        if (policy.bindings.functionOf(node) === home) return true;
      }
    }
  }
  return false;
}

export const alwaysTrue: Rule = {
  name: 'always-true',
  severity: 'warning',
  summary:
    'a list of the API as a condition: an empty one is true too, and nil of `dns.*` means “could not find out”',
  check(policy, report) {
    for (const node of policy.bindings.nodes()) {
      const asked = conditionIn(node);
      for (const subject of asked) {
        checkList(policy, subject, report);
        checkAlternative(policy, subject, report);
      }
    }
  },
};

/** The operands that a node takes for true or false. */
function conditionIn(node: Node): readonly Expression[] {
  switch (node.type) {
    case 'IfClause':
    case 'ElseifClause':
    case 'WhileStatement':
      return [node.condition];
    case 'UnaryExpression':
      return node.operator === 'not' ? [node.argument] : [];
    default:
      return [];
  }
}

/** `x == "a" or "b"`: a text by itself is true. */
function checkAlternative(policy: PolicyScript, asked: Expression, report: Report): void {
  if (asked.type !== 'LogicalExpression') return;
  const { operator, left, right } = asked;
  checkAlternative(policy, left, report);
  const compared = left.type === 'LogicalExpression' ? left.right : left;
  const isText = right.type === 'StringLiteral' || right.type === 'NumericLiteral';
  if (operator !== 'or' || !isText || compared.type !== 'BinaryExpression' || compared.operator !== '==')
    return;
  report(right, `${textOf(policy, right)} alone is always true`, {
    suggestion: `${textOf(policy, compared.left)} == ${textOf(policy, right)}`,
  });
}

function checkList(policy: PolicyScript, subject: Expression, report: Report): void {
  if (!isCall(subject)) return;
  const type = policy.typeOf(subject);
  const isList = type !== undefined && presentType(type)?.endsWith('[]');
  if (!isList) return;
  const shown = textOf(policy, subject);
  const count = mayBeNil(type) ? `#must(${shown}) > 0` : `#${shown} > 0`;
  const meaning = mayBeNil(type) ? ', and nil means that it could not be found out' : '';
  report(subject, `${shown} is a list: an empty one is true too${meaning}`, { suggestion: count });
}

function textOf(policy: PolicyScript, node: Node): string {
  return policy.source.textAt(spanOf(node));
}
