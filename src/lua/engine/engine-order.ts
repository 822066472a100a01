/**
 * Patches of fengari for tables: `pairs` and `next` visit entries in C Lua's order, and `#` finds C Lua's border in a table
 * with holes.
 *
 * fengari's table is a Map whose entries also form a list in order of insertion, so `{x=1, 10, 20}` began with x, and an
 * array filled from its end was visited from its end. Here a table notices when an integer key is added out of order.
 * The list is put into C Lua's order when a traversal begins after that, and only then; keys that were added in order
 * cost one comparison. Nothing is put in order while a traversal goes on: then no keys may be added.
 */
import type { Internals, LuaState, LuaTable, TableEntry } from 'fengari';
import { arraySizeFor, isArrayIndex, type PlainKey, traversalOrder } from './table-replay.ts';

type Lstring = Internals['lstring'];

/** The two low bits of LuaTable.order. */
const STATE = 3;
/** The list is as it should be. */
const IN_ORDER = 0;
// 1, set by add() in ltable.js: a key came out of order.
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
function firstEntry(work: Lstring['luaS_work'], L: LuaState, table: LuaTable): TableEntry | undefined {
  const { strong } = table;
  const state = table.order & STATE;
  if (strong === null || state === GIVEN_UP) return table.f;
  const { size } = strong;
  if (size > SMALL || state === BEGUN) {
    const one = size > ORDERED ? undefined : strong.get(1);
    if (one !== undefined) {
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
function putInOrder(work: Lstring['luaS_work'], L: LuaState, table: LuaTable): void {
  const { strong } = table;
  const begun = (table.order & STATE) === BEGUN;
  if (strong === null) return;
  work?.(L, strong.size * WORK_PER_ENTRY);
  const entries = inOrder(table, strong, begun);
  let last: TableEntry | undefined;
  table.f = entries[0];
  for (const entry of entries) {
    entry.p = last;
    entry.n = undefined;
    if (last !== undefined) last.n = entry;
    last = entry;
  }
  table.l = last;
  table.order = (hashedOf(table) << 2) | (Math.min(strong.size, MOST_COUNTED) << 16) | IN_ORDER;
  // The script may have removed the entry of key 1 when it was visited: what comes after it is now the first one.
  const removed = table.dead_strong?.get(1);
  if (removed !== undefined) removed.n = table.f;
}

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

/** Gives ltable.js what it calls, before it loads. */
export function installOrder(lstring: Lstring): void {
  const work: Lstring['luaS_work'] = (L, bytes) => lstring.luaS_work?.(L, bytes);
  lstring.luaH_first = (L, table) => firstEntry(work, L, table);
  lstring.luaH_order = (L, table) => putInOrder(work, L, table);
}

/** After the patches of engine.ts. */
export const orderPatches: readonly { file: string; from: string; to: string }[] = [
  {
    file: 'ltable.js',
    from: "const lstate  = require('./lstate.js');",
    to: "const lstate  = require('./lstate.js');\nconst { luaH_first, luaH_order } = require('./lstring.js');",
  },
  {
    // asize is how long C Lua's array part would be; what `order` holds is said above.
    file: 'ltable.js',
    from: '        this.f = void 0; /* first entry */',
    to: '        this.asize = this.order = 0;\n        this.f = void 0; /* first entry */',
  },
  {
    file: 'ltable.js',
    from: 'const add = function(',
    to: `const roomFor = (n) => n === 1 ? 1 : 2 ** (32 - Math.clz32(n - 1));

/* Whether the array part would come to hold integer key 'hash', which is beyond it and about to be added. */
const extend = function(t, hash) {
    let made = t.order >> 2 & 0x3fff;
    if (made > 0 && t.strong.size - t.asize < roomFor(made)) return false;
    let room = roomFor(hash);
    if ((t.strong.size + 1) * 2 > room) t.asize = room;
    return true;
};

const add = function(`,
  },
  {
    file: 'ltable.js',
    from: '    let prev = null;\n    let entry = {',
    to: `    let prev = t.l;
    if ((key.type & 15) < 4) { /* number or boolean */
        let inOrder = false;
        if (key.type === LUA_TNUMINT) {
            inOrder = prev === void 0 ? hash === 1 : prev.key.value === hash - 1 && prev.key.type === LUA_TNUMINT;
            if (hash > t.asize && (inOrder ? hash === t.asize + 1 : (t.order & 3) === 0) && !extend(t, hash))
                inOrder = false;
        }
        if (!inOrder) t.order = t.order & ~3 | 1;
    }
    let entry = {`,
  },
  { file: 'ltable.js', from: '        p: prev = t.l,', to: '        p: prev,' },
  {
    file: 'ltable.js',
    from: 'wholeOf(table); entry = table.f;',
    to: 'wholeOf(table); entry = (table.order & 3) === 0 ? table.f : luaH_first(L, table);',
  },
  {
    file: 'ltable.js',
    from: '        /* Look in main part of table */\n',
    to: '        if (hash === 1 && (table.order & 3) === 2) luaH_order(L, table);\n',
  },
  {
    // With holes any border will do for Lua, but programs have been written with the one that C Lua finds.
    file: 'ltable.js',
    from: '    let j = strongOf(t).size + 1; /* use known size of Map to kick start search */',
    to: '    let j = t.asize;\n    if (j === 0 || !luaH_getint(t, j).ttisnil()) i = j++;',
  },
  {
    file: 'lvm.js',
    from: '                L.stack[ra].sethvalue(ltable.luaH_new(L));',
    to: `                let h = ltable.luaH_new(L);
                if ((i.B | i.C) !== 0) {
                    h.asize = fb2int(i.B);
                    h.order = Math.min(fb2int(i.C), 0x3fff) << 2;
                }
                L.stack[ra].sethvalue(h);`,
  },
  {
    file: 'lvm.js',
    from: 'const luaV_finishOp = ',
    to: `/* a "floating point byte" of the parser's (luaO_fb2int) */
const fb2int = (x) => x < 8 ? x : ((x & 7) + 8) << ((x >> 3) - 1);

const luaV_finishOp = `,
  },
  {
    file: 'lvm.js',
    from: '                let last = ((c - 1) * LFIELDS_PER_FLUSH) + n;',
    to: `                let last = ((c - 1) * LFIELDS_PER_FLUSH) + n;
                if (last > h.asize) h.asize = last;`,
  },
  {
    file: 'lapi.js',
    from: 'let t = new lobject.TValue(LUA_TTABLE, ltable.luaH_new(L));',
    to: `let h = ltable.luaH_new(L);
    if (narray > 0) h.asize = narray;
    let t = new lobject.TValue(LUA_TTABLE, h);`,
  },
];
