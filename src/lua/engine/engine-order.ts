/**
 * The order of tables: `pairs` and `next` visit entries in C Lua's order, and `#` finds C Lua's border in a table with holes.
 *
 * In order of insertion `{x=1, 10, 20}` began with x, and an array filled from its end was visited from its end. So a
 * table notices when an integer key is added out of order. Its list is put into C Lua's order when a traversal begins after
 * that, and only then; keys that were added in order cost one comparison. Nothing is put in order while a traversal goes
 * on: then no keys may be added.
 */
import type { LuaState, LuaTable, TableEntry } from 'fengari';
import { arraySizeFor, isArrayIndex, type PlainKey, traversalOrder } from './table-replay.ts';

type Work = (L: LuaState, bytes: number) => void;

/** Type tags of values, as in fengari's defs.js. */
const NIL_TAG = 0;
const FLOAT_TAG = 3;
const INTEGER_TAG = 19;

/** Bits of LuaTable.kinds: what is or was among the keys in the Map. */
export const OTHERS = 1; // neither number nor boolean
export const INTEGERS = 2; // a number above 0

/** The two low bits of LuaTable.order. */
const STATE = 3;
/** The list is as it should be. */
const IN_ORDER = 0;
// 1, set by add() in tables.ts: a key came out of order.
/** A traversal was begun with the entry of key 1; the list has to be put in order when it goes on. */
const BEGUN = 2;
/** It would take too long: the list stays as it is until another key comes out of order. */
const GIVEN_UP = 3;

/** The 14 bits above: for how many keys outside of the array part the table was made. */
const hashedOf = (table: LuaTable): number => (table.order >> 2) & 0x3fff;
/** The 16 bits above: how many entries there were when the list was last put in order. */
const MOST_COUNTED = 0xffff;
const countedOf = (table: LuaTable): number => table.order >>> 16;

/** Entries up to which a list is put in order each time. */
const SMALL = 32;
/** Entries up to which all of C Lua's table is modelled, not only its array part. */
const MODELLED = 256;
/** Entries up to which a list is put in order at all: at most some 10 ms. */
const ORDERED = 50_000;
/** What it costs for one entry, in units of luaS_work. */
const WORK_PER_ENTRY = 800;

function setState(table: LuaTable, state: number): void {
  table.order = (table.order & ~STATE) | state;
}

/**
 * The entry that a traversal of a table out of order begins with.
 *
 * It may go no further: `next(t) == nil` is how a program asks whether a table is empty, and this must not cost more
 * with every entry. So the work is put off where possible, and else done when there are many new entries.
 */
export function firstEntry(work: Work, L: LuaState, table: LuaTable): TableEntry | undefined {
  const state = table.order & STATE;
  if (state === GIVEN_UP) return table.f;
  const size = sizeOf(table);
  if (size > SMALL || state === BEGUN) {
    const element = table.array[0];
    const isElement = element !== undefined && element.type !== NIL_TAG;
    const one = size > ORDERED || isElement ? undefined : table.strong?.get(1);
    if (size <= ORDERED && (isElement || one !== undefined)) {
      setState(table, BEGUN);
      return one;
    }
    if (state !== BEGUN && (size > MODELLED || size < countedOf(table) * 1.25)) {
      setState(table, GIVEN_UP);
      return table.f;
    }
  }
  putInOrder(work, L, table);
  return table.f;
}

/** Puts the list in order; so the traversal that firstEntry() began goes on. */
export function putInOrder(work: Work, L: LuaState, table: LuaTable): void {
  const size = sizeOf(table);
  const begun = (table.order & STATE) === BEGUN;
  work(L, size * WORK_PER_ENTRY);
  const strong = listElements(table);
  const entries = inOrder(table, strong, begun);
  table.f = undefined;
  table.l = undefined;
  table.kinds = 0;
  for (const entry of entries) {
    const index = table.array.length + 1;
    if (table.f === undefined && entry.key.type === INTEGER_TAG && entry.key.value === index) {
      table.array.push(entry.value);
      strong.delete(index);
    } else link(table, entry);
  }
  if (begun && table.array.length === 0 && !strong.has(1)) {
    // The script has removed it when it was visited: what comes after it is now the first one.
    const removed = table.dead_strong?.get(1);
    if (removed !== undefined) removed.n = table.f;
    table.popped = Math.max(table.popped, 1);
  }
  table.order = (hashedOf(table) << 2) | (Math.min(size, MOST_COUNTED) << 16) | IN_ORDER;
}

/** Makes the elements of the array entries, at the beginning of the list. */
function listElements(table: LuaTable): Map<unknown, TableEntry> {
  const strong = table.strong ?? new Map<unknown, TableEntry>();
  const { array } = table;
  let rest = table.f;
  table.strong = strong;
  table.f = undefined;
  table.l = undefined;
  for (let i = 0; i < array.length; i++) {
    const value = array[i];
    if (value === undefined || value.type === NIL_TAG) continue;
    const entry: TableEntry = { key: { type: INTEGER_TAG, value: i + 1 }, value, p: undefined, n: undefined };
    strong.set(i + 1, entry);
    link(table, entry);
  }
  while (rest !== undefined) {
    const { n } = rest;
    link(table, rest);
    rest = n;
  }
  table.array = [];
  table.holes = 0;
  return strong;
}

/** Puts an entry of the Map at the end of the list. */
export function link(table: LuaTable, entry: TableEntry): void {
  const last = table.l;
  const { key } = entry;
  entry.p = last;
  entry.n = undefined;
  if (last === undefined) table.f = entry;
  else last.n = entry;
  table.l = entry;
  if ((key.type & 15) > FLOAT_TAG) table.kinds |= OTHERS;
  else if (typeof key.value === 'number' && key.value > 0) table.kinds |= INTEGERS;
}

export const sizeOf = (table: LuaTable): number =>
  table.array.length - table.holes + (table.strong === null ? 0 : table.strong.size);

/**
 * Whether C Lua's array part would come to hold integer key `index`, which is beyond it and about to be added; it is then
 * made longer.
 */
export function extendArray(table: LuaTable, index: number): boolean {
  const hashed = hashedOf(table);
  const size = sizeOf(table);
  if (hashed > 0 && size - table.asize < roomFor(hashed)) return false;
  const room = roomFor(index);
  if ((size + 1) * 2 > room) table.asize = room;
  return true;
}

/** How many places C Lua makes for so many. */
const roomFor = (count: number): number => (count === 1 ? 1 : 2 ** (32 - Math.clz32(count - 1)));

type Entries = ReadonlyMap<unknown, TableEntry>;

/** With `oneFirst` a key 1 is the first, or would be if it was still there. */
function inOrder(table: LuaTable, strong: Entries, oneFirst: boolean): TableEntry[] {
  const entries: TableEntry[] = [];
  for (let entry = table.f; entry !== undefined; entry = entry.n) entries.push(entry);
  if (entries.length <= MODELLED) {
    const ordered = modelled(table, entries.slice());
    if (ordered !== null && (!oneFirst || !strong.has(1) || ordered[0] === strong.get(1))) return ordered;
  }
  return arrayFirst(table, strong, entries);
}

/** As C Lua has them; null when this cannot be known. */
function modelled(table: LuaTable, entries: TableEntry[]): TableEntry[] | null {
  const keys: PlainKey[] = [];
  for (const { key } of entries) if (!addKey(keys, keys.length, key.value)) return null;
  // Keys that were removed since the last one was added keep their places in C Lua.
  const dead = table.dead_strong;
  const removals = dead === undefined || dead.size > MODELLED ? [] : [...dead].reverse();
  for (const [hash, removed] of removals) {
    const next = removed.n === undefined ? -1 : entries.indexOf(removed.n);
    const at = next < 0 ? entries.length : next;
    if (!addKey(keys, at, hash)) return null;
    entries.splice(at, 0, removed);
  }
  const ordered: TableEntry[] = [];
  for (const i of traversalOrder(keys, table.asize, hashedOf(table))) {
    const entry = entries[i];
    if (entry?.value !== undefined) ordered.push(entry);
  }
  return ordered;
}

function addKey(keys: PlainKey[], at: number, key: unknown): boolean {
  if (typeof key !== 'number' && typeof key !== 'boolean') return false;
  if (at === keys.length) keys.push(key);
  else keys.splice(at, 0, key);
  return true;
}

/** The array part in ascending order, then the others as they came. */
function arrayFirst(table: LuaTable, strong: Entries, entries: readonly TableEntry[]): TableEntry[] {
  const size = Math.max(arraySizeFor(entries.map(({ key }) => key.value)), Math.min(table.asize, ORDERED));
  const ordered: TableEntry[] = [];
  for (let i = 1; i <= size; i++) {
    const entry = strong.get(i);
    if (entry !== undefined) ordered.push(entry);
  }
  for (const entry of entries) {
    const { value } = entry.key;
    if (!isArrayIndex(value) || value > size) ordered.push(entry);
  }
  return ordered;
}
