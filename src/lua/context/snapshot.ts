/**
 * What a Lua state consists of: a description of every object in it, from which copies can be made (template.ts).
 */
import type { CClosure, LClosure, LuaState, LuaTable, TableEntry, TString, TValue, Udata } from 'fengari';
import { internals, lua } from '../engine/engine.ts';
import { sizeOf } from '../engine/engine-order.ts';
import { isUnchanging } from '../engine/host.ts';
import { complete, entriesOf } from '../engine/tables.ts';

const { LUA_TLCL, LUA_TCCL } = internals.tags;
const { LUA_TTABLE, LUA_TUSERDATA, LUA_TTHREAD } = lua;
const { lobject } = internals;

/** A value of the template: as it is, or the object that a copy has in its place. */
export type Slot =
  | { readonly type: number; readonly shared: unknown; readonly object: null }
  | { readonly type: number; readonly shared: null; readonly object: ObjectSnapshot };

export interface Pair {
  /** Key of the table's Map when it is not an object of the template itself. */
  readonly hash: unknown;
  readonly key: Slot;
  /** The key itself, for all copies, when it is no such object; see the patch for ltable.js. */
  readonly sharedKey: TValue | null;
  readonly value: Slot;
  /** The same for the value. */
  readonly sharedValue: TValue | null;
}

/** Contents without an object among them: the same for all copies that do not write to the table. */
interface SharedContents {
  readonly array: TValue[];
  readonly holes: number;
  readonly kinds: number;
  readonly strong: Map<unknown, TableEntry>;
  readonly first: TableEntry | undefined;
  readonly last: TableEntry | undefined;
}

export type Description =
  | {
      readonly kind: 'table';
      readonly metatable: ObjectSnapshot | null;
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
  | { readonly kind: 'closure'; readonly from: LClosure; readonly upvalues: readonly ObjectSnapshot[] }
  | { readonly kind: 'upvalue'; readonly value: Slot }
  | {
      readonly kind: 'userdata';
      readonly from: Udata;
      readonly metatable: ObjectSnapshot | null;
      readonly value: Slot;
    }
  | { readonly kind: 'main thread' };

/** How to make an object of the template again. */
export interface ObjectSnapshot {
  /** Where a copy keeps the object for whatever else refers to it; ALONE when nothing else does. */
  place: number;
  is: Description;
}

export const ALONE = -1;

/** Objects and entries of tables that a template describes one by one, some 20 ms of work. */
const MOST_PIECES = 50_000;
/** Entries of a table whose contents are shared: writing to it copies them, which takes up to 10 ms. */
const MOST_SHARED = 50_000;

/** Describes every object that can be reached from a state. */
export class StateSnapshot {
  /** How many objects are referred to from more than one place. */
  places = 0;
  readonly #known = new Map<unknown, ObjectSnapshot>();
  #pieces = 0;
  readonly #L: LuaState;

  constructor(L: LuaState) {
    this.#L = L;
  }

  object(type: number, object: unknown): ObjectSnapshot {
    return this.#once(object, () => this.#describe(type, object));
  }

  #once(object: unknown, describe: () => Description): ObjectSnapshot {
    const known = this.#known.get(object);
    if (known !== undefined) {
      if (known.place === ALONE) known.place = this.places++;
      return known;
    }
    this.#count(1);
    // Known before it is described: objects refer to each other in circles.
    const snapshot: ObjectSnapshot = { place: ALONE, is: { kind: 'main thread' } };
    this.#known.set(object, snapshot);
    snapshot.is = describe();
    return snapshot;
  }

  #slot(value: TValue): Slot {
    const { type } = value;
    if (isObject(value)) return { type, shared: null, object: this.object(type, value.value) };
    // A string's table key is worked out once here instead of in every copy.
    if ((type & 0x0f) === lua.LUA_TSTRING) internals.lstring.luaS_hashlongstr(value.value as TString);
    return { type, shared: value.value, object: null };
  }

  #metatable(of: { metatable: LuaTable | null }): ObjectSnapshot | null {
    return of.metatable === null ? null : this.object(LUA_TTABLE, of.metatable);
  }

  #describe(type: number, object: unknown): Description {
    switch (type) {
      case LUA_TTABLE:
        return this.#table(object as LuaTable);
      case LUA_TCCL: {
        const from = object as CClosure;
        for (const { type, value } of from.upvalue) {
          if (type === lua.LUA_TLIGHTUSERDATA) requireUnchanging(value);
        }
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
        for (const field of Object.values(from.data)) requireUnchanging(field);
        const value = this.#slot(from.uservalue);
        return { kind: 'userdata', from, metatable: this.#metatable(from), value };
      }
      default:
        if (object !== this.#L) throw new Error('a template cannot hold a coroutine');
        return { kind: 'main thread' };
    }
  }

  #table(table: LuaTable): Description {
    complete(table);
    const contents = sharedContents(table);
    if (contents !== null) return this.#tableOf(table, [], contents, null);
    this.#count(sizeOf(table));
    const pairs: Pair[] = [];
    // The Map's key of an entry need not be the key's value.
    const hashes = new Map<unknown, unknown>();
    for (const [hash, entry] of table.strong ?? []) hashes.set(entry, hash);
    for (const entry of entriesOf(table)) {
      const hash = hashes.get(entry) ?? entry.key.value;
      const key = this.#slot(entry.key);
      const sharedKey = key.object === null ? new lobject.TValue(key.type, key.shared) : null;
      const value = this.#slot(entry.value);
      const sharedValue = value.object === null ? new lobject.TValue(value.type, value.shared) : null;
      pairs.push({ hash, key, sharedKey, value, sharedValue });
    }
    const byHash = new Map<unknown, Pair>();
    for (const pair of pairs) if (pair.sharedKey !== null) byHash.set(pair.hash, pair);
    return this.#tableOf(table, pairs, null, byHash.size === pairs.length ? byHash : null);
  }

  /** All have one shape, with their fields written out: copies are made of thousands of them. */
  #tableOf(
    table: LuaTable,
    pairs: readonly Pair[],
    contents: SharedContents | null,
    byHash: ReadonlyMap<unknown, Pair> | null,
  ): Description {
    const { flags, order, asize } = table;
    const metatable = this.#metatable(table);
    return { kind: 'table', metatable, flags, order, asize, pairs, contents, byHash };
  }

  #count(pieces: number): void {
    this.#pieces += pieces;
    if (this.#pieces > MOST_PIECES) throw new Error('too much for a template');
  }
}

/** What a host function keeps for a script (an iterator's place, an open file) belongs to one state. */
function requireUnchanging(value: unknown): void {
  if (!isUnchanging(value)) throw new Error('a template cannot hold what a host function keeps for a script');
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
function sharedContents(table: LuaTable): SharedContents | null {
  if ((table.order & 3) !== 0 || sizeOf(table) > MOST_SHARED) return null;
  for (const { key, value } of entriesOf(table)) if (isObject(key) || isObject(value)) return null;
  // Both Map and list must tell the order, for copyContents().
  let next = table.f;
  const strong = table.strong ?? new Map<unknown, TableEntry>();
  for (const entry of strong.values()) {
    if (entry !== next) return null;
    next = entry.n;
  }
  const { array, holes, kinds, f: first, l: last } = table;
  return { array, holes, kinds, strong, first, last };
}
