/**
 * A Lua state with all libraries opened, made once per process and then copied for every session.
 *
 * Opening the libraries anew costs 170 µs; copying the tables that result costs a small part of that and isolates as
 * well: a copy shares with the template only what cannot change (strings, functions without upvalues, compiled code). A
 * table of a copy gets its contents when it is looked into for the first time: a script uses few of the libraries.
 */
import type {
  CClosure,
  LClosure,
  LuaFunction,
  LuaState,
  LuaTable,
  TableEntry,
  TString,
  TValue,
  Udata,
} from 'fengari';
import { ascii, internals, lauxlib, lua } from './engine.ts';
import { SliceQueue } from './slice-queue.ts';

/**
 * What goes into a template: a library opened as `require` does (a global and an entry of package.loaded), or a function
 * that puts something in place.
 */
export type Library =
  | { readonly name: string; readonly open: LuaFunction }
  | { readonly install: (L: LuaState) => void };

const { LUA_TLCL, LUA_TCCL } = internals.tags;
const { LUA_TTABLE, LUA_TUSERDATA, LUA_TTHREAD } = lua;
const { lobject } = internals;

/** A value of the template: as it is, or the index of the object that stands for it in a copy. */
interface Slot {
  readonly type: number;
  readonly shared: unknown;
  readonly object: number;
}

interface Pair {
  /** Key of the table's Map when it is not an object of the template itself. */
  readonly hash: unknown;
  readonly key: Slot;
  /** The key itself, for all copies, when it is no such object; see the cure for ltable.js. */
  readonly sharedKey: TValue | null;
  readonly value: Slot;
}

type Blueprint =
  | {
      readonly kind: 'table';
      readonly metatable: number;
      readonly flags: number;
      readonly pairs: readonly Pair[];
    }
  | { readonly kind: 'function'; readonly from: CClosure; readonly upvalues: readonly Slot[] }
  | { readonly kind: 'closure'; readonly from: LClosure; readonly upvalues: readonly number[] }
  | { readonly kind: 'upvalue'; readonly value: Slot }
  | { readonly kind: 'userdata'; readonly from: Udata; readonly metatable: number; readonly value: Slot }
  | { readonly kind: 'main thread' };

const NONE = -1;

export class Template {
  /** Shared by all contexts made from this template: whose turn it is when several work long. */
  readonly slices: SliceQueue = new SliceQueue();
  readonly #blueprints: readonly Blueprint[];
  readonly #registry: number;
  readonly #metatables: readonly number[];

  /** @throws Error when a library cannot be opened or holds what cannot be copied (a coroutine) */
  constructor(libraries: readonly Library[]) {
    const L = lauxlib.luaL_newstate();
    for (const library of libraries) {
      if ('open' in library) lauxlib.luaL_requiref(L, ascii(library.name), library.open, 1);
      else library.install(L);
      lua.lua_settop(L, 0);
    }
    const survey = new Survey(L);
    this.#registry = survey.number(LUA_TTABLE, L.l_G.l_registry.value);
    this.#metatables = Array.from(L.l_G.mt, (table) => (table ? survey.number(LUA_TTABLE, table) : NONE));
    this.#blueprints = survey.blueprints;
  }

  /** A new state that has all the template has and shares nothing that can change. */
  clone(): LuaState {
    const L = internals.lstate.lua_newstate();
    const G = L.l_G;
    const objects = this.#blueprints.map((blueprint) => make(L, blueprint));
    // Objects first, contents then: tables refer to each other in circles.
    for (let i = 0; i < objects.length; i++) fill(this.#blueprints[i], objects[i], objects);
    G.l_registry.value = objects[this.#registry] as LuaTable;
    this.#metatables.forEach((number, type) => {
      if (number !== NONE) G.mt[type] = objects[number] as LuaTable;
    });
    return L;
  }
}

/** Numbers every object that can be reached from a state and describes how to make it again. */
class Survey {
  readonly blueprints: Blueprint[] = [];
  readonly #numbers = new Map<unknown, number>();
  readonly #L: LuaState;

  constructor(L: LuaState) {
    this.#L = L;
  }

  number(type: number, object: unknown): number {
    const known = this.#numbers.get(object);
    if (known !== undefined) return known;
    const number = this.blueprints.length;
    this.#numbers.set(object, number);
    this.blueprints.push({ kind: 'main thread' }); // Keeps the place: objects refer to each other in circles.
    this.blueprints[number] = this.#describe(type, object);
    return number;
  }

  #slot(value: TValue): Slot {
    const { type } = value;
    const copied =
      type === LUA_TTABLE ||
      type === LUA_TCCL ||
      type === LUA_TLCL ||
      type === LUA_TUSERDATA ||
      type === LUA_TTHREAD;
    // A string's table key is worked out once here instead of in every copy.
    if (!copied && (type & 0x0f) === lua.LUA_TSTRING)
      internals.lstring.luaS_hashlongstr(value.value as TString);
    return copied
      ? { type, shared: null, object: this.number(type, value.value) }
      : { type, shared: value.value, object: NONE };
  }

  #metatable(of: { metatable: LuaTable | null }): number {
    return of.metatable === null ? NONE : this.number(LUA_TTABLE, of.metatable);
  }

  #describe(type: number, object: unknown): Blueprint {
    switch (type) {
      case LUA_TTABLE: {
        const table = object as LuaTable;
        const pairs: Pair[] = [];
        for (let entry = table.f; entry !== undefined; entry = entry.n) {
          const hash = hashOf(table, entry);
          const key = this.#slot(entry.key);
          const sharedKey = key.object === NONE ? entry.key : null;
          pairs.push({ hash, key, sharedKey, value: this.#slot(entry.value) });
        }
        return { kind: 'table', metatable: this.#metatable(table), flags: table.flags, pairs };
      }
      case LUA_TCCL: {
        const from = object as CClosure;
        return { kind: 'function', from, upvalues: from.upvalue.map((value) => this.#slot(value)) };
      }
      case LUA_TLCL: {
        // Upvalues are numbered by themselves: closures share them.
        const from = object as LClosure;
        return { kind: 'closure', from, upvalues: from.upvals.map((value) => this.#upvalue(value)) };
      }
      case LUA_TUSERDATA: {
        const from = object as Udata;
        return {
          kind: 'userdata',
          from,
          metatable: this.#metatable(from),
          value: this.#slot(from.uservalue),
        };
      }
      default:
        if (object !== this.#L) throw new Error('a template cannot hold a coroutine');
        return { kind: 'main thread' };
    }
  }

  #upvalue(value: TValue): number {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known;
    const number = this.blueprints.length;
    this.#numbers.set(value, number);
    this.blueprints.push({ kind: 'main thread' });
    this.blueprints[number] = { kind: 'upvalue', value: this.#slot(value) };
    return number;
  }
}

/** fengari does not keep an entry's Map key in the entry; strings and light functions have one that is not their value. */
function hashOf(table: LuaTable, wanted: TableEntry): unknown {
  for (const [hash, entry] of table.strong ?? []) if (entry === wanted) return hash;
  throw new Error('table entry without a key');
}

function make(L: LuaState, blueprint: Blueprint): unknown {
  switch (blueprint.kind) {
    case 'table':
      return internals.ltable.luaH_new(L);
    case 'function':
      return new lobject.CClosure(L, blueprint.from.f, blueprint.upvalues.length);
    case 'closure': {
      const closure = new lobject.LClosure(L, blueprint.upvalues.length);
      closure.p = blueprint.from.p;
      return closure;
    }
    case 'upvalue':
      return new lobject.TValue(lua.LUA_TNIL, null);
    case 'userdata': {
      const userdata = new lobject.Udata(L, blueprint.from.len);
      Object.assign(userdata.data, blueprint.from.data);
      return userdata;
    }
    case 'main thread':
      return L;
  }
}

function fill(blueprint: Blueprint | undefined, object: unknown, objects: readonly unknown[]): void {
  switch (blueprint?.kind) {
    case 'table': {
      const table = object as LuaTable;
      if (blueprint.metatable !== NONE) table.metatable = objects[blueprint.metatable] as LuaTable;
      table.flags = blueprint.flags;
      const { pairs } = blueprint;
      if (pairs.length > 0) {
        table.strong = null;
        table.fill = () => fillTable(table, pairs, objects);
      }
      return;
    }
    case 'function': {
      const target = (object as CClosure).upvalue;
      blueprint.upvalues.forEach((slot, i) => {
        target[i] = copyOf(slot, objects);
      });
      return;
    }
    case 'closure': {
      const target = (object as LClosure).upvals;
      blueprint.upvalues.forEach((number, i) => {
        target[i] = objects[number] as TValue;
      });
      return;
    }
    case 'upvalue': {
      const target = object as TValue;
      const { type, value } = copyOf(blueprint.value, objects);
      target.type = type;
      target.value = value;
      return;
    }
    case 'userdata': {
      const target = object as Udata;
      if (blueprint.metatable !== NONE) target.metatable = objects[blueprint.metatable] as LuaTable;
      target.uservalue = copyOf(blueprint.value, objects);
      return;
    }
  }
}

function copyOf(slot: Slot, objects: readonly unknown[]): TValue {
  return new lobject.TValue(slot.type, slot.object === NONE ? slot.shared : objects[slot.object]);
}

/** As ltable.js add() leaves a table: a Map of entries that also form a list in order of insertion. */
function fillTable(
  table: LuaTable,
  pairs: readonly Pair[],
  objects: readonly unknown[],
): Map<unknown, TableEntry> {
  const strong = new Map<unknown, TableEntry>();
  let last: TableEntry | undefined;
  for (let i = 0; i < pairs.length; i++) {
    const pair = pairs[i];
    if (pair === undefined) continue;
    const entry: TableEntry = {
      key: pair.sharedKey ?? copyOf(pair.key, objects),
      value: copyOf(pair.value, objects),
      p: last,
      n: undefined,
    };
    if (last === undefined) table.f = entry;
    else last.n = entry;
    last = entry;
    // An object as a key is found by its identity.
    strong.set(pair.sharedKey !== null ? pair.hash : entry.key.value, entry);
  }
  table.l = last;
  table.strong = strong;
  table.fill = undefined;
  return strong;
}
