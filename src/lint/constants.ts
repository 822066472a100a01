/** Values of expressions that are known without running them, with integers as wide as this Lua's and as they are meant. */
import { API_NAMES } from '../api/names.ts';
import type { PolicyScript } from './policy-script.ts';
import { argumentsOf, type Expression, isCall, type NodeOf } from './syntax.ts';

export type Constant =
  | {
      readonly kind: 'integer';
      /** As Lua 5.3's 64-bit integers would have it. */
      readonly meant: bigint;
      /** Whether 32 bits lost something on the way. */
      readonly overflowed: boolean;
    }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'nil' };

const MAX = 2n ** 31n - 1n;
const MIN = -(2n ** 31n);

/** The value of a constant expression; undefined when it is none. */
export function constantOf(policy: PolicyScript, expression: Expression): Constant | undefined {
  const path = policy.pathOf(expression);
  if (path !== undefined) {
    const described =
      policy.isDefined(path) && policy.defined.has(path) ? undefined : API_NAMES.constants.get(path);
    return described && { kind: 'integer', meant: BigInt(described.value), overflowed: false };
  }
  const value = policy.valueOf(expression);
  switch (value.type) {
    case 'NumericLiteral':
      return numeral(value.raw);
    case 'StringLiteral':
      return { kind: 'string', value: value.value };
    case 'BooleanLiteral':
      return { kind: 'boolean', value: value.value };
    case 'NilLiteral':
      return { kind: 'nil' };
    case 'UnaryExpression':
      return unary(value.operator, constantOf(policy, value.argument));
    case 'BinaryExpression': {
      const left = constantOf(policy, value.left);
      const right = constantOf(policy, value.right);
      return left && right ? binary(value.operator, left, right) : undefined;
    }
    default:
      return undefined;
  }
}

/** A numeral as it stands in the source. */
export function numeral(raw: string): Constant | undefined {
  const digits = raw.toLowerCase();
  if (digits.startsWith('0x')) {
    if (/[.p]/.test(digits)) return undefined; // A hexadecimal float: rare, and no code or size.
    const meant = BigInt(digits);
    return { kind: 'integer', meant, overflowed: meant >= 2n ** 32n };
  }
  if (/[.e]/.test(digits)) return { kind: 'float', value: Number(digits) };
  // A decimal numeral that does not fit is a float.
  const meant = BigInt(digits);
  return meant > MAX
    ? { kind: 'float', value: Number(digits) }
    : { kind: 'integer', meant, overflowed: false };
}

function unary(
  operator: NodeOf<'UnaryExpression'>['operator'],
  of: Constant | undefined,
): Constant | undefined {
  if (operator !== '-' || of === undefined) return undefined;
  if (of.kind === 'float') return { kind: 'float', value: -of.value };
  return of.kind === 'integer' ? { ...of, meant: -of.meant } : undefined;
}

type Operator = NodeOf<'BinaryExpression'>['operator'];

function binary(operator: Operator, left: Constant, right: Constant): Constant | undefined {
  if (left.kind === 'integer' && right.kind === 'integer') {
    const meant = integerResult(operator, left.meant, right.meant);
    if (meant !== undefined) {
      const lost = operator === '<<' ? meant < 0n || meant >= 2n ** 32n : meant > MAX || meant < MIN;
      return { kind: 'integer', meant, overflowed: lost || left.overflowed || right.overflowed };
    }
  }
  if (operator === '..' && left.kind === 'string' && right.kind === 'string') {
    return { kind: 'string', value: left.value + right.value };
  }
  const [one, other] = [numberOf(left), numberOf(right)];
  if (one === undefined || other === undefined) return undefined;
  switch (operator) {
    case '+':
      return { kind: 'float', value: one + other };
    case '-':
      return { kind: 'float', value: one - other };
    case '*':
      return { kind: 'float', value: one * other };
    case '/':
      return { kind: 'float', value: one / other };
    case '^':
      return { kind: 'float', value: one ** other };
    default:
      return undefined;
  }
}

/** Of the operators that can leave 32 bits. */
function integerResult(operator: Operator, left: bigint, right: bigint): bigint | undefined {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '<<':
      return right >= 0n && right < 64n ? BigInt.asUintN(64, left << right) : undefined;
    default:
      return undefined;
  }
}

function numberOf(constant: Constant): number | undefined {
  if (constant.kind === 'integer') return Number(BigInt.asIntN(32, constant.meant));
  return constant.kind === 'float' ? constant.value : undefined;
}

/** All constants that an expression may be: those of `a and B or C` are B and C. Empty when some are not known. */
export function alternativesOf(policy: PolicyScript, expression: Expression): Constant[] {
  const value = policy.valueOf(expression);
  if (value.type !== 'LogicalExpression') {
    const constant = constantOf(policy, expression);
    return constant ? [constant] : [];
  }
  const right = alternativesOf(policy, value.right);
  if (right.length === 0 || value.operator === 'and') return right;
  const left = alternativesOf(policy, value.left);
  return left.length === 0 ? [] : [...left, ...right];
}

/** The beginning of a text that is put together: of `"5.7.1 " .. x`, `string.format("5.7.1 %s", x)`, `{ "5.7.1 no" }`. */
export function beginningOf(policy: PolicyScript, expression: Expression): string | undefined {
  const constant = constantOf(policy, expression);
  if (constant) return constant.kind === 'string' ? constant.value : undefined;
  const value = policy.valueOf(expression);
  if (value.type === 'BinaryExpression' && value.operator === '..') return beginningOf(policy, value.left);
  if (value.type === 'TableConstructorExpression') {
    const first = value.fields.find((field) => field.type === 'TableValue');
    return first && beginningOf(policy, first.value);
  }
  if (!isCall(value)) return undefined;
  const [format] = argumentsOf(value);
  const isFormat = policy.pathOf(value.base) === 'string.format';
  const isMethod = value.base.type === 'MemberExpression' && value.base.indexer === ':';
  if (isFormat && format) return beforePercent(beginningOf(policy, format));
  if (isMethod && value.base.type === 'MemberExpression' && value.base.identifier.name === 'format') {
    return beforePercent(beginningOf(policy, value.base.base));
  }
  return undefined;
}

function beforePercent(text: string | undefined): string | undefined {
  return text?.split('%')[0];
}
