/** Types as the description of the API writes them: `string|nil`, `smtp.rcpt_entry[]`, `fun`, ... */
import { API_NAMES } from '../api/names.ts';

/** What Lua's `type` gives; `any` when it is not known. */
export type Base = 'string' | 'number' | 'boolean' | 'table' | 'function' | 'nil' | 'any';

/** The members of a union. */
export function membersOf(type: string): string[] {
  return type.split('|');
}

/** The type without nil and false: what is left where a value has been tested, or must be there. */
export function presentType(type: string): string | undefined {
  const members = membersOf(type).filter((member) => member !== 'nil' && member !== 'false');
  return members.length === 0 ? undefined : members.join('|');
}

export function baseOf(member: string): Base {
  if (member.endsWith('[]') || API_NAMES.classes.has(member)) return 'table';
  switch (member) {
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

/** The type of a field of a class; undefined when it has none of that name. */
function fieldType(type: string | undefined, name: string): string | undefined {
  return API_NAMES.classes.get(type ?? '')?.fields.find((field) => field.name === name)?.type;
}
