/**
 * A Lua state as it once was, copied for every session: with all libraries opened, or with a script run as well.
 *
 * Opening the libraries anew costs 170 µs; copying what results costs a small part of that and isolates as well: a copy
 * shares with the template only what cannot change (strings, functions without upvalues, compiled code). A copy is made
 * piece by piece: a table gets its contents when it is looked into for the first time, and where those are of the kind
 * that can be shared, contents of its own only when it is written to. A script uses little of the libraries, and a
 * session little of its script.
 */
import type { CClosure, LClosure, LuaFunction, LuaState, LuaTable, TValue, Udata } from 'fengari';
import { ascii, internals, lauxlib, lua } from '../engine/engine.ts';
import { appendCopied, appendEntry } from '../engine/tables.ts';
import { SliceQueue } from './slice-queue.ts';
import {
  ALONE,
  type Description,
  type ObjectSnapshot,
  type Pair,
  type Slot,
  StateSnapshot,
} from './snapshot.ts';

/**
 * What goes into a template: a library opened as `require` does (a global and an entry of package.loaded), or a function
 * that puts something in place.
 */
export type Library =
  | { readonly name: string; readonly open: LuaFunction }
  | { readonly install: (L: LuaState) => void };

const { lobject } = internals;
const { Table } = internals.ltable;
/** Never written to. */
const NIL = new lobject.TValue(lua.LUA_TNIL, null);

export class Template {
  /** Shared by all contexts made from this template: whose turn it is when several work long. */
  readonly slices: SliceQueue;
  readonly #registry: ObjectSnapshot;
  readonly #metatables: readonly (ObjectSnapshot | null)[];
  readonly #places: number;

  /**
   * @param from libraries to open in a new state; or a state in which nothing runs, to which nothing may happen any more,
   * and the template it was made from
   * @param slices where libraries are opened: the queue of who else works in this process
   * @throws Error when a library cannot be opened or the state holds what cannot be copied (a coroutine) or too much
   */
  constructor(
    from: readonly Library[] | { readonly state: LuaState; readonly like: Template },
    slices = new SliceQueue(),
  ) {
    const state = 'state' in from ? from.state : opened(from);
    this.slices = 'state' in from ? from.like.slices : slices;
    const snapshot = new StateSnapshot(state);
    this.#registry = snapshot.object(lua.LUA_TTABLE, state.l_G.l_registry.value);
    this.#metatables = Array.from(state.l_G.mt, (table) =>
      table ? snapshot.object(lua.LUA_TTABLE, table) : null,
    );
    this.#places = snapshot.places;
  }

  /** A new state that has all the template has and shares nothing that can change. */
  clone(): LuaState {
    const L = internals.lstate.lua_newstate();
    const G = L.l_G;
    const copy = new Copy(L, this.#places);
    G.l_registry.value = copy.object(this.#registry) as LuaTable;
    const metatables = this.#metatables;
    for (let type = 0; type < metatables.length; type++) {
      const snapshot = metatables[type];
      if (snapshot) G.mt[type] = copy.object(snapshot) as LuaTable;
    }
    return L;
  }
}

function opened(libraries: readonly Library[]): LuaState {
  const L = lauxlib.luaL_newstate();
  for (const library of libraries) {
    if ('open' in library) lauxlib.luaL_requiref(L, ascii(library.name), library.open, 1);
    else library.install(L);
    lua.lua_settop(L, 0);
  }
  return L;
}

/** One copy of a template: each object is made when something that refers to it is. */
class Copy {
  readonly #L: LuaState;
  /** The objects that more than one other refers to. */
  readonly #places: unknown[];
  /** Descriptions of objects, and the objects: made, but without those they refer to. A chain may be long. */
  readonly #unfinished: Description[] = [];
  readonly #unfinishedObjects: unknown[] = [];
  #finishing = false;

  constructor(L: LuaState, places: number) {
    this.#L = L;
    this.#places = new Array(places);
  }

  /** The copy's object, whole. */
  object(snapshot: ObjectSnapshot): unknown {
    const object = this.#begun(snapshot);
    if (this.#finishing || this.#unfinished.length === 0) return object;
    this.#finishing = true;
    for (let is = this.#unfinished.pop(); is !== undefined; is = this.#unfinished.pop()) {
      this.#finish(is, this.#unfinishedObjects.pop());
    }
    this.#finishing = false;
    return object;
  }

  #begun({ place, is }: ObjectSnapshot): unknown {
    if (place === ALONE) return this.#begin(is);
    let object = this.#places[place];
    if (object === undefined) {
      object = this.#begin(is);
      this.#places[place] = object;
    }
    return object;
  }

  #begin(is: Description): unknown {
    const L = this.#L;
    switch (is.kind) {
      case 'table': {
        const table = this.#table(is);
        if (is.metatable !== null) this.#leave(is, table);
        return table;
      }
      case 'function': {
        const closure = new lobject.CClosure(L, is.from.f, is.upvalues.length);
        if (is.upvalues.length > 0) this.#leave(is, closure);
        return closure;
      }
      case 'closure': {
        const closure = new lobject.LClosure(L, is.upvalues.length);
        closure.p = is.from.p;
        if (is.upvalues.length > 0) this.#leave(is, closure);
        return closure;
      }
      case 'upvalue': {
        const upvalue = new lobject.TValue(is.value.type, is.value.shared);
        if (is.value.object !== null) this.#leave(is, upvalue);
        return upvalue;
      }
      case 'userdata': {
        const userdata = new lobject.Udata(L, is.from.len);
        userdata.data = Object.create(is.from.data);
        this.#leave(is, userdata);
        return userdata;
      }
      case 'main thread':
        return L;
    }
  }

  #leave(is: Description, object: unknown): void {
    this.#unfinished.push(is);
    this.#unfinishedObjects.push(object);
  }

  #finish(is: Description, object: unknown): void {
    switch (is.kind) {
      case 'table':
        if (is.metatable !== null) (object as LuaTable).metatable = this.object(is.metatable) as LuaTable;
        return;
      case 'function': {
        const { upvalue } = object as CClosure;
        for (let i = 0; i < is.upvalues.length; i++) upvalue[i] = this.value(is.upvalues[i]);
        return;
      }
      case 'closure': {
        const { upvals } = object as LClosure;
        for (let i = 0; i < is.upvalues.length; i++) {
          const upvalue = is.upvalues[i];
          if (upvalue !== undefined) upvals[i] = this.object(upvalue) as TValue;
        }
        return;
      }
      case 'upvalue':
        if (is.value.object !== null) (object as TValue).value = this.object(is.value.object);
        return;
      case 'userdata': {
        const userdata = object as Udata;
        if (is.metatable !== null) userdata.metatable = this.object(is.metatable) as LuaTable;
        userdata.uservalue = this.value(is.value);
        return;
      }
      case 'main thread':
    }
  }

  #table(is: Extract<Description, { kind: 'table' }>): LuaTable {
    const { pairs, contents } = is;
    let table: LuaTable;
    if (contents === null) {
      table = new Table(this.#L, () => this.#fill(table, pairs));
      if (is.byHash !== null) {
        table.strong = new Map();
        table.base = new Rest(this, is.byHash);
      }
    } else {
      table = new Table(this.#L, copyContents);
      table.array = contents.array;
      table.holes = contents.holes;
      table.kinds = contents.kinds;
      table.strong = contents.strong;
      table.f = contents.first;
      table.l = contents.last;
    }
    table.flags = is.flags;
    table.order = is.order;
    table.asize = is.asize;
    return table;
  }

  value(slot: Slot | undefined): TValue {
    if (slot === undefined) return new lobject.TValue(lua.LUA_TNIL, null);
    return new lobject.TValue(slot.type, slot.object === null ? slot.shared : this.object(slot.object));
  }

  /** For LuaTable.fill: contents made from a snapshot. */
  #fill(table: LuaTable, pairs: readonly Pair[]): void {
    // Those that have been made already.
    const some = table.base === undefined ? null : table.strong;
    table.strong = null;
    table.fill = undefined;
    table.base = undefined;
    for (let i = 0; i < pairs.length; i++) {
      const pair = pairs[i];
      if (pair === undefined) continue;
      const key = pair.sharedKey ?? this.value(pair.key);
      const value = some?.get(pair.hash)?.value ?? this.value(pair.value);
      // An object as a key is found by its identity.
      appendCopied(table, pair.sharedKey !== null ? pair.hash : key.value, key, value);
    }
  }
}

/** A list of which this part has been asked for one by one is made as a whole: it is walked through. */
const PART_OF_LIST = 1 / 16;

/** What has not been made yet of a table's contents: a value is made when it is asked for. */
class Rest {
  readonly #copy: Copy;
  readonly #pairs: ReadonlyMap<unknown, Pair>;
  /** How many elements of a list have been made. */
  #elements = 0;

  constructor(copy: Copy, pairs: ReadonlyMap<unknown, Pair>) {
    this.#copy = copy;
    this.#pairs = pairs;
  }

  value(table: LuaTable, hash: unknown): TValue {
    const pair = this.#pairs.get(hash);
    if (pair === undefined) return NIL;
    // Nobody writes to what is found in a table: setting goes by fill().
    if (pair.sharedValue !== null) return pair.sharedValue;
    if (typeof hash === 'number' && ++this.#elements > this.#pairs.size * PART_OF_LIST) {
      table.fill?.();
      return table.array[hash - 1] ?? table.strong?.get(hash)?.value ?? NIL;
    }
    const value = this.#copy.value(pair.value);
    table.strong?.set(hash, { key: pair.sharedKey ?? NIL, value, p: undefined, n: undefined });
    return value;
  }
}

/** For LuaTable.fill: contents of its own instead of shared ones. */
function copyContents(this: LuaTable): void {
  const { array, strong } = this;
  const own: TValue[] = [];
  for (const { type, value } of array) own.push(new lobject.TValue(type, value));
  this.array = own;
  this.strong = null;
  this.f = undefined;
  this.l = undefined;
  this.fill = undefined;
  for (const [hash, { key, value }] of strong ?? []) {
    appendEntry(this, hash, key, new lobject.TValue(value.type, value.value));
  }
}
