/** Rules on names: fields of the API's tables, and global variables. */
import { FORMER_NAMES, LUA_GLOBALS } from '../../api/lua.ts';
import { API_NAMES } from '../../api/names.ts';
import { closest, closestVariable } from '../closest.ts';
import type { Report, Rule } from '../finding.ts';
import type { Policy } from '../policy.ts';
import { type Identifier, isCall, type Node, spanOf } from '../syntax.ts';
import { classOf, isAlways } from '../types.ts';

/** What each table that scripts find holds: the API's, and Lua's libraries. */
const TABLES: ReadonlyMap<string, readonly string[]> = new Map([
  ...[...API_NAMES.tables].map(([table, names]): [string, string[]] => [table, [...names]]),
  ...Object.entries(LUA_GLOBALS).flatMap(([name, fields]): [string, readonly string[]][] =>
    fields ? [[name, fields]] : [],
  ),
]);

const GLOBALS: readonly string[] = [...API_NAMES.globals, ...Object.keys(LUA_GLOBALS)];

interface FieldRead {
  readonly node: Node;
  readonly base: Node;
  readonly name: string;
}

/** The reads of fields by a name that is written down. */
function* fieldReads(policy: Policy): Generator<FieldRead> {
  for (const node of policy.bindings.nodes()) {
    if (policy.isWritten(node)) continue;
    if (node.type === 'MemberExpression') yield { node, base: node.base, name: node.identifier.name };
    else if (node.type === 'IndexExpression' && node.index.type === 'StringLiteral') {
      yield { node, base: node.base, name: node.index.value };
    }
  }
}

interface Unknown extends FieldRead {
  readonly table: string;
  readonly near: string | undefined;
}

/** Reads of fields that neither the API, Lua nor the script has. */
function* unknownReads(policy: Policy): Generator<Unknown> {
  for (const { node, base, name } of fieldReads(policy)) {
    const table = policy.pathOf(base);
    const known = table === undefined ? undefined : TABLES.get(table);
    if (table === undefined || known === undefined || known.includes(name)) continue;
    if (policy.isDefined(`${table}.${name}`) || Object.hasOwn(FORMER_NAMES, `${table}.${name}`)) continue;
    const near = closest(name, known);
    // Asking whether a function is there is how a script runs with several versions.
    if (near === undefined && policy.isTested(node) && !isContext(table)) continue;
    yield { node, base, name, table, near: near && `${table}.${near}` };
  }
}

/** Tables with fields to be tested, not functions. */
function isContext(table: string): boolean {
  return table === 'smtp.sess' || table === 'smtp.tran' || table === 'smtp.code';
}

function isConstantName(table: string, name: string): boolean {
  return table === 'smtp.code' || (table === 'syslog' && /^[A-Z]/.test(name));
}

export const unknownConstant: Rule = {
  name: 'unknown-constant',
  severity: 'error',
  summary: 'a constant of `smtp.code` or `syslog` that does not exist',
  check(policy, report) {
    for (const { node, table, name, near } of unknownReads(policy)) {
      if (isConstantName(table, name))
        report(node, `unknown constant ${table}.${name}`, { suggestion: near });
    }
  },
};

export const unknownField: Rule = {
  name: 'unknown-field',
  severity: 'error',
  summary: 'a field or function that a table of the API, a library of Lua or a string does not have',
  check(policy, report) {
    for (const { node, table, name, near } of unknownReads(policy)) {
      if (!isConstantName(table, name)) report(node, `${table} has no ${name}`, { suggestion: near });
    }
    for (const read of fieldReads(policy)) checkMember(policy, read, report);
  },
};

function checkMember(policy: Policy, { node, base, name }: FieldRead, report: Report): void {
  if (TABLES.has(policy.pathOf(base) ?? '')) return;
  const type = policy.typeOf(base);
  if (isAlways(type, ['string'])) {
    const methods = TABLES.get('string') ?? [];
    if (methods.includes(name) || policy.isDefined(`string.${name}`)) return;
    report(node, `strings have no ${name}`, { suggestion: closest(name, methods) });
    return;
  }
  const owner = API_NAMES.classes.get(classOf(type) ?? '');
  if (owner === undefined) return;
  const fields = owner.fields.map((field) => field.name);
  const methods = [...API_NAMES.functions.keys()]
    .filter((path) => path.startsWith(`${owner.name}:`))
    .map((path) => path.slice(owner.name.length + 1));
  if (fields.includes(name) || methods.includes(name) || isSetSomewhere(policy, name)) return;
  if (fields.includes('[string]')) {
    if (node.type === 'MemberExpression' && node.indexer === ':') {
      report(node, `${policy.source.textAt(spanOf(base))} is a table, without a method ${name}`);
      return;
    }
    if (name === name.toUpperCase()) return;
    report(node, `names of parameters are in upper case here: ${name} is always nil`, {
      suggestion: name.toUpperCase(),
    });
    return;
  }
  report(node, `${owner.name} has no ${name}`, { suggestion: closest(name, [...fields, ...methods]) });
}

/** Whether the script gives some table a field of this name: it may be this one. */
function isSetSomewhere(policy: Policy, name: string): boolean {
  return policy.bindings.definitions.some(
    ({ place }) => place.type === 'MemberExpression' && place.identifier.name === name,
  );
}

export const readOnlyField: Rule = {
  name: 'read-only-field',
  severity: 'warning',
  summary: 'an assignment to a field of the API, which changes nothing at the MTA',
  check(policy, report) {
    for (const { place } of policy.bindings.definitions) {
      const path = policy.pathOf(place) ?? '';
      const field = API_NAMES.fields.get(path);
      const isOwn = path === 'smtp.note' || path === 'smtp.tran.note';
      if ((field === undefined || isOwn) && !API_NAMES.constants.has(path)) continue;
      report(place, `${path} is to be read: assigning to it changes nothing at the MTA`, {
        suggestion: path === 'smtp.tran.sender' ? 'smtp.set_sender' : undefined,
      });
    }
  },
};

export const accidentalGlobal: Rule = {
  name: 'accidental-global',
  severity: 'warning',
  summary:
    'an assignment in a function to a global variable that the main chunk does not have: `local` may be missing',
  check(policy, report) {
    const declared = new Set<string>();
    for (const { place } of policy.bindings.definitions) {
      if (place.type === 'Identifier' && policy.bindings.functionOf(place) === undefined)
        declared.add(place.name);
    }
    const reported = new Set<string>();
    for (const { place } of policy.bindings.definitions) {
      if (place.type !== 'Identifier' || policy.bindings.functionOf(place) === undefined) continue;
      const { name } = place;
      if (declared.has(name) || reported.has(name) || isKnownGlobal(policy, name)) continue;
      reported.add(name);
      const near = closestVariable(name, policy.bindings.visibleAt(place));
      report(place, `assigns the global variable ${name}, which the main chunk does not declare`, {
        suggestion: near ?? `local ${name}`,
      });
    }
  },
};

function isKnownGlobal(policy: Policy, name: string): boolean {
  if (API_NAMES.testGlobals.has(name) && !policy.surroundings.isTest) return false;
  return GLOBALS.includes(name) || (policy.surroundings.defined?.has(name) ?? false);
}

export const unknownGlobal: Rule = {
  name: 'unknown-global',
  severity: 'error',
  summary: 'a global variable that neither Lua, the API nor the script has',
  check(policy, report) {
    // Without a run nobody knows what loaded code has made.
    if (policy.isDynamic && policy.surroundings.defined === undefined) return;
    const usesEnvironment = [...policy.bindings.nodes()].some(
      (node) => node.type === 'Identifier' && node.name === '_ENV',
    );
    if (usesEnvironment) return;
    for (const [identifier, binding] of policy.bindings.variables) {
      if (binding === null && !policy.isWritten(identifier)) checkGlobal(policy, identifier, report);
    }
  },
};

function checkGlobal(policy: Policy, identifier: Identifier, report: Report): void {
  const { name } = identifier;
  if (isKnownGlobal(policy, name) || policy.isDefined(name) || Object.hasOwn(FORMER_NAMES, name)) return;
  const own = [...policy.bindings.visibleAt(identifier), ...policy.defined];
  const isTested = policy.isTested(identifier);
  // Whoever asks whether a variable is there does not mean one of Lua's.
  const candidates = [...own, ...(isTested ? [] : GLOBALS)].filter(
    (other) => other !== name && !other.includes('.'),
  );
  const near = closestVariable(name, candidates);
  const parent = policy.bindings.parents.get(identifier);
  const fails =
    parent?.type === 'MemberExpression' ||
    (parent?.type === 'IndexExpression' && parent.base === identifier) ||
    (parent !== undefined && isCall(parent) && parent.base === identifier);
  if (!fails && near === undefined && isTested) return;
  report(identifier, `there is no global variable ${name}`, {
    suggestion: ownerOf(name) ?? near,
    severity: fails ? 'error' : 'warning',
  });
}

/** `LOG_INFO` is syslog.LOG_INFO, `reject` is smtp.code.reject; undefined for what several tables have. */
function ownerOf(name: string): string | undefined {
  const owners = [...TABLES].filter(([, names]) => names.includes(name));
  return owners.length === 1 ? `${owners[0]?.[0]}.${name}` : undefined;
}
