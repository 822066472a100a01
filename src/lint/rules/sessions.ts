/** Rules on what lasts: each session runs the script anew, so that no variable is seen by the next. */
import { API_NAMES } from '../../api/names.ts';
import type { Binding } from '../bindings.ts';
import type { Rule } from '../finding.ts';
import type { PolicyScript } from '../policy-script.ts';
import type { Stage } from '../stages.ts';
import { type Expression, isCall, type Node, spanOf } from '../syntax.ts';

/** Callbacks that a session has once. */
const ONCE: readonly Stage[] = ['connect', 'close'];
/** Words of limits that are meant for longer than a session, and for one. */
const LONGER = /\b(hour|minute|day|today|daily|hourly|rate|total|overall|second|week)/i;
const WITHIN = /\b(session|connection)/i;

/** What limits are set for: fields, and callbacks whose first parameter it is. */
const CLIENTS: readonly string[] = [
  ...['smtp.sess.ip', 'smtp.sess.ptr', 'smtp.sess.auth.user', 'smtp.sess.helo', 'smtp.tran.sender'],
  ...['connect', 'helo', 'mail'],
];

const ADDRESSES: readonly string[] = ['smtp.sess.ip', 'connect'];

type Subject = Binding | string;

export const sessionCounter: Rule = {
  name: 'session-counter',
  severity: 'warning',
  summary:
    'a variable of the main chunk that counts clients, senders or messages as if all sessions had it together: each has its own',
  check(policy, report) {
    const told = new Set<Subject>();
    for (const node of policy.bindings.nodes()) {
      if (node.type !== 'AssignmentStatement') continue;
      node.variables.forEach((place, i) => {
        const value = node.init[i];
        const subject = value && subjectOf(policy, place);
        if (!value || subject === undefined || told.has(subject)) return;
        if (!isCounted(policy, place, value)) return;
        told.add(subject);
        const name = typeof subject === 'string' ? subject : subject.name;
        report(place, `every session has a ${name} of its own: it knows nothing of what others do`, {
          suggestion: 'a file (io.open), which all sessions see',
        });
      });
    }
  },
};

/** The variable of the main chunk that a function assigns to, or to an element of. */
function subjectOf(policy: PolicyScript, place: Expression): Subject | undefined {
  if (policy.bindings.functionOf(place) === undefined) return undefined;
  const root = place.type === 'IndexExpression' || place.type === 'MemberExpression' ? place.base : place;
  if (root.type !== 'Identifier') return undefined;
  const binding = policy.variableOf(root);
  if (binding) return binding.home === undefined && !binding.parameter && !binding.loop ? binding : undefined;
  return API_NAMES.globals.has(root.name) ? undefined : root.name;
}

function isCounted(policy: PolicyScript, place: Expression, value: Expression): boolean {
  if (place.type === 'Identifier') {
    return isSum(policy, place, value) && isOneMore(value) && isCountedOnceOrLonger(policy, place);
  }
  if (place.type === 'MemberExpression') {
    return isSum(policy, place, value) && isOneMore(value) && isCountedOnceOrLonger(policy, place);
  }
  if (place.type !== 'IndexExpression' || isEmptied(policy, place.base)) return false;
  // What is remembered of the client's address, this session's only one, is for other sessions.
  const isMark = value.type === 'BooleanLiteral' && value.value;
  if (isMark) return sourcesOf(policy, place.index).some((source) => ADDRESSES.includes(source));
  return (isSum(policy, place, value) || isTime(policy, value)) && isOfClient(policy, place.index);
}

/** `n + 1`, `(n or 0) + 1` of the place itself. */
function isSum(policy: PolicyScript, place: Expression, given: Expression): boolean {
  const value = policy.valueOf(given);
  if (value.type !== 'BinaryExpression' || value.operator !== '+') return false;
  const shown = textOf(policy, place);
  return [value.left, value.right].some((side) => {
    const plain = side.type === 'LogicalExpression' && side.operator === 'or' ? side.left : side;
    return textOf(policy, policy.valueOf(plain)) === shown || textOf(policy, plain) === shown;
  });
}

/** Counted one by one, not a score of several things. */
function isOneMore(value: Expression): boolean {
  if (value.type !== 'BinaryExpression') return false;
  return [value.left, value.right].some((side) => side.type === 'NumericLiteral' && side.value === 1);
}

function isTime(policy: PolicyScript, value: Expression): boolean {
  const found = policy.valueOf(value);
  return isCall(found) && policy.pathOf(found.base) === 'os.time';
}

/** Counted in a callback that comes once, or with a limit in words that is not one of a session. */
function isCountedOnceOrLonger(policy: PolicyScript, place: Expression): boolean {
  const stages = policy.flow.stagesOf(place);
  if (stages === undefined || stages.size === 0 || stages.has('start')) return false;
  if ([...stages].every((stage) => ONCE.includes(stage))) {
    // A score has several reasons, each asked for.
    const statement = policy.bindings.parents.get(place);
    const block = statement && policy.bindings.parents.get(statement);
    return block?.type === 'FunctionDeclaration' && isOnlyChange(policy, place);
  }
  const body = policy.bindings.functionOf(place);
  const words = [textOf(policy, place).replaceAll('_', ' '), ...(body ? textsIn(policy, body) : [])].join(
    ' ',
  );
  return LONGER.test(words) && !WITHIN.test(words);
}

/** Whether the variable changes nowhere else in the functions of the script. */
function isOnlyChange(policy: PolicyScript, place: Expression): boolean {
  if (place.type !== 'Identifier') return true;
  const uses = policy.bindings.usesOf(policy.variableOf(place) ?? place.name);
  const changes = uses.filter(
    (use) => policy.isWritten(use) && policy.bindings.functionOf(use) !== undefined,
  );
  return changes.length === 1;
}

/** The texts that stand in a function. */
function textsIn(policy: PolicyScript, body: Node): string[] {
  const texts: string[] = [];
  for (const node of policy.bindings.nodes()) {
    if (node.type === 'StringLiteral' && policy.bindings.functionOf(node) === body) texts.push(node.value);
  }
  return texts;
}

/** Whether a table is made anew in some function: for each message, then. */
function isEmptied(policy: PolicyScript, base: Expression): boolean {
  const binding = policy.variableOf(base);
  if (binding) return binding.assigned;
  return base.type !== 'Identifier'
    ? true
    : policy.bindings.definitions.some(
        ({ place }) =>
          place.type === 'Identifier' &&
          place.name === base.name &&
          policy.bindings.functionOf(place) !== undefined,
      );
}

/** Whether a key tells clients or senders apart: it is one for the whole session, or is what limits are set for. */
function isOfClient(policy: PolicyScript, key: Expression): boolean {
  return sourcesOf(policy, key).some((source) => CLIENTS.includes(source));
}

/** The fields and parameters of callbacks that an expression is made of. */
function sourcesOf(policy: PolicyScript, expression: Node, depth = 0): string[] {
  if (depth > 8) return [];
  const path = policy.pathOf(expression);
  if (path !== undefined && API_NAMES.fields.has(path.replace(/\.user$/, ''))) return [path];
  if (expression.type === 'Identifier') {
    const binding = policy.variableOf(expression);
    if (!binding) return [];
    if (binding.parameter) {
      const { of, index } = binding.parameter;
      const callback = policy.callbacks.find(({ body }) => body === of)?.callback;
      const stage = callback?.name.replace('smtp.do_', '');
      return index === 0 && stage !== undefined ? [stage] : [];
    }
    return binding.initial ? sourcesOf(policy, binding.initial, depth + 1) : [];
  }
  return operandsOf(expression).flatMap((operand) => sourcesOf(policy, operand, depth + 1));
}

function operandsOf(node: Node): readonly Node[] {
  switch (node.type) {
    case 'BinaryExpression':
    case 'LogicalExpression':
      return [node.left, node.right];
    case 'CallExpression':
      return node.base.type === 'MemberExpression' && node.base.indexer === ':'
        ? [node.base.base, ...node.arguments]
        : node.arguments;
    case 'StringCallExpression':
      return node.base.type === 'MemberExpression' && node.base.indexer === ':' ? [node.base.base] : [];
    default:
      return [];
  }
}

function textOf(policy: PolicyScript, node: Node): string {
  return policy.source.textAt(spanOf(node));
}
