/** What a call gives: the lists of results of which it gives one, from the descriptions and from its constant arguments. */

import { LUA_FUNCTIONS } from '../api/lua-library.ts';
import { API_NAMES } from '../api/names.ts';
import type { ApiFunction, Parameter } from '../modules/entry.ts';
import { constantOf } from './constants.ts';
import { capturesOf, matchesAlways, parsePattern } from './pattern.ts';
import type { PolicyScript } from './policy-script.ts';
import { argumentsOf, type CallExpression, type Expression, type Node } from './syntax.ts';
import { baseOf, classOf, isAlways, membersOf, presentType, type Type, unionOf } from './types.ts';

/** A function of the API or of Lua, as it is called somewhere. */
export interface Callee {
  /** `header.get`, `string.match`, `io.file:read`. */
  readonly name: string;
  readonly params: readonly Parameter[];
  /** Undefined where nothing is known of them. */
  readonly forms: readonly (readonly Type[])[] | undefined;
  /** The arguments, with the one before the colon. */
  readonly args: readonly Expression[];
  readonly entry: ApiFunction | undefined;
}

export type TypeOf = (node: Node) => Type;

export function calleeOf(policy: PolicyScript, call: CallExpression, typeOf: TypeOf): Callee | undefined {
  const { base } = call;
  const args = argumentsOf(call);
  if (base.type === 'MemberExpression' && base.indexer === ':') {
    const name = methodName(policy, base.base, base.identifier.name, typeOf);
    return name === undefined ? undefined : find(name, name.includes(':') ? args : [base.base, ...args]);
  }
  const name = policy.pathOf(base);
  return name === undefined || policy.isDefined(name) ? undefined : find(name, args);
}

/** Strings have methods; so do the classes, and what is not known is taken for a string where only strings have them. */
function methodName(
  policy: PolicyScript,
  subject: Expression,
  method: string,
  typeOf: TypeOf,
): string | undefined {
  const path = policy.pathOf(subject);
  if (path !== undefined && API_NAMES.tables.has(path)) return undefined;
  const type = typeOf(subject);
  const isString = type === undefined ? isOnlyOfStrings(policy, method) : isAlways(type, ['string']);
  if (isString) return policy.isDefined(`string.${method}`) ? undefined : `string.${method}`;
  const owner = classOf(type) ?? (type === undefined ? undefined : presentType(type));
  return owner === undefined ? undefined : `${owner}:${method}`;
}

function isOnlyOfStrings(policy: PolicyScript, method: string): boolean {
  return ['find', 'match', 'gmatch', 'gsub', 'lower', 'upper'].includes(method) && !policy.setsField(method);
}

function find(name: string, args: readonly Expression[]): Callee | undefined {
  const entry = API_NAMES.functions.get(name);
  if (entry) return { name, params: entry.params, forms: formsOf(entry), args, entry };
  const known = LUA_FUNCTIONS.get(name);
  return known && { name, params: known.params, forms: known.forms, args, entry: undefined };
}

/** Of a function of the API: `err` is there when the first result is nil, and only then. */
function formsOf({ results, forms }: ApiFunction): readonly (readonly Type[])[] | undefined {
  if (forms) return forms;
  const [first, second] = results;
  if (results.some(({ name }) => name === '...')) return undefined;
  if (first && second?.name === 'err') {
    return [
      [presentType(first.type), 'nil'],
      ['nil', presentType(second.type)],
    ];
  }
  return [results.map(({ type }) => type)];
}

/** The results of a call of a function that is known, its arguments looked at. */
export function resultsOf(
  policy: PolicyScript,
  callee: Callee,
  typeOf: TypeOf,
): readonly (readonly Type[])[] | undefined {
  const { name, args, forms } = callee;
  const [first, second] = args;
  if (callee.entry?.passes) return undefined;
  switch (name) {
    case 'string.match':
      return isForeign(policy, first, typeOf) && second
        ? matched(textOf(policy, second), caseOf(first && typeOf(first)))
        : undefined;
    case 'string.find':
      return isForeign(policy, first, typeOf)
        ? found(policy, callee, caseOf(first && typeOf(first)))
        : undefined;
    case 'string.lower':
      return [['lowercase']];
    case 'string.upper':
      return [['uppercase']];
    case 'string.sub':
    case 'string.reverse':
      return [[caseOf(first && typeOf(first))]];
    case 'string.gsub':
      return [[replaced(policy, args, caseOf(first && typeOf(first))), 'integer']];
    case 'tonumber':
      return [[numberFrom(policy, first, typeOf)]];
    case 'os.date':
      return [[dateOf(first ? textOf(policy, first) : undefined)]];
    case 'io.file:read':
      return [[readOf(policy, args)]];
    default:
      if (forms?.length === 1 && forms[0]?.length === 1 && forms[0][0] === 'any') return undefined;
      return forms?.map((form) => form.map((type) => (type === 'any' ? undefined : type)));
  }
}

/** Whether a text is one that the script did not make itself: only then may it be any. */
function isForeign(policy: PolicyScript, text: Expression | undefined, typeOf: TypeOf): boolean {
  return text !== undefined && isAlways(typeOf(text), ['string']) && constantOf(policy, text) === undefined;
}

function textOf(policy: PolicyScript, expression: Expression): string | undefined {
  const constant = constantOf(policy, expression);
  return constant?.kind === 'string' ? constant.value : undefined;
}

/** What a piece of a text of this type is. */
function caseOf(type: Type): Type {
  return type === 'lowercase' || type === 'uppercase' ? type : 'string';
}

function matched(pattern: string | undefined, piece: Type): readonly (readonly Type[])[] | undefined {
  const parsed = pattern === undefined ? undefined : parsePattern(pattern);
  if (parsed === undefined || 'complaint' in parsed) return undefined;
  const captures = capturesOf(parsed).map((kind) => (kind === 'text' ? piece : kind));
  const results = captures.length === 0 ? [piece] : captures;
  return matchesAlways(parsed) ? [results] : [results, results.map(() => 'nil')];
}

function found(
  policy: PolicyScript,
  { args }: Callee,
  piece: Type,
): readonly (readonly Type[])[] | undefined {
  const pattern = args[1] && textOf(policy, args[1]);
  const parsed = pattern === undefined || args[3] ? undefined : parsePattern(pattern);
  const captures =
    parsed === undefined || 'complaint' in parsed
      ? []
      : capturesOf(parsed).map((kind) => (kind === 'text' ? piece : kind));
  const results = ['integer', 'integer', ...captures, ...(parsed === undefined && !args[3] ? ['...'] : [])];
  if (parsed && !('complaint' in parsed) && matchesAlways(parsed)) return [results];
  return [results, results.map(() => 'nil')];
}

/** What gsub leaves is in lower case where both texts are. */
function replaced(policy: PolicyScript, args: readonly Expression[], piece: Type): Type {
  const by = args[2] && textOf(policy, args[2]);
  if (by === undefined) return 'string';
  return piece === 'lowercase' && by === by.toLowerCase() ? piece : 'string';
}

/**
 * A numeral gives a number, nil gives nil. Of other texts it is not known: what a client sends for SIZE, for instance, the
 * MTA has looked at.
 */
function numberFrom(policy: PolicyScript, from: Expression | undefined, typeOf: TypeOf): Type {
  if (from === undefined) return undefined;
  const constant = constantOf(policy, from);
  if (constant)
    return constant.kind === 'string' && !/^\s*[-+]?\d/.test(constant.value) ? undefined : 'number';
  const type = typeOf(from);
  if (type === undefined) return undefined;
  const present = membersOf(type).filter((member) => member !== 'nil');
  if (present.length < membersOf(type).length) return 'number|nil';
  return present.every((member) => member === 'numeral' || baseOf(member) === 'number')
    ? 'number'
    : undefined;
}

function dateOf(format: string | undefined): Type {
  if (format === undefined) return 'string';
  if (/^!?\*t/.test(format)) return 'table';
  return /^!?(%[dHIjmMSUwWyYuVGgC])+$/.test(format) ? 'numeral' : 'string';
}

function readOf(policy: PolicyScript, args: readonly Expression[]): Type {
  if (args.length > 1) return undefined;
  const format = args[0] ? textOf(policy, args[0]) : 'l';
  switch (format?.replace('*', '')[0]) {
    case 'l':
    case 'L':
      return 'string|nil';
    case 'n':
      return 'number|nil';
    default:
      return undefined;
  }
}

/** One of the results, whichever list it is of. */
export function resultAt(forms: readonly (readonly Type[])[] | undefined, index: number): Type {
  return forms && unionOf(forms.map((form) => cellOf(form, index)));
}

/** A result that a list does not have is nil, unless there may be more of them. */
export function cellOf(form: readonly Type[], index: number): Type {
  if (index < form.length && form[index] !== '...') return form[index];
  return form.at(-1) === '...' ? undefined : 'nil';
}
