/**
 * Types as the description of the API writes them: `string|nil`, `smtp.rcpt_entry[]`, `"inet"|"unix"`, ...; and three
 * that only the linter has, for strings of which it knows more: `lowercase`, `uppercase`, and `numeral`, which tonumber
 * takes. An unknown type is undefined.
 */
import { LUA_FUNCTIONS } from '../api/lua-library.ts';
import { API_NAMES } from '../api/names.ts';

/** What Lua's `type` gives; `any` when it is not known. */
export type Base = 'string' | 'number' | 'boolean' | 'table' | 'function' | 'userdata' | 'nil' | 'any';

export type Type = string | undefined;

/** The members of a union. */
export function membersOf(type: string): string[] {
  return type.split('|');
}

/** What is one of several types; undefined where one of them is. */
export function unionOf(types: readonly Type[]): Type {
  const members = new Set<string>();
  for (const type of types) {
    if (type === undefined || type === 'any') return undefined;
    for (const member of membersOf(type)) members.add(member);
  }
  return members.size === 0 ? undefined : [...members].join('|');
}

/** The members that pass; undefined for an unknown type, `never` when there are none. */
export function filterType(type: Type, passes: (member: string) => boolean): Type | 'never' {
  if (type === undefined) return undefined;
  const members = membersOf(type).filter(passes);
  return members.length === 0 ? 'never' : members.join('|');
}

export function mayBeNil(type: Type): boolean {
  return type !== undefined && membersOf(type).includes('nil');
}

/** Whether a value of the type may be taken for true, or for false, by `if`. */
export function mayBe(truth: boolean, member: string): boolean {
  if (member === 'boolean') return true;
  return truth !== (member === 'nil' || member === 'false');
}

/** The type without nil and false: what is left where a value has been tested, or must be there. */
export function presentType(type: string): string | undefined {
  const members = membersOf(type).filter((member) => member !== 'nil' && member !== 'false');
  return members.length === 0 ? undefined : members.join('|');
}

export function baseOf(member: string): Base {
  if (member.endsWith('[]') || API_NAMES.classes.has(member)) return 'table';
  if (member.startsWith('"')) return 'string';
  switch (member) {
    case 'lowercase':
    case 'uppercase':
    case 'numeral':
      return 'string';
    case 'io.file':
      return 'userdata';
    case 'string':
    case 'boolean':
    case 'table':
    case 'function':
    case 'nil':
      return member;
    case 'integer':
    case 'number':
      return 'number';
    case 'true':
    case 'false':
      return 'boolean';
    default:
      return 'any';
  }
}

/** All that a value of the type may be; undefined when that is anything. */
export function basesOf(type: string | undefined): ReadonlySet<Base> | undefined {
  if (type === undefined) return undefined;
  const bases = new Set(membersOf(type).map(baseOf));
  return bases.has('any') ? undefined : bases;
}

/** Whether each value of the type, unless it is nil, is one of `bases`. */
export function isAlways(type: string | undefined, bases: readonly Base[]): boolean {
  const found = basesOf(type);
  if (found === undefined) return false;
  const present = [...found].filter((base) => base !== 'nil');
  return present.length > 0 && present.every((base) => bases.includes(base));
}

/** The class that a value of the type is when it is present; undefined when it may be something else. */
export function classOf(type: string | undefined): string | undefined {
  const present = type === undefined ? undefined : presentType(type);
  return present !== undefined && API_NAMES.classes.has(present) ? present : undefined;
}

/** The type of the elements of an array, or of what a class holds under numbers. */
export function elementOf(type: string | undefined): string | undefined {
  const present = type === undefined ? undefined : presentType(type);
  if (present?.endsWith('[]') && !present.includes('|')) return present.slice(0, -2);
  return fieldType(present, '[integer]');
}

/** The type of a field of a value of the type, by its name or as one of any name. */
export function memberType(type: string | undefined, name: string): string | undefined {
  const owner = classOf(type);
  return fieldType(owner, name) ?? fieldType(owner, '[string]');
}

/** The methods of a class. */
export function methodsOf(owner: string): string[] {
  const prefix = `${owner}:`;
  return [...API_NAMES.functions.keys(), ...LUA_FUNCTIONS.keys()]
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length));
}

/** The type of a field of a class; undefined when it has none of that name. */
function fieldType(type: string | undefined, name: string): string | undefined {
  const field = API_NAMES.classes.get(type ?? '')?.fields.find((one) => one.name === name);
  return field?.lowerCase ? field.type.replace('string', 'lowercase') : field?.type;
}

/** What stands under a path from the globals, as the API has it; undefined for what it does not have. */
export function typeOfPath(path: string): Type {
  const field = API_NAMES.fields.get(path);
  if (field) return field.type;
  if (API_NAMES.constants.has(path)) return 'integer';
  if (API_NAMES.functions.has(path)) return 'function';
  if (API_NAMES.tables.has(path)) return 'table';
  // Below a field that holds a table of a class.
  const dot = path.lastIndexOf('.');
  if (dot < 0) return undefined;
  const base = typeOfPath(path.slice(0, dot));
  return memberType(base, path.slice(dot + 1));
}
