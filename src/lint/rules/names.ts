/** Rules on names: fields of the API's tables, and global variables. */
import { FORMER_NAMES, LUA_GLOBALS } from '../../api/lua.ts';
import { API_NAMES } from '../../api/names.ts';
import { closest, closestVariable } from '../../text/closest.ts';
import type { Definition } from '../bindings.ts';
import type { Report, Rule } from '../finding.ts';
import type { PolicyScript } from '../policy-script.ts';
import { type Identifier, isCall, type Node, type Place, spanOf } from '../syntax.ts';
import { classOf, isAlways, methodsOf, presentType, type Type } from '../types.ts';

/** What each table that scripts find holds: the API's, and Lua's libraries. */
const TABLES: ReadonlyMap<string, readonly string[]> = new Map([
  ...[...API_NAMES.tables].map(([table, names]): [string, string[]] => [table, [...names]]),
  ...Object.entries(LUA_GLOBALS).flatMap(([name, fields]): [string, readonly string[]][] =>
    fields ? [[name, fields]] : [],
  ),
]);

const GLOBALS: readonly string[] = [...API_NAMES.globals, ...Object.keys(LUA_GLOBALS)];

/** Words of other languages for values of Lua. */
const FOREIGN: ReadonlyMap<string, string> = new Map([
  ...['null', 'NULL', 'Null', 'None', 'undefined'].map((name): [string, string] => [name, 'nil']),
  ...['True', 'TRUE'].map((name): [string, string] => [name, 'true']),
  ...['False', 'FALSE'].map((name): [string, string] => [name, 'false']),
]);

interface FieldRead {
  readonly node: Node;
  readonly base: Node;
  readonly name: string;
}

/** The reads of fields by a name that is written down. */
function* fieldReads(policy: PolicyScript): Generator<FieldRead> {
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
function* unknownReads(policy: PolicyScript): Generator<Unknown> {
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
    for (const node of policy.bindings.nodes()) {
      // A name in a variable.
      if (node.type !== 'IndexExpression' || node.index.type === 'StringLiteral') continue;
      const isName = isAlways(policy.typeOf(node.index), ['string']);
      if (isName && isList(policy.typeOf(node.base))) {
        const finder = finderOf(policy, node.base);
        const shown = policy.source.textAt(spanOf(node.index));
        report(node, `${policy.source.textAt(spanOf(node.base))} is a list, with numbers for keys`, {
          suggestion: finder && `${finder}(${shown})`,
        });
      }
    }
  },
};

function checkMember(policy: PolicyScript, { node, base, name }: FieldRead, report: Report): void {
  if (TABLES.has(policy.pathOf(base) ?? '')) return;
  const type = policy.typeOf(base);
  if (isAlways(type, ['string'])) {
    const methods = TABLES.get('string') ?? [];
    if (methods.includes(name) || policy.isDefined(`string.${name}`)) return;
    report(node, `strings have no ${name}`, { suggestion: closest(name, methods) });
    return;
  }
  if (isList(type)) {
    checkList(policy, node, base, name, report);
    return;
  }
  const owner = API_NAMES.classes.get(classOf(type) ?? '');
  if (owner === undefined) return;
  const fields = owner.fields.map((field) => field.name);
  const methods = methodsOf(owner.name);
  if (fields.includes(name) || methods.includes(name) || policy.setsField(name)) return;
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

function isList(type: Type): boolean {
  return (
    type !== undefined &&
    (presentType(type)
      ?.split('|')
      .every((member) => member.endsWith('[]')) ??
      false)
  );
}

/** A list of the API has numbers for keys; where names are looked for there is a function that finds by name. */
function checkList(policy: PolicyScript, node: Node, base: Node, name: string, report: Report): void {
  const shown = policy.source.textAt(spanOf(base));
  const finder = finderOf(policy, base);
  const isMethod = node.type === 'MemberExpression' && node.indexer === ':';
  report(node, `${shown} is a list, with numbers for keys: it has no ${name}`, {
    suggestion: finder && !isMethod ? `${finder}(${JSON.stringify(name)})` : finder,
  });
}

/** The function that finds by name what a parameter of a callback lists. */
function finderOf(policy: PolicyScript, base: Node): string | undefined {
  const { of, index } = policy.variableOf(base)?.parameter ?? {};
  if (of === undefined || index === undefined) return undefined;
  return policy.callbacks.find(({ body }) => body === of)?.callback.params[index]?.byName;
}

/** Whether a place is a field of what shows only what the MTA has, or an element of a list of such. */
function isReadOnly(policy: PolicyScript, place: Place): boolean {
  if (place.type === 'Identifier') return false;
  const type = presentType(policy.typeOf(place.base) ?? '');
  const isList = type?.endsWith('[]') ?? false;
  const owner = API_NAMES.classes.get((isList ? type?.slice(0, -2) : type) ?? '');
  if (!owner?.readOnly) return false;
  const field = fieldOf(place);
  const isField = owner.fields.some((one) => one.name === field);
  return isList || isField || (field !== undefined && /^[A-Z][A-Z0-9-]*$/.test(field));
}

function fieldOf(place: Place): string | undefined {
  if (place.type === 'MemberExpression') return place.identifier.name;
  return place.type === 'IndexExpression' && place.index.type === 'StringLiteral'
    ? place.index.value
    : undefined;
}

/** Tables of the API that hold functions only: what else is put into them nobody reads. */
function isOfFunctions(table: string): boolean {
  const names = API_NAMES.tables.get(table);
  return names !== undefined && [...names].every((name) => API_NAMES.functions.has(`${table}.${name}`));
}

export const readOnlyField: Rule = {
  name: 'read-only-field',
  severity: 'warning',
  summary: 'an assignment to a field of the API, which changes nothing at the MTA',
  check(policy, report) {
    for (const { place, value } of policy.bindings.definitions) {
      const path = policy.pathOf(place) ?? '';
      const field = API_NAMES.fields.get(path);
      const isOwn = path === 'smtp.note' || path === 'smtp.tran.note';
      const isNamed = (field !== undefined && !isOwn) || API_NAMES.constants.has(path);
      if (!isNamed) {
        checkHandedOut(policy, place, value, report);
        continue;
      }
      report(place, `${path} is to be read: assigning to it changes nothing at the MTA`, {
        suggestion: path === 'smtp.tran.sender' ? 'smtp.set_sender' : undefined,
      });
    }
  },
};

/** Assignments to tables that the API hands out, and of texts into tables of functions. */
function checkHandedOut(
  policy: PolicyScript,
  place: Place,
  value: Definition['value'],
  report: Report,
): void {
  if (place.type === 'Identifier') return;
  const shown = policy.source.textAt(spanOf(place));
  const table = policy.pathOf(place.base) ?? '';
  if (isReadOnly(policy, place)) {
    const isList = presentType(policy.typeOf(place.base) ?? '') === 'smtp.rcpt_entry[]';
    report(place, `${shown} is to be read: assigning to it changes nothing at the MTA`, {
      suggestion: isList ? 'smtp.add_rcpt, smtp.del_rcpt' : undefined,
    });
  } else if (isOfFunctions(table) && value && isAlways(policy.typeOf(value), ['string'])) {
    const setter = [...(API_NAMES.tables.get(table) ?? [])].find((name) => /^(set|replace)$/.test(name));
    report(place, `${table} is a table of functions: this changes nothing at the MTA`, {
      suggestion: setter && `${table}.${setter}`,
    });
  }
}

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

function isKnownGlobal(policy: PolicyScript, name: string): boolean {
  if (API_NAMES.testGlobals.has(name) && !policy.facts.isTest) return false;
  return GLOBALS.includes(name) || (policy.facts.defined?.has(name) ?? false);
}

export const unknownGlobal: Rule = {
  name: 'unknown-global',
  severity: 'error',
  summary: 'a global variable that neither Lua, the API nor the script has',
  check(policy, report) {
    // Without a run nobody knows what loaded code has made.
    if (policy.isDynamic && policy.facts.defined === undefined) return;
    const usesEnvironment = [...policy.bindings.nodes()].some(
      (node) => node.type === 'Identifier' && node.name === '_ENV',
    );
    if (usesEnvironment) return;
    for (const [identifier, binding] of policy.bindings.variables) {
      if (binding === null && !policy.isWritten(identifier)) checkGlobal(policy, identifier, report);
    }
  },
};

function checkGlobal(policy: PolicyScript, identifier: Identifier, report: Report): void {
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
    suggestion: FOREIGN.get(name) ?? ownerOf(name) ?? near,
    severity: fails ? 'error' : 'warning',
  });
}

/** `LOG_INFO` is syslog.LOG_INFO, `reject` is smtp.code.reject; undefined for what several tables have. */
function ownerOf(name: string): string | undefined {
  const owners = [...TABLES].filter(([, names]) => names.includes(name));
  return owners.length === 1 ? `${owners[0]?.[0]}.${name}` : undefined;
}
