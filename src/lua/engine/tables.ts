/**
 * Lua tables, in place of fengari's ltable.js: an array for the elements from 1, a Map for all other keys.
 *
 * fengari's table is a Map whose entries also form a list, in the order in which they were added. Here the keys 1, 2, 3, ...
 * are elements of an array as long as the list of a table would begin with just these, so that what engine-order.ts makes
 * of the list holds for both. An element without a value in the middle of the array is a value nil in its place.
 */
// biome-ignore-all lint/style/noNonNullAssertion: indices are below the length that has just been looked at.
import type { LuaState, LuaTable, LuaTableBase, TableEntry, TString, TValue } from 'fengari';
import { extendArray, firstEntry, INTEGERS, link, OTHERS, putInOrder, sizeOf } from './engine-order.ts';

/** Type tags of values, as in fengari's defs.js. */
const NIL_TAG = 0;
const LIGHT_USERDATA = 2;
const FLOAT = 3;
const INTEGER = 19;
const SHORT_STRING = 4;
const STRING = 20;
const BOOLEAN = 1;
const TABLE = 5;
const LUA_CLOSURE = 6;
const C_FUNCTION = 22;
const C_CLOSURE = 38;
const USERDATA = 7;
const THREAD = 8;

/** What is needed of fengari. */
export interface TableModules {
  readonly TValue: new (type: number, value: unknown) => TValue;
  readonly nil: TValue;
  readonly hashOf: (string: TString, L?: LuaState) => string;
  readonly work: (L: LuaState, bytes: number) => void;
  /** @throws a Lua error with this message, with the line in front where Lua code is at work */
  readonly raise: (L: LuaState, message: string) => never;
  /** @throws a Lua error with this message */
  readonly raiseBare: (L: LuaState, message: string) => never;
  /** Whether a light userdata is an object that may be a key by itself as well. */
  readonly isObject: (L: LuaState, value: object) => boolean;
}

export interface Tables {
  readonly Table: new (L: LuaState, fill?: LuaTable['fill']) => LuaTable;
  readonly invalidateTMcache: (table: LuaTable) => void;
  readonly luaH_new: (L: LuaState) => LuaTable;
  readonly luaH_get: (L: LuaState, table: LuaTable, key: TValue) => TValue;
  readonly luaH_getint: (table: LuaTable, key: number) => TValue;
  readonly luaH_getstr: (table: LuaTable, key: TString) => TValue;
  readonly luaH_getn: (table: LuaTable) => number;
  readonly luaH_setint: (table: LuaTable, key: number, value: TValue) => void;
  readonly luaH_setstr: (table: LuaTable, key: TString, value: TValue) => void;
  readonly luaH_setfrom: (L: LuaState, table: LuaTable, key: TValue, value: TValue) => void;
  readonly luaH_next: (L: LuaState, table: LuaTable, keyAt: number) => boolean;
}

/** Of tables without elements; of the same kind as their arrays, for V8. */
const NO_ELEMENTS: TValue[] = [{ type: NIL_TAG, value: null }];
NO_ELEMENTS.length = 0;

class Table implements LuaTable {
  id: number;
  array: TValue[];
  holes: number;
  popped: number;
  kinds: number;
  strong: Map<unknown, TableEntry> | null;
  fill: LuaTable['fill'];
  base: LuaTableBase | undefined;
  dead_strong: Map<unknown, TableEntry> | undefined;
  dead_weak: WeakMap<object, TableEntry> | undefined;
  f: TableEntry | undefined;
  l: TableEntry | undefined;
  metatable: LuaTable | null;
  flags: number;
  asize: number;
  order: number;

  constructor(L: LuaState, fill?: LuaTable['fill']) {
    this.id = L.l_G.id_counter++;
    this.array = NO_ELEMENTS;
    this.holes = 0;
    this.popped = 0;
    this.kinds = 0;
    this.strong = null;
    this.fill = fill;
    this.base = undefined;
    this.dead_strong = undefined;
    this.dead_weak = undefined;
    this.f = undefined;
    this.l = undefined;
    this.metatable = null;
    this.flags = ~0;
    this.asize = 0;
    this.order = 0;
  }
}

/** Makes the contents of a copied table its own. */
function own(table: LuaTable): Map<unknown, TableEntry> {
  while (table.fill !== undefined) table.fill();
  table.strong ??= new Map();
  return table.strong;
}

/** Whether all contents are there, if not the table's own. */
function isComplete(table: LuaTable): boolean {
  return table.fill === undefined || (table.strong !== null && table.base === undefined);
}

/** Makes contents that have not been made yet. */
export function complete(table: LuaTable): void {
  while (!isComplete(table)) table.fill?.();
}

/** The entries of a table in the order in which they are kept, elements of its array first. */
export function* entriesOf(table: LuaTable): Generator<{ readonly key: TValue; readonly value: TValue }> {
  complete(table);
  for (let i = 0; i < table.array.length; i++) {
    const value = table.array[i]!;
    if (value.type !== NIL_TAG) yield { key: { type: INTEGER, value: i + 1 }, value };
  }
  for (let entry = table.f; entry !== undefined; entry = entry.n) yield entry;
}

/** Puts an entry behind all others; not for keys that go into the array. */
export function appendEntry(table: LuaTable, hash: unknown, key: TValue, value: TValue): void {
  const entry: TableEntry = { key, value, p: undefined, n: undefined };
  link(table, entry);
  table.strong ??= new Map();
  table.strong.set(hash, entry);
}

/** Appends what comes next in a copy of a table: elements from 1 on to its array, all else as an entry. */
export function appendCopied(table: LuaTable, hash: unknown, key: TValue, value: TValue): void {
  if (table.f === undefined && key.type === INTEGER && hash === table.array.length + 1) {
    pushElement(table, value);
  } else appendEntry(table, hash, key, value);
}

function pushElement(table: LuaTable, value: TValue): void {
  if (table.array === NO_ELEMENTS) table.array = [value];
  else table.array.push(value);
}

export function makeTables({ TValue, nil, hashOf, work, raise, raiseBare, isObject }: TableModules): Tables {
  /** Light userdata and the object that it is are not the same key. */
  const lightHashes = new WeakMap<object, object>();
  const lightHash = (value: object): object => {
    let hash = lightHashes.get(value);
    if (hash === undefined) {
      hash = {};
      lightHashes.set(value, hash);
    }
    return hash;
  };

  /** The key of the Map for a key that is neither nil nor NaN. */
  function mapKey(L: LuaState, { type, value }: TValue): unknown {
    switch (type) {
      case STRING:
      case SHORT_STRING:
        return hashOf(value as TString, L);
      case LIGHT_USERDATA:
        switch (typeof value) {
          // Apart from the keys of strings, numbers and booleans.
          case 'string':
            return `*${value}`;
          case 'number':
            return `#${value}`;
          case 'boolean':
            return value ? '?true' : '?false';
          case 'function':
            return lightHash(value);
          case 'object':
            return value !== null && isObject(L, value) ? lightHash(value) : value;
          default:
            return value;
        }
      case FLOAT:
      case INTEGER:
      case BOOLEAN:
      case TABLE:
      case LUA_CLOSURE:
      case C_FUNCTION:
      case C_CLOSURE:
      case USERDATA:
      case THREAD:
        return value;
      default:
        throw new Error(`unknown key type: ${type}`);
    }
  }

  /** @throws a Lua error for nil and NaN */
  function checkedMapKey(L: LuaState, key: TValue): unknown {
    if (key.type === NIL_TAG) return raise(L, 'table index is nil');
    if (key.type === FLOAT && Number.isNaN(key.value)) return raise(L, 'table index is NaN');
    return mapKey(L, key);
  }

  /** What is in the Map. */
  function find(table: LuaTable, hash: unknown): TValue {
    const { strong } = table;
    if (strong === null) {
      if (table.fill === undefined) return nil;
      table.fill();
      return findAny(table, hash);
    }
    const entry = strong.get(hash);
    if (entry !== undefined) return entry.value;
    return table.base === undefined ? nil : table.base.value(table, hash);
  }

  function findAny(table: LuaTable, hash: unknown): TValue {
    return typeof hash === 'number' ? luaH_getint(table, hash) : find(table, hash);
  }

  /** Also for a float, which may be integral. */
  function luaH_getint(table: LuaTable, key: number): TValue {
    const { array } = table;
    if (key > 0 && key <= array.length && Number.isInteger(key)) return array[key - 1]!;
    return find(table, key);
  }

  function luaH_getstr(table: LuaTable, key: TString): TValue {
    return find(table, key.hash ?? hashOf(key));
  }

  function luaH_get(L: LuaState, table: LuaTable, key: TValue): TValue {
    switch (key.type) {
      case STRING:
        return find(table, hashOf(key.value as TString, L));
      case INTEGER:
      case FLOAT:
        return Number.isNaN(key.value) ? nil : luaH_getint(table, key.value as number);
      case NIL_TAG:
        return nil;
      default:
        return find(table, mapKey(L, key));
    }
  }

  /** Adds a key that the table does not have. */
  function add(table: LuaTable, hash: unknown, key: TValue, value: TValue): void {
    table.dead_strong = undefined;
    table.dead_weak = undefined;
    table.popped = 0;
    const copy = new TValue(value.type, value.value);
    if ((key.type & 15) <= FLOAT) {
      let inOrder = false;
      if (key.type === INTEGER) {
        const index = hash as number;
        const last = table.l;
        const next = table.array.length + 1;
        inOrder =
          last === undefined ? index === next : last.key.value === index - 1 && last.key.type === INTEGER;
        if (
          index > table.asize &&
          (inOrder ? index === table.asize + 1 : (table.order & 3) === 0) &&
          !extendArray(table, index)
        ) {
          inOrder = false;
        }
        if (index === next && (last === undefined ? inOrder : (table.kinds & OTHERS) !== 0)) {
          pushElement(table, copy);
          return;
        }
      }
      if (!inOrder) table.order = (table.order & ~3) | 1;
    }
    appendEntry(table, hash, key, copy);
  }

  function remove(table: LuaTable, hash: unknown): void {
    const strong = own(table);
    const entry = strong.get(hash);
    if (entry === undefined) return;
    // Copies of a template state share keys, which never change.
    entry.key = new TValue(DEAD_KEY, null);
    (entry as { value: TValue | undefined }).value = undefined;
    const { n: next, p: previous } = entry;
    entry.p = undefined;
    if (previous !== undefined) previous.n = next;
    if (next !== undefined) next.p = previous;
    if (table.f === entry) table.f = next;
    if (table.l === entry) table.l = previous;
    strong.delete(hash);
    if (strong.size === 0) table.kinds = 0;
    if ((typeof hash === 'object' && hash !== null) || typeof hash === 'function') {
      table.dead_weak ??= new WeakMap();
      table.dead_weak.set(hash, entry);
    } else {
      table.dead_strong ??= new Map();
      table.dead_strong.set(hash, entry);
    }
  }

  /** Takes the value out of the array, at `index` from 0. */
  function removeElement(table: LuaTable, index: number): void {
    const { array } = table;
    if (array[index]!.type === NIL_TAG) return;
    if (index !== array.length - 1) {
      array[index] = new TValue(NIL_TAG, null);
      table.holes += 1;
      return;
    }
    if (table.popped <= index) table.popped = index + 1;
    array.pop();
    while (table.holes > 0 && array[array.length - 1]!.type === NIL_TAG) {
      array.pop();
      table.holes -= 1;
    }
  }

  function setElement(table: LuaTable, index: number, value: TValue): void {
    if (value.type === NIL_TAG) {
      removeElement(table, index);
      return;
    }
    const element = table.array[index]!;
    if (element.type === NIL_TAG) {
      table.holes -= 1;
      table.popped = 0;
      table.dead_strong = undefined;
      table.dead_weak = undefined;
    }
    element.type = value.type;
    element.value = value.value;
  }

  function luaH_setint(table: LuaTable, key: number, value: TValue): void {
    if (table.fill !== undefined) own(table);
    if (key > 0 && key <= table.array.length && Number.isInteger(key)) {
      setElement(table, key - 1, value);
      return;
    }
    const entry = table.strong === null ? undefined : table.strong.get(key);
    if (entry === undefined) {
      if (value.type !== NIL_TAG) {
        const isInteger = (key | 0) === key;
        add(table, key, new TValue(isInteger ? INTEGER : FLOAT, isInteger ? key | 0 : key), value);
      }
    } else if (value.type === NIL_TAG) remove(table, key);
    else {
      entry.value.type = value.type;
      entry.value.value = value.value;
    }
  }

  function luaH_setstr(table: LuaTable, key: TString, value: TValue): void {
    setByHash(table, key.hash ?? hashOf(key), STRING, key, value);
  }

  function setByHash(table: LuaTable, hash: unknown, type: number, key: unknown, value: TValue): void {
    if (table.fill !== undefined) own(table);
    const entry = table.strong === null ? undefined : table.strong.get(hash);
    if (entry === undefined) {
      if (value.type !== NIL_TAG) add(table, hash, new TValue(type, key), value);
    } else if (value.type === NIL_TAG) remove(table, hash);
    else {
      entry.value.type = value.type;
      entry.value.value = value.value;
    }
  }

  function luaH_setfrom(L: LuaState, table: LuaTable, key: TValue, value: TValue): void {
    const hash = checkedMapKey(L, key);
    if (typeof hash === 'number') luaH_setint(table, hash, value);
    else setByHash(table, hash, key.type, key.value, value);
  }

  /**
   * A border: an index with a value before one without, or 0 where 1 has none. With holes any will do for Lua, but programs
   * have been written with the one that C Lua finds.
   */
  function luaH_getn(table: LuaTable): number {
    if (table.holes === 0 && (table.kinds & INTEGERS) === 0 && isComplete(table)) return table.array.length;
    let i = 0;
    let j = table.asize;
    if (j === 0 || luaH_getint(table, j).type !== NIL_TAG) i = j++;
    while (luaH_getint(table, j).type !== NIL_TAG) {
      i = j;
      if (j > 0x7fffffff / 2) {
        // Made on purpose: more than half of the places tried here are empty.
        i = 0;
        do j = 1 + Math.floor(Math.random() * 2 * (sizeOf(table) + 1));
        while (luaH_getint(table, j).type !== NIL_TAG);
        break;
      }
      j *= 2;
    }
    while (j - i > 1) {
      const middle = Math.floor((i + j) / 2);
      if (luaH_getint(table, middle).type === NIL_TAG) j = middle;
      else i = middle;
    }
    return i;
  }

  /** Puts the first element at `index` from 0 or behind it at `keyAt` of the stack, or else the first entry. */
  function visitElement(L: LuaState, table: LuaTable, index: number, keyAt: number): boolean {
    const { array } = table;
    for (let i = index; i < array.length; i++) {
      const value = array[i]!;
      if (value.type === NIL_TAG) {
        if ((i & 1023) === 1023) work(L, 8192);
        continue;
      }
      const key = L.stack[keyAt]!;
      key.type = INTEGER;
      key.value = i + 1;
      const slot = L.stack[keyAt + 1]!;
      slot.type = value.type;
      slot.value = value.value;
      return true;
    }
    return visitEntry(L, table.f, keyAt);
  }

  function visitEntry(L: LuaState, entry: TableEntry | undefined, keyAt: number): boolean {
    if (entry === undefined) return false;
    const key = L.stack[keyAt]!;
    key.type = entry.key.type;
    key.value = entry.key.value;
    const slot = L.stack[keyAt + 1]!;
    slot.type = entry.value.type;
    slot.value = entry.value.value;
    return true;
  }

  function luaH_next(L: LuaState, table: LuaTable, keyAt: number): boolean {
    complete(table);
    const key = L.stack[keyAt]!;
    if (key.type === NIL_TAG) {
      const first = (table.order & 3) === 0 ? table.f : firstEntry(work, L, table);
      return table.array.length > 0 ? visitElement(L, table, 0, keyAt) : visitEntry(L, first, keyAt);
    }
    const hash = checkedMapKey(L, key);
    if (hash === 1 && (table.order & 3) === 2) {
      putInOrder(work, L, table);
      // The script may have removed it when it was visited.
      if (luaH_getint(table, 1).type === NIL_TAG) return visitElement(L, table, 0, keyAt);
    }
    if (typeof hash === 'number' && hash > 0 && Number.isInteger(hash)) {
      if (hash <= table.array.length) return visitElement(L, table, hash, keyAt);
    }
    let entry = table.strong === null ? undefined : table.strong.get(hash);
    if (entry !== undefined) return visitEntry(L, entry.n, keyAt);
    entry = table.dead_weak?.get(hash as object) ?? table.dead_strong?.get(hash);
    if (entry === undefined) {
      if (typeof hash === 'number' && hash > 0 && hash <= table.popped && Number.isInteger(hash)) {
        return visitElement(L, table, hash, keyAt);
      }
      return raiseBare(L, "invalid key to 'next'");
    }
    let passed = 0;
    do {
      if ((++passed & 255) === 0) work(L, 8192);
      entry = entry.n;
      if (entry === undefined) return false;
    } while (entry.key.type === DEAD_KEY);
    return visitEntry(L, entry, keyAt);
  }

  return {
    Table,
    invalidateTMcache: (table) => {
      table.flags = 0;
    },
    luaH_new: (L) => new Table(L),
    luaH_get,
    luaH_getint,
    luaH_getstr,
    luaH_getn,
    luaH_setint,
    luaH_setstr,
    luaH_setfrom,
    luaH_next,
  };
}

/** LUA_TDEADKEY: of an entry that was removed. */
const DEAD_KEY = 10;
