/**
 * A Lua state as it once was, copied for every session: with all libraries opened, or with a script run as well.
 *
 * Opening the libraries anew costs 170 µs; copying what results costs a small part of that and isolates as well: a copy
 * shares with the template only what cannot change (strings, functions without upvalues, compiled code). A copy is made
 * piece by piece: a table gets its contents when it is looked into for the first time, and where those are of the kind
 * that can be shared, contents of its own only when it is written to. A script uses little of the libraries, and a
 * session little of its script.
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
const { Table } = internals.ltable;
/** Never written to. */
const NIL = new lobject.TValue(lua.LUA_TNIL, null);

/** A value of the template: as it is, or the object that a copy has in its place. */
type Slot =
  | { readonly type: number; readonly shared: unknown; readonly object: null }
  | { readonly type: number; readonly shared: null; readonly object: Blueprint };

interface Pair {
  /** Key of the table's Map when it is not an object of the template itself. */
  readonly hash: unknown;
  readonly key: Slot;
  /** The key itself, for all copies, when it is no such object; see the cure for ltable.js. */
  readonly sharedKey: TValue | null;
  readonly value: Slot;
  /** The same for the value. */
  readonly sharedValue: TValue | null;
}

/** Contents without an object among them: the same for all copies that do not write to the table. */
interface SharedContents {
  readonly strong: Map<unknown, TableEntry>;
  readonly first: TableEntry | undefined;
  readonly last: TableEntry | undefined;
}

type Description =
  | {
      readonly kind: 'table';
      readonly metatable: Blueprint | null;
      readonly flags: number;
      /** What the engine keeps of a table's order, see engine-order.ts. */
      readonly order: number;
      readonly asize: number;
      readonly pairs: readonly Pair[];
      readonly contents: SharedContents | null;
      /** The pairs, where none has an object as a key. */
      readonly byHash: ReadonlyMap<unknown, Pair> | null;
    }
  | { readonly kind: 'function'; readonly from: CClosure; readonly upvalues: readonly Slot[] }
  | { readonly kind: 'closure'; readonly from: LClosure; readonly upvalues: readonly Blueprint[] }
  | { readonly kind: 'upvalue'; readonly value: Slot }
  | {
      readonly kind: 'userdata';
      readonly from: Udata;
      readonly metatable: Blueprint | null;
      readonly value: Slot;
    }
  | { readonly kind: 'main thread' };

/** How to make an object of the template again. */
interface Blueprint {
  /** Where a copy keeps the object for whatever else refers to it; ALONE when nothing else does. */
  place: number;
  is: Description;
}

const ALONE = -1;

/** Objects and entries of tables that a template describes one by one, some 20 ms of work. */
const MOST_PIECES = 50_000;
/** Entries of a table whose contents are shared: writing to it copies them, which takes up to 10 ms. */
const MOST_SHARED = 50_000;

export class Template {
  /** Shared by all contexts made from this template: whose turn it is when several work long. */
  readonly slices: SliceQueue;
  readonly #registry: Blueprint;
  readonly #metatables: readonly (Blueprint | null)[];
  readonly #places: number;

  /**
   * @param from libraries to open in a new state; or a state in which nothing runs, to which nothing may happen any more,
   * and the template it was made from
   * @throws Error when a library cannot be opened or the state holds what cannot be copied (a coroutine) or too much
   */
  constructor(from: readonly Library[] | { readonly state: LuaState; readonly like: Template }) {
    const { state, slices } =
      'state' in from
        ? { state: from.state, slices: from.like.slices }
        : { state: opened(from), slices: new SliceQueue() };
    this.slices = slices;
    const survey = new Survey(state);
    this.#registry = survey.blueprint(LUA_TTABLE, state.l_G.l_registry.value);
    this.#metatables = Array.from(state.l_G.mt, (table) =>
      table ? survey.blueprint(LUA_TTABLE, table) : null,
    );
    this.#places = survey.places;
  }

  /** A new state that has all the template has and shares nothing that can change. */
  clone(): LuaState {
    const L = internals.lstate.lua_newstate();
    const G = L.l_G;
    const copy = new Copy(L, this.#places);
    G.l_registry.value = copy.object(this.#registry) as LuaTable;
    const metatables = this.#metatables;
    for (let type = 0; type < metatables.length; type++) {
      const blueprint = metatables[type];
      if (blueprint) G.mt[type] = copy.object(blueprint) as LuaTable;
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

/** Describes every object that can be reached from a state. */
class Survey {
  /** How many objects are referred to from more than one place. */
  places = 0;
  readonly #known = new Map<unknown, Blueprint>();
  #pieces = 0;
  readonly #L: LuaState;

  constructor(L: LuaState) {
    this.#L = L;
  }

  blueprint(type: number, object: unknown): Blueprint {
    return this.#once(object, () => this.#describe(type, object));
  }

  #once(object: unknown, describe: () => Description): Blueprint {
    const known = this.#known.get(object);
    if (known !== undefined) {
      if (known.place === ALONE) known.place = this.places++;
      return known;
    }
    this.#count(1);
    // Known before it is described: objects refer to each other in circles.
    const blueprint: Blueprint = { place: ALONE, is: { kind: 'main thread' } };
    this.#known.set(object, blueprint);
    blueprint.is = describe();
    return blueprint;
  }

  #slot(value: TValue): Slot {
    const { type } = value;
    if (isObject(value)) return { type, shared: null, object: this.blueprint(type, value.value) };
    // A string's table key is worked out once here instead of in every copy.
    if ((type & 0x0f) === lua.LUA_TSTRING) internals.lstring.luaS_hashlongstr(value.value as TString);
    return { type, shared: value.value, object: null };
  }

  #metatable(of: { metatable: LuaTable | null }): Blueprint | null {
    return of.metatable === null ? null : this.blueprint(LUA_TTABLE, of.metatable);
  }

  #describe(type: number, object: unknown): Description {
    switch (type) {
      case LUA_TTABLE:
        return this.#table(object as LuaTable);
      case LUA_TCCL: {
        const from = object as CClosure;
        return { kind: 'function', from, upvalues: from.upvalue.map((value) => this.#slot(value)) };
      }
      case LUA_TLCL: {
        // Upvalues are objects: closures share them.
        const from = object as LClosure;
        const upvalues = from.upvals.map((value) =>
          this.#once(value, () => ({ kind: 'upvalue', value: this.#slot(value) })),
        );
        return { kind: 'closure', from, upvalues };
      }
      case LUA_TUSERDATA: {
        const from = object as Udata;
        const value = this.#slot(from.uservalue);
        return { kind: 'userdata', from, metatable: this.#metatable(from), value };
      }
      default:
        if (object !== this.#L) throw new Error('a template cannot hold a coroutine');
        return { kind: 'main thread' };
    }
  }

  #table(table: LuaTable): Description {
    const strong = (table.base ? table.fill?.() : null) ?? table.strong ?? table.fill?.() ?? new Map();
    const { flags, order, asize } = table;
    const is = { kind: 'table', metatable: this.#metatable(table), flags, order, asize } as const;
    const contents = sharedContents(table, strong);
    if (contents !== null) return { ...is, pairs: [], contents, byHash: null };
    const hashes = new Map<TableEntry, unknown>();
    for (const [hash, entry] of strong) hashes.set(entry, hash);
    this.#count(strong.size);
    const pairs: Pair[] = [];
    for (let entry = table.f; entry !== undefined; entry = entry.n) {
      // fengari does not keep an entry's Map key in the entry, and it need not be the key's value.
      const hash = hashes.get(entry);
      const key = this.#slot(entry.key);
      const sharedKey = key.object === null ? entry.key : null;
      const value = this.#slot(entry.value);
      const sharedValue = value.object === null ? new lobject.TValue(value.type, value.shared) : null;
      pairs.push({ hash, key, sharedKey, value, sharedValue });
    }
    const byHash = new Map<unknown, Pair>();
    for (const pair of pairs) if (pair.sharedKey !== null) byHash.set(pair.hash, pair);
    return { ...is, pairs, contents: null, byHash: byHash.size === pairs.length ? byHash : null };
  }

  #count(pieces: number): void {
    this.#pieces += pieces;
    if (this.#pieces > MOST_PIECES) throw new Error('too much for a template');
  }
}

function isObject({ type }: TValue): boolean {
  return (
    type === LUA_TTABLE ||
    type === LUA_TCCL ||
    type === LUA_TLCL ||
    type === LUA_TUSERDATA ||
    type === LUA_TTHREAD
  );
}

/** The contents for all copies; null where each must have objects of its own, or entries that will be put in order. */
function sharedContents(table: LuaTable, strong: Map<unknown, TableEntry>): SharedContents | null {
  if ((table.order & 3) !== 0 || strong.size > MOST_SHARED) return null;
  // Both Map and list must tell the order, for copyContents().
  let next = table.f;
  for (const entry of strong.values()) {
    if (entry !== next || isObject(entry.key) || isObject(entry.value)) return null;
    next = entry.n;
  }
  return { strong, first: table.f, last: table.l };
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
  object(blueprint: Blueprint): unknown {
    const object = this.#begun(blueprint);
    if (this.#finishing || this.#unfinished.length === 0) return object;
    this.#finishing = true;
    for (let is = this.#unfinished.pop(); is !== undefined; is = this.#unfinished.pop()) {
      this.#finish(is, this.#unfinishedObjects.pop());
    }
    this.#finishing = false;
    return object;
  }

  #begun({ place, is }: Blueprint): unknown {
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

  /** As ltable.js add() leaves a table: a Map of entries that also form a list in order of insertion. */
  #fill(table: LuaTable, pairs: readonly Pair[]): Map<unknown, TableEntry> {
    const strong = new Map<unknown, TableEntry>();
    // Those that have been made already.
    const some = table.base === undefined ? undefined : table.strong;
    let last: TableEntry | undefined;
    for (let i = 0; i < pairs.length; i++) {
      const pair = pairs[i];
      if (pair === undefined) continue;
      const key = pair.sharedKey ?? this.value(pair.key);
      const value = some?.get(pair.hash)?.value ?? this.value(pair.value);
      const entry: TableEntry = { key, value, p: last, n: undefined };
      if (last === undefined) table.f = entry;
      else last.n = entry;
      last = entry;
      // An object as a key is found by its identity.
      strong.set(pair.sharedKey !== null ? pair.hash : key.value, entry);
    }
    table.l = last;
    table.strong = strong;
    table.fill = undefined;
    table.base = undefined;
    return strong;
  }
}

/** What has not been made yet of a table's contents: a value is made when it is asked for. */
class Rest {
  readonly #copy: Copy;
  readonly #pairs: ReadonlyMap<unknown, Pair>;

  constructor(copy: Copy, pairs: ReadonlyMap<unknown, Pair>) {
    this.#copy = copy;
    this.#pairs = pairs;
  }

  value(table: LuaTable, hash: unknown): TValue {
    const pair = this.#pairs.get(hash);
    if (pair === undefined) return NIL;
    // Nobody writes to what is found in a table: setting goes by fill().
    if (pair.sharedValue !== null) return pair.sharedValue;
    const value = this.#copy.value(pair.value);
    table.strong?.set(hash, { key: pair.sharedKey ?? NIL, value, p: undefined, n: undefined });
    return value;
  }
}

/** For LuaTable.fill: contents of its own instead of shared ones. */
function copyContents(this: LuaTable): Map<unknown, TableEntry> {
  const own = new Map<unknown, TableEntry>();
  let last: TableEntry | undefined;
  this.f = undefined;
  for (const [hash, { key, value }] of this.strong ?? own) {
    const entry: TableEntry = {
      key,
      value: new lobject.TValue(value.type, value.value),
      p: last,
      n: undefined,
    };
    if (last === undefined) this.f = entry;
    else last.n = entry;
    last = entry;
    own.set(hash, entry);
  }
  this.l = last;
  this.strong = own;
  this.fill = undefined;
  return own;
}
