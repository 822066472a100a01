/** Rules on calls: of what this Lua does not have, and of the API's functions with other arguments than they take. */

import { FORMER_NAMES, REFUSED_CALLS } from '../../api/lua.ts';
import { API_NAMES } from '../../api/names.ts';
import type { ApiFunction, Parameter } from '../../modules/entry.ts';
import { constantOf } from '../constants.ts';
import type { Report, Rule } from '../finding.ts';
import type { PolicyScript } from '../policy-script.ts';
import { calleeOf } from '../results.ts';
import { argumentsOf, type CallExpression, type Expression, isCall, isMulti, spanOf } from '../syntax.ts';
import { type Base, basesOf, elementOf, isAlways } from '../types.ts';

const GC_OPTIONS = ['collect', 'stop', 'restart', 'count', 'step', 'setpause', 'setstepmul', 'isrunning'];

interface LibraryCall {
  readonly call: CallExpression;
  readonly path: string;
  readonly args: readonly Expression[];
}

/** Calls of functions that the script itself does not define. */
function* libraryCalls(policy: PolicyScript): Generator<LibraryCall> {
  for (const node of policy.bindings.nodes()) {
    if (!isCall(node)) continue;
    const path = policy.pathOf(node.base);
    if (path !== undefined && !policy.defined.has(path)) yield { call: node, path, args: argumentsOf(node) };
  }
}

export const unavailableCall: Rule = {
  name: 'unavailable-call',
  severity: 'error',
  summary: 'a function that this Lua does not have, refuses, or has with an option of the program only',
  check(policy, report) {
    const { allowExecute, allowJs } = policy.facts;
    for (const { call, path, args } of libraryCalls(policy)) {
      const [first] = args;
      const text = first && constantOf(policy, first);
      const refused = REFUSED_CALLS[path];
      if (refused !== undefined) {
        report(call.base, `${path} is not available in a policy`, { suggestion: refused || undefined });
      } else if ((path === 'io.popen' || (path === 'os.execute' && first)) && !allowExecute) {
        report(call.base, `${path} needs the option --allow-execute`);
      } else if (path === 'require' && text?.kind === 'string' && text.value === 'js' && !allowJs) {
        if (!policy.isDefined('package.preload.js')) report(call, 'require "js" needs the option --allow-js');
      } else if (path === 'collectgarbage' && text?.kind === 'string' && !GC_OPTIONS.includes(text.value)) {
        report(call, `collectgarbage has no option ${JSON.stringify(text.value)}`);
      } else if ((path === 'dofile' || path === 'loadfile') && !first) {
        report(call, `${path} without a name reads standard input, which a policy does not have`);
      }
    }
    for (const node of policy.bindings.nodes()) {
      if (node.type !== 'Identifier' && node.type !== 'MemberExpression') continue;
      if (node.type === 'Identifier' && policy.variableOf(node) !== null) continue;
      const path = policy.pathOf(node) ?? '';
      const instead = Object.hasOwn(FORMER_NAMES, path) ? FORMER_NAMES[path] : undefined;
      if (instead === undefined || policy.isDefined(path) || policy.isWritten(node) || policy.isTested(node))
        continue;
      report(node, `${path} does not exist in Lua 5.3`, { suggestion: instead || undefined });
    }
  },
};

export const wrongArguments: Rule = {
  name: 'wrong-arguments',
  severity: 'error',
  summary:
    'a function of the API with too few arguments, too many, or of the wrong type; one of Lua with too few, or of the wrong type',
  check(policy, report) {
    for (const { call, path, args } of libraryCalls(policy)) {
      const entry = API_NAMES.functions.get(path);
      if (entry === undefined) continue;
      if (call.base.type === 'MemberExpression' && call.base.indexer === ':') {
        report(call.base, `${path} is called with a dot, not a colon`, { suggestion: path });
        continue;
      }
      checkCount(path, entry, call, args, report);
      args.forEach((argument, i) => {
        checkType(policy, path, entry, argument, i, args.length, report);
      });
      checkTexts(policy, path, entry, args, report);
    }
    for (const node of policy.bindings.nodes()) {
      if (isCall(node)) checkLibrary(policy, node, report);
    }
  },
};

/** The same for Lua's own functions and methods, which raise an error too; what is too much they ignore. */
function checkLibrary(policy: PolicyScript, call: CallExpression, report: Report): void {
  const callee = calleeOf(policy, call, (node) => policy.typeOf(node));
  if (callee === undefined || callee.entry !== undefined) return;
  const { name, params, args } = callee;
  const required = params.filter((param) => param.optional !== true && param.name !== '...').length;
  const last = args.at(-1);
  if (args.length < required && !(last && isMulti(last) && argumentsOf(call).length > 0)) {
    const names = params.map((param) => param.name).join(', ');
    report(call, `${name} takes (${names}): ${args.length === 0 ? 'nothing' : `only ${args.length}`} given`);
  }
  const [list] = args;
  const element = elementOf(list && policy.typeOf(list));
  if (name === 'table.concat' && list && isAlways(element, ['table'])) {
    report(list, `table.concat joins texts and numbers: these are ${element}`);
  }
  args.forEach((argument, i) => {
    // Where to begin has a rule of its own.
    if (i === 2 && (name === 'string.find' || name === 'string.match')) return;
    const isSubject = call.base.type === 'MemberExpression' && call.base.base === argument;
    if (!isSubject) checkType(policy, name, callee, argument, i, args.length, report);
  });
}

function checkCount(
  path: string,
  { params, overloads, joins }: ApiFunction,
  call: CallExpression,
  args: readonly Expression[],
  report: Report,
): void {
  const required = params.filter((param) => param.optional !== true && param.name !== '...').length;
  const least = overloads === undefined ? required : Math.min(required, ...overloads.map(parametersIn));
  const last = args.at(-1);
  if (args.length < least && !(last && isMulti(last))) {
    const names = params.map((param) => param.name).join(', ');
    report(call, `${path} takes (${names}): ${args.length === 0 ? 'nothing' : `only ${args.length}`} given`);
  }
  const surplus = params.some((param) => param.name === '...') ? undefined : args[params.length];
  if (surplus) {
    report(
      surplus,
      `${path} takes ${params.length === 0 ? 'no arguments' : `${params.length} at most`}: this is ignored`,
      {
        severity: 'warning',
        suggestion: joins,
      },
    );
  }
}

/** The number of parameters in a type such as `fun(line: string, options?: table): true`, without optional ones. */
function parametersIn(type: string): number {
  const list = /^fun\(([^)]*)\)/.exec(type)?.[1] ?? '';
  return list.split(',').filter((param) => param.trim() !== '' && !param.includes('?:')).length;
}

function checkType(
  policy: PolicyScript,
  path: string,
  { params, overloads }: Pick<ApiFunction, 'params' | 'overloads'>,
  argument: Expression,
  i: number,
  count: number,
  report: Report,
): void {
  const param = params[i];
  if (param === undefined || param.name === '...') return;
  // Options of another form of the call.
  if (overloads !== undefined && argument.type === 'TableConstructorExpression') return;
  if (isMulti(argument) && i === count - 1 && argument.type === 'VarargLiteral') return;
  if (param.type === 'integer') checkFraction(policy, path, param.name, argument, report);
  const given = givenBases(policy, argument);
  const taken = takenBases(param);
  if (given === undefined || taken === undefined || [...given].some((base) => taken.has(base))) return;
  report(argument, `${path}: ${param.name} is a ${param.type}, this is ${[...given].join(' or ')}`);
}

/** A quotient where a whole number is wanted: / gives a float, which may have a fraction. */
function checkFraction(
  policy: PolicyScript,
  path: string,
  name: string,
  argument: Expression,
  report: Report,
): void {
  const value = policy.valueOf(argument);
  if (value.type !== 'BinaryExpression' || value.operator !== '/') return;
  const constant = constantOf(policy, value);
  if (constant?.kind === 'float' && Number.isInteger(constant.value)) return;
  const shown = policy.source.textAt(spanOf(argument));
  report(argument, `${path}: ${name} is a whole number, and ${shown} may have a fraction`, {
    severity: 'warning',
    suggestion: shown.replace('/', '//'),
  });
}

/** What an argument may be; a text that is a numeral is a number too. */
function givenBases(policy: PolicyScript, argument: Expression): ReadonlySet<Base> | undefined {
  const constant = constantOf(policy, argument);
  if (constant?.kind === 'nil') return new Set<Base>(['nil']);
  if (constant?.kind === 'string' && /^\s*[-+]?(0[xX])?[\da-fA-F.]/.test(constant.value)) {
    return new Set<Base>(['string', 'number']);
  }
  if (constant?.kind === 'integer' || constant?.kind === 'float') return new Set<Base>(['number']);
  const bases = basesOf(policy.typeOf(argument));
  // A string that is not known may be a numeral.
  return constant === undefined && bases?.has('string') ? new Set<Base>([...bases, 'number']) : bases;
}

function takenBases(param: Parameter): ReadonlySet<Base> | undefined {
  const bases = basesOf(param.type);
  if (bases === undefined) return undefined;
  const taken = new Set<Base>(bases);
  if (bases.has('string')) taken.add('number'); // Lua writes it.
  if (param.optional === true) taken.add('nil');
  return taken;
}

/** Constant texts that raise an error when they are used. */
function checkTexts(
  policy: PolicyScript,
  path: string,
  { params, overloads }: ApiFunction,
  args: readonly Expression[],
  report: Report,
): void {
  // Where options stand in the place of a text, or there is one argument only, it is another form.
  const isOther =
    overloads !== undefined && (args.length === 1 || args[1]?.type === 'TableConstructorExpression');
  params.forEach(({ check }, i) => {
    const argument = args[i];
    const text = check && argument && constantOf(policy, argument);
    const complaint = text?.kind === 'string' ? check?.(text.value, isOther) : undefined;
    if (argument && complaint !== undefined) report(argument, `${path}: ${complaint}`);
  });
}
