/**
 * The table library: fengari's algorithms with their work charged to the CPU budget, since a single call may move
 * millions of elements where no instruction is counted, and without argument checks that throw in JavaScript.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, latin1Of, lauxlib, lua, lualib } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, optInteger, pushInteger, raise } from './arguments.ts';
import { ByteBuilder } from './budget.ts';
import { table_sort } from './sort.ts';
import { type Request, runSteps, type Steps } from './steps.ts';
import {
  beginGet,
  beginLength,
  beginSet,
  checkTable,
  endLength,
  GET,
  isPlainTable,
  LENGTH,
  SET,
} from './table-access.ts';

const MAX_INTEGER = 0x7fffffff;
/** What moving one element costs, in steps of Host.charge. */
const STEPS_PER_ELEMENT = 20;
/** Elements moved between two charges, and bytes joined. */
const BATCH = 512;
const BATCH_BYTES = 65_536;

/** Elements from .. from + count - 1 of the table at `source`, to be copied to `to` and on in the one at `target`. */
interface Move {
  readonly source: number;
  readonly from: number;
  readonly target: number;
  readonly to: number;
  readonly count: number;
  /** In ascending order; overlapping ranges ask for one or the other. */
  readonly upwards: boolean;
}

function* move(L: LuaState, job: Move): Generator<Request, void, void> {
  const { source, from, target, to, count, upwards } = job;
  const plain = isPlainTable(L, source) && isPlainTable(L, target);
  for (let done = 0; done < count; done++) {
    const i = upwards ? done : count - 1 - done;
    if (plain) {
      lua.lua_rawgeti(L, source, from + i);
      lua.lua_rawseti(L, target, to + i);
    } else {
      yield* get(L, source, from + i);
      yield* set(L, target, to + i);
    }
    if (done % BATCH !== BATCH - 1) continue;
    hostOf(L).charge(L, BATCH * STEPS_PER_ELEMENT);
    yield 'pause';
  }
}

/** Pushes element i of the table at `table`, by way of its metamethods. */
function* get(L: LuaState, table: number, i: number): Generator<Request, void, void> {
  pushInteger(L, i);
  yield beginGet(L, table) ? GET : 'pause';
}

/** Sets element i to the value on top of the stack, which it takes, by way of metamethods. */
function* set(L: LuaState, table: number, i: number): Generator<Request, void, void> {
  pushInteger(L, i);
  lua.lua_insert(L, -2);
  yield beginSet(L, table) ? SET : 'pause';
}

function* lengthOf(L: LuaState, table: number): Generator<Request, number, void> {
  if (beginLength(L, table)) yield LENGTH;
  return endLength(L);
}

function table_insert(L: LuaState): number {
  checkTable(L, 1, ['__index', '__newindex', '__len']);
  if (lua.lua_gettop(L) !== 2 || !isPlainTable(L, 1)) return runSteps(L, insert(L, lua.lua_gettop(L)));
  lua.lua_rawseti(L, 1, lua.lua_rawlen(L, 1) + 1);
  return 0;
}

function* insert(L: LuaState, top: number): Steps {
  const end = (yield* lengthOf(L, 1)) + 1;
  if (top !== 2 && top !== 3) return raise(L, "wrong number of arguments to 'insert'");
  let position = end;
  if (top === 3) {
    position = lauxlib.luaL_checkinteger(L, 2);
    if (position < 1 || position > end) argumentError(L, 2, 'position out of bounds');
    yield* move(L, {
      source: 1,
      from: position,
      target: 1,
      to: position + 1,
      count: end - position,
      upwards: false,
    });
  }
  yield* set(L, 1, position);
  return 0;
}

function table_remove(L: LuaState): number {
  checkTable(L, 1, ['__index', '__newindex', '__len']);
  if (lua.lua_gettop(L) !== 1 || !isPlainTable(L, 1)) return runSteps(L, remove(L));
  const size = lua.lua_rawlen(L, 1);
  lua.lua_rawgeti(L, 1, size);
  lua.lua_pushnil(L);
  lua.lua_rawseti(L, 1, size);
  return 1;
}

function* remove(L: LuaState): Steps {
  const size = yield* lengthOf(L, 1);
  const position = lauxlib.luaL_optinteger(L, 2, size);
  if (position !== size && (position < 1 || position > size + 1)) {
    argumentError(L, 1, 'position out of bounds');
  }
  yield* get(L, 1, position);
  const count = Math.max(size - position, 0);
  yield* move(L, { source: 1, from: position + 1, target: 1, to: position, count, upwards: true });
  lua.lua_pushnil(L);
  yield* set(L, 1, Math.max(size, position));
  return 1;
}

function table_move(L: LuaState): number {
  const from = lauxlib.luaL_checkinteger(L, 2);
  const end = lauxlib.luaL_checkinteger(L, 3);
  const to = lauxlib.luaL_checkinteger(L, 4);
  const target = lua.lua_isnoneornil(L, 5) ? 1 : 5;
  checkTable(L, 1, ['__index']);
  checkTable(L, target, ['__newindex']);
  if (end >= from) {
    if (from <= 0 && end >= MAX_INTEGER + from) argumentError(L, 3, 'too many elements to move');
    if (to > MAX_INTEGER - (end - from)) argumentError(L, 4, 'destination wrap around');
  }
  const count = Math.max(end - from + 1, 0);
  const apart = target !== 1 && !lua.lua_compare(L, 1, target, lua.LUA_OPEQ);
  return runSteps(
    L,
    moveAll(L, { source: 1, from, target, to, count, upwards: to > end || to <= from || apart }),
  );
}

function* moveAll(L: LuaState, job: Move): Steps {
  yield* move(L, job);
  lua.lua_pushvalue(L, job.target);
  return 1;
}

function table_concat(L: LuaState): number {
  checkTable(L, 1, ['__index', '__len']);
  const plain = isPlainTable(L, 1);
  const size = plain ? lua.lua_rawlen(L, 1) : 0;
  const separator = lauxlib.luaL_optstring(L, 2, ascii(''));
  const first = optInteger(L, 3, 1);
  const last = optInteger(L, 4, size);
  const out = new ByteBuilder(L);
  if (!plain || last - first >= BATCH) return runSteps(L, concat(L, out, separator, plain));
  for (let i = first; i <= last; i++) {
    lua.lua_rawgeti(L, 1, i);
    addElement(L, out, i, i === last ? null : separator);
  }
  out.push();
  return 1;
}

function* concat(L: LuaState, out: ByteBuilder, separator: LuaString, plain: boolean): Steps {
  const size = yield* lengthOf(L, 1);
  const first = optInteger(L, 3, 1);
  const last = optInteger(L, 4, size);
  let paused = 0;
  for (let i = first; i <= last; i++) {
    if (plain) lua.lua_rawgeti(L, 1, i);
    else yield* get(L, 1, i);
    addElement(L, out, i, i === last ? null : separator);
    if (i % BATCH !== 0 && out.length - paused < BATCH_BYTES) continue;
    paused = out.length;
    hostOf(L).charge(L, BATCH * STEPS_PER_ELEMENT);
    yield 'pause';
  }
  out.push();
  return 1;
}

/** Takes element i off the top of the stack. */
function addElement(L: LuaState, out: ByteBuilder, i: number, separator: LuaString | null): void {
  const text = lua.lua_isstring(L, -1) ? lua.lua_tostring(L, -1) : null;
  if (text === null) {
    raise(L, `invalid value (${latin1Of(lauxlib.luaL_typename(L, -1))}) at index ${i} in table for 'concat'`);
  }
  out.addBytes(text);
  if (separator !== null) out.addBytes(separator);
  lua.lua_pop(L, 1);
}

function table_pack(L: LuaState): number {
  const count = lua.lua_gettop(L);
  lua.lua_createtable(L, count, 1);
  lua.lua_insert(L, 1);
  for (let i = 1; i <= count; i++) {
    // In this order: pairs visits entries as they came.
    lua.lua_pushvalue(L, i + 1);
    lua.lua_rawseti(L, 1, i);
  }
  lua.lua_pushinteger(L, count);
  lua.lua_setfield(L, 1, ascii('n'));
  lua.lua_settop(L, 1);
  return 1;
}

function table_unpack(L: LuaState): number {
  if (!isPlainTable(L, 1)) return runSteps(L, unpack(L));
  const first = optInteger(L, 2, 1);
  const last = lua.lua_isnoneornil(L, 3) ? lua.lua_rawlen(L, 1) : optInteger(L, 3, 0);
  const count = checkCount(L, first, last);
  for (let i = 0; i < count; i++) lua.lua_rawgeti(L, 1, first + i);
  return count;
}

/** By way of metamethods. */
function* unpack(L: LuaState): Steps {
  const first = optInteger(L, 2, 1);
  const last = lua.lua_isnoneornil(L, 3) ? yield* lengthOf(L, 1) : optInteger(L, 3, 0);
  const count = checkCount(L, first, last);
  for (let i = 0; i < count; i++) {
    yield* get(L, 1, first + i);
    if (i % BATCH !== BATCH - 1) continue;
    hostOf(L).charge(L, BATCH * STEPS_PER_ELEMENT);
    yield 'pause';
  }
  return count;
}

/** How many values are to be unpacked; makes room for them. */
function checkCount(L: LuaState, first: number, last: number): number {
  if (first > last) return 0;
  const count = last - first + 1;
  if (count >= MAX_INTEGER || !lua.lua_checkstack(L, count)) return raise(L, 'too many results to unpack');
  hostOf(L).charge(L, count);
  return count;
}

export function luaopen_table(L: LuaState): number {
  lualib.luaopen_table(L);
  const functions = {
    concat: table_concat,
    insert: table_insert,
    move: table_move,
    pack: table_pack,
    remove: table_remove,
    sort: table_sort,
    unpack: table_unpack,
  };
  lauxlib.luaL_setfuncs(L, functions, 0);
  return 1;
}
