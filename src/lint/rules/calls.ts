/** Rules on calls: of what this Lua does not have, and of the API's functions with other arguments than they take. */
import type { ApiFunction, Parameter } from '../../api/entry.ts';
import { FORMER_NAMES, REFUSED_CALLS } from '../../api/lua.ts';
import { API_NAMES } from '../../api/names.ts';
import { fieldOfLine, nameComplaint } from '../../lua/smtp/header-syntax.ts';
import { constantOf } from '../constants.ts';
import type { Report, Rule } from '../finding.ts';
import type { Policy } from '../policy.ts';
import { argumentsOf, type CallExpression, type Expression, isCall, isMulti } from '../syntax.ts';
import { type Base, basesOf } from '../types.ts';

const GC_OPTIONS = ['collect', 'stop', 'restart', 'count', 'step', 'setpause', 'setstepmul', 'isrunning'];

interface LibraryCall {
  readonly call: CallExpression;
  readonly path: string;
  readonly args: readonly Expression[];
}

/** Calls of functions that the script itself does not define. */
function* libraryCalls(policy: Policy): Generator<LibraryCall> {
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
    const { allowExecute, allowJs } = policy.surroundings;
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
  summary: 'a function of the API with too few arguments, too many, or of the wrong type',
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
      checkHeader(policy, path, args, report);
    }
  },
};

function checkCount(
  path: string,
  { params, overloads }: ApiFunction,
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
        suggestion: path.startsWith('syslog.') ? 'string.format' : undefined,
      },
    );
  }
}

/** The number of parameters in a type such as `fun(line: string): true`. */
function parametersIn(type: string): number {
  const list = /^fun\(([^)]*)\)/.exec(type)?.[1] ?? '';
  return list.trim() === '' ? 0 : list.split(',').length;
}

function checkType(
  policy: Policy,
  path: string,
  { params }: ApiFunction,
  argument: Expression,
  i: number,
  count: number,
  report: Report,
): void {
  const param = params[i];
  if (param === undefined || param.name === '...') return;
  if (isMulti(argument) && i === count - 1 && argument.type === 'VarargLiteral') return;
  const given = givenBases(policy, argument);
  const taken = takenBases(param);
  if (given === undefined || taken === undefined || [...given].some((base) => taken.has(base))) return;
  report(argument, `${path}: ${param.name} is a ${param.type}, this is ${[...given].join(' or ')}`);
}

/** What an argument may be; a text that is a numeral is a number too. */
function givenBases(policy: Policy, argument: Expression): ReadonlySet<Base> | undefined {
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

/** Names and lines that would be no header raise an error when they are used. */
function checkHeader(policy: Policy, path: string, args: readonly Expression[], report: Report): void {
  const [first] = args;
  if (!path.startsWith('header.') || !first) return;
  const text = constantOf(policy, first);
  if (text?.kind !== 'string') return;
  const isLine = path === 'header.insert' || (path === 'header.add' && args.length === 1);
  const line = isLine ? fieldOfLine(text.value) : undefined;
  const complaint = isLine ? line && 'complaint' in line && line.complaint : nameComplaint(text.value);
  if (complaint) report(first, `${path}: ${complaint}`);
}
