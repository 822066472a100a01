/** Rules on values: integers that 32 bits do not hold, and operations on what they are not for. */
import { constantOf, numeral } from '../constants.ts';
import type { Report, Rule } from '../finding.ts';
import type { PolicyScript } from '../policy-script.ts';
import {
  argumentsOf,
  type CallExpression,
  type Expression,
  isCall,
  type Node,
  type NodeOf,
  spanOf,
} from '../syntax.ts';
import { type Base, baseOf, basesOf, isAlways, membersOf } from '../types.ts';

const MAX_INTEGER = 2147483647;
const ARITHMETIC: readonly string[] = ['+', '-', '*', '/', '//', '%', '^', '&', '|', '~', '<<', '>>'];
const ORDER: readonly string[] = ['<', '>', '<=', '>='];

export const integerOverflow: Rule = {
  name: 'integer-overflow',
  severity: 'error',
  summary: 'an integer that does not fit into 32 bits, as a numeral or as the result of constant arithmetic',
  check(policy, report) {
    for (const node of policy.bindings.nodes()) {
      if (node.type === 'NumericLiteral') checkNumeral(policy, node, report);
      else if (node.type === 'BinaryExpression') checkArithmetic(policy, node, report);
      else if (isCall(node)) checkConversion(policy, node, report);
    }
  },
};

function checkNumeral(policy: PolicyScript, node: NodeOf<'NumericLiteral'>, report: Report): void {
  const value = numeral(node.raw);
  if (value?.kind === 'integer' && !value.overflowed && value.meant > BigInt(MAX_INTEGER)) {
    if (isBitPattern(policy, node)) return;
    report(node, `${node.raw} is ${BigInt.asIntN(32, value.meant)} here: integers have 32 bits`, {
      severity: 'warning',
      suggestion: `${value.meant}.0`,
    });
    return;
  }
  if (value?.kind === 'integer' && value.overflowed) {
    report(node, `${node.raw} has more than 32 bits: the upper ones are lost`);
  } else if (value?.kind === 'float' && /^\d+$/.test(node.raw) && value.value > MAX_INTEGER) {
    report(node, `${node.raw} does not fit into 32 bits: it is a float here, and written with .0`, {
      severity: 'warning',
      suggestion: `${node.raw}.0`,
    });
  }
}

/** `tonumber("0xFFFFFFFF")`, `tonumber("FFFFFFFF", 16)`. */
function checkConversion(policy: PolicyScript, call: CallExpression, report: Report): void {
  if (policy.pathOf(call.base) !== 'tonumber' || policy.isDefined('tonumber')) return;
  const [text, base] = argumentsOf(call).map((argument) => constantOf(policy, argument));
  if (text?.kind !== 'string') return;
  const digits =
    base?.kind === 'integer' && base.meant === 16n ? `0x${text.value.trim()}` : text.value.trim();
  if (!/^0x[0-9a-f]+$/i.test(digits) || BigInt(digits) <= BigInt(MAX_INTEGER)) return;
  report(call, `this is ${BigInt.asIntN(32, BigInt(digits))}: integers have 32 bits`, {
    suggestion: `${BigInt(digits)}.0`,
  });
}

/** Whether a numeral is used for its bits, or where that may be: in a table, or given to a function. */
function isBitPattern(policy: PolicyScript, node: NodeOf<'NumericLiteral'>): boolean {
  const parent = policy.bindings.parents.get(node);
  if (parent?.type === 'BinaryExpression') return true; // Its own checks tell.
  if (parent?.type !== 'LocalStatement') return true;
  const variable = parent.variables[parent.init.indexOf(node)];
  const binding = variable && policy.variableOf(variable);
  if (!binding) return true;
  return policy.bindings.usesOf(binding).some((use) => {
    const user = policy.bindings.parents.get(use);
    return user?.type !== 'BinaryExpression' ? use !== variable : BITWISE.includes(user.operator);
  });
}

function checkArithmetic(policy: PolicyScript, node: NodeOf<'BinaryExpression'>, report: Report): void {
  const time = node.operator === '*' ? timeTimes(policy, node) : undefined;
  if (time !== undefined) {
    report(node, 'os.time() and this factor do not fit into 32 bits', { suggestion: time });
    return;
  }
  const lost = floatAsBits(policy, node) ?? negativeMask(policy, node) ?? timeBeyond(policy, node);
  if (lost) {
    report(node, lost.message, { suggestion: lost.instead });
    return;
  }
  const value = constantOf(policy, node);
  if (value?.kind !== 'integer' || !value.overflowed) return;
  const parent = policy.bindings.parents.get(node);
  // The outermost operation tells the whole value.
  if (parent?.type === 'BinaryExpression' && constantOf(policy, parent)?.kind === 'integer') return;
  const own = [node.left, node.right].some((operand) => {
    const constant = constantOf(policy, operand);
    return constant?.kind === 'integer' && constant.overflowed && operand.type !== 'BinaryExpression';
  });
  if (own) return; // Reported where the operand gets its value.
  report(
    node,
    `this is ${value.meant}, which does not fit into 32 bits: it becomes ${BigInt.asIntN(32, value.meant)}`,
    {
      suggestion: node.operator === '<<' ? undefined : asFloat(policy, node),
    },
  );
}

interface Loss {
  readonly message: string;
  readonly instead?: string | undefined;
}

const BITWISE: readonly string[] = ['&', '|', '~', '<<', '>>'];

/** `2^31 | 0`: an operation on bits of a float that 32 bits do not hold. */
function floatAsBits(
  policy: PolicyScript,
  { operator, left, right }: NodeOf<'BinaryExpression'>,
): Loss | undefined {
  if (!BITWISE.includes(operator)) return undefined;
  for (const side of [left, right]) {
    const constant = constantOf(policy, side);
    if (constant?.kind !== 'float') continue;
    if (
      !Number.isInteger(constant.value) ||
      constant.value > MAX_INTEGER ||
      constant.value < -MAX_INTEGER - 1
    ) {
      return {
        message: `${describe(policy, side)} is ${constant.value}, which has no 32 bits: ${operator} fails`,
      };
    }
  }
  return undefined;
}

/** A bit pattern with the highest bit, 0xFFFFFFFF or 1 << 31, as a number: it is less than 0. */
function negativeMask(
  policy: PolicyScript,
  { operator, left, right }: NodeOf<'BinaryExpression'>,
): Loss | undefined {
  if (![...ORDER, '+', '-', '*', '/', '//', '%'].includes(operator)) return undefined;
  for (const side of [left, right]) {
    const constant = constantOf(policy, side);
    if (constant?.kind !== 'integer' || constant.overflowed) continue;
    if (constant.meant <= BigInt(MAX_INTEGER)) continue;
    const literal = policy.valueOf(side);
    // Told where the variable gets it.
    if (literal !== side && literal.type === 'NumericLiteral' && !isBitPattern(policy, literal)) continue;
    const value = BigInt.asIntN(32, constant.meant);
    return {
      message: `${describe(policy, side)} is ${value} here: integers have 32 bits`,
      instead: `${constant.meant}.0`,
    };
  }
  return undefined;
}

/** A time to come that 32 bits do not hold: they end in January 2038. */
function timeBeyond(
  policy: PolicyScript,
  { operator, left, right }: NodeOf<'BinaryExpression'>,
): Loss | undefined {
  if (operator !== '+') return undefined;
  for (const [time, other] of [
    [left, right],
    [right, left],
  ] as const) {
    if (!isCall(time) || policy.pathOf(time.base) !== 'os.time' || argumentsOf(time).length > 0) continue;
    const constant = constantOf(policy, other);
    if (constant?.kind !== 'integer' || constant.overflowed) continue;
    if (Number(constant.meant) + Date.now() / 1000 <= MAX_INTEGER) continue;
    return {
      message: 'this time is after January 2038, which 32 bits do not hold',
      instead: `os.time() + ${constant.meant}.0`,
    };
  }
  return undefined;
}

/** The product of os.time() and an integer above 1. */
function timeTimes(policy: PolicyScript, { left, right }: NodeOf<'BinaryExpression'>): string | undefined {
  const isTime = (side: Expression): boolean =>
    isCall(side) && policy.pathOf(side.base) === 'os.time' && argumentsOf(side).length === 0;
  const [time, factor] = isTime(left) ? [left, right] : [right, left];
  if (!isTime(time)) return undefined;
  const constant = constantOf(policy, factor);
  if (constant?.kind !== 'integer' || (constant.meant < 2n && constant.meant > -2n)) return undefined;
  return `os.time() * ${constant.meant}.0`;
}

/** The same arithmetic with floats: `5.0*1024*1024`; undefined where it begins with no numeral. */
function asFloat(policy: PolicyScript, node: Node): string | undefined {
  const text = policy.source.textAt(spanOf(node));
  return /^\d+\b(?![.xX])/.test(text) ? text.replace(/^\d+/, '$&.0') : undefined;
}

export const wrongType: Rule = {
  name: 'wrong-type',
  severity: 'error',
  summary:
    'a value of the API used as what it is not: a list compared with a number, a number indexed, a table in a text',
  check(policy, report) {
    for (const node of policy.bindings.nodes()) {
      if (node.type === 'BinaryExpression') checkOperation(policy, node, report);
      else if (node.type === 'UnaryExpression') checkUnary(policy, node, report);
      else if (node.type === 'MemberExpression' || node.type === 'IndexExpression')
        checkIndex(policy, node, report);
      else if (isCall(node)) checkCall(policy, node, report);
    }
  },
};

function checkOperation(policy: PolicyScript, node: NodeOf<'BinaryExpression'>, report: Report): void {
  const { operator, left, right } = node;
  const sides: [Expression, Expression][] = [
    [left, right],
    [right, left],
  ];
  for (const [side, other] of sides) {
    const type = apiType(policy, side);
    if (type === undefined) continue;
    const shown = describe(policy, side);
    if (operator === '..' || ARITHMETIC.includes(operator)) {
      if (isAlways(type, ['table', 'function', 'boolean'])) {
        report(
          side,
          `${shown} is a ${plain(type)}, which ${operator === '..' ? 'cannot be joined to a text' : 'is no number'}`,
          {
            suggestion: forTable(type, shown, ARITHMETIC.includes(operator)),
          },
        );
        return;
      }
    } else if (ORDER.includes(operator)) {
      if (isAlways(type, ['table', 'function', 'boolean'])) {
        report(side, `${shown} is a ${plain(type)}, which is not less or more than something`, {
          suggestion: forTable(type, shown, true),
        });
        return;
      }
      if (isAlways(type, ['string']) && other.type === 'NumericLiteral') {
        report(side, `${shown} is a string, and compared with a number`, {
          suggestion: `tonumber(${shown})`,
        });
        return;
      }
    } else if (operator === '==' || operator === '~=') {
      const literal = literalBase(other);
      const bases = basesOf(type);
      if (literal === undefined || bases === undefined || type === 'nil') continue;
      const result = operator === '==' ? 'false' : 'true';
      if (bases.has(literal)) {
        const misfit = literalMisfit(type, other);
        if (misfit === undefined) continue;
        report(node, `${shown} is never ${misfit.shown}: this is always ${result}`, {
          suggestion: misfit.instead ?? (operator === '==' ? shown : `not ${shown}`),
        });
        return;
      }
      report(node, `${shown} is never a ${literal}: this is always ${result}`, {
        suggestion: literal === 'number' ? forTable(type, shown, true) : undefined,
      });
      return;
    }
  }
}

/** A literal of the right type that a value of the type never is: `true` where it is `false` or a text, another word. */
function literalMisfit(type: string, other: Expression): { shown: string; instead?: string } | undefined {
  const members = membersOf(type);
  if (other.type === 'BooleanLiteral') {
    const isPossible = members.some((member) => member === 'boolean' || member === String(other.value));
    return isPossible ? undefined : { shown: String(other.value) };
  }
  if (other.type !== 'StringLiteral') return undefined;
  const words = members.filter((member) => member !== 'nil' && member !== 'false');
  const literal = JSON.stringify(other.value);
  if (words.includes(literal) || !words.every((member) => member.startsWith('"'))) return undefined;
  return { shown: literal, instead: words.join(' or ') };
}

/** How many there are is what is meant where a list stands for a number. */
function forTable(type: string, shown: string, isNumber: boolean): string | undefined {
  const isList = membersOf(type).every((member) => member.endsWith('[]') || baseOf(member) === 'nil');
  return isNumber && (isList || type === 'smtp.params') ? `#${shown}` : undefined;
}

function checkUnary(
  policy: PolicyScript,
  { operator, argument }: NodeOf<'UnaryExpression'>,
  report: Report,
): void {
  const type = apiType(policy, argument);
  if (operator !== '#' || !isAlways(type, ['number', 'boolean', 'function'])) return;
  report(argument, `${describe(policy, argument)} is a ${plain(type ?? '')}, which has no length`);
}

function checkIndex(
  policy: PolicyScript,
  { base }: NodeOf<'MemberExpression' | 'IndexExpression'>,
  report: Report,
): void {
  const type = apiType(policy, base);
  if (!isAlways(type, ['number', 'boolean', 'function'])) return;
  report(base, `${describe(policy, base)} is a ${plain(type ?? '')}, which has no fields`);
}

function checkCall(
  policy: PolicyScript,
  node: NodeOf<'CallExpression' | 'TableCallExpression' | 'StringCallExpression'>,
  report: Report,
): void {
  const { base } = node;
  if (base.type === 'MemberExpression' && base.indexer === ':') return;
  const type = apiType(policy, base);
  if (!isAlways(type, ['string', 'number', 'boolean', 'table'])) return;
  report(base, `${describe(policy, base)} is a ${plain(type ?? '')}, not a function`);
}

/** The type of what comes from the API. A value of the script's own may have metamethods, or meet one that has. */
function apiType(policy: PolicyScript, expression: Expression): string | undefined {
  switch (policy.valueOf(expression).type) {
    case 'FunctionDeclaration':
    case 'TableConstructorExpression':
    case 'StringLiteral':
    case 'NumericLiteral':
    case 'BooleanLiteral':
    case 'BinaryExpression':
      return undefined;
    default:
      return policy.typeOf(expression);
  }
}

function literalBase(node: Expression): Base | undefined {
  switch (node.type) {
    case 'StringLiteral':
      return 'string';
    case 'NumericLiteral':
      return 'number';
    case 'BooleanLiteral':
      return 'boolean';
    default:
      return undefined;
  }
}

function plain(type: string): string {
  const bases = membersOf(type)
    .map(baseOf)
    .filter((base) => base !== 'nil');
  return [...new Set(bases)].join(' or ');
}

function describe(policy: PolicyScript, node: Node): string {
  return policy.source.textAt(spanOf(node));
}
