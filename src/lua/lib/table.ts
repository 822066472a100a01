/**
 * The table library: fengari's algorithms with their work charged to the CPU budget, since a single call may move
 * millions of elements where no instruction is counted, and without argument checks that throw in JavaScript.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, latin1Of, lauxlib, lua, lualib } from '../engine.ts';
import { hostOf } from '../host.ts';
import { argumentError, optInteger, pushInteger, raise } from './arguments.ts';
import { ByteBuilder } from './budget.ts';
import { table_sort } from './sort.ts';
import { runSteps, type Steps } from './steps.ts';
import { checkTable, lengthOf } from './table-access.ts';

const MAX_INTEGER = 0x7fffffff;
/** What moving one element costs, in steps of Host.charge. */
const STEPS_PER_ELEMENT = 20;
/** Elements moved between two charges. */
const BATCH = 512;

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

/** Copies; then `finish` gives the number of results. Long moves give way to other sessions. */
function move(L: LuaState, job: Move, finish: () => number): number {
  if (job.count > BATCH) return runSteps(L, moveLong(L, job, finish));
  moveSome(L, job, 0, job.count);
  return finish();
}

function* moveLong(L: LuaState, job: Move, finish: () => number): Steps {
  for (let done = 0; done < job.count; done += BATCH) {
    hostOf(L).charge(L, BATCH * STEPS_PER_ELEMENT);
    yield 'pause';
    moveSome(L, job, done, Math.min(job.count, done + BATCH));
  }
  return finish();
}

function moveSome(L: LuaState, job: Move, start: number, end: number): void {
  const { source, from, target, to, count, upwards } = job;
  for (let done = start; done < end; done++) {
    const i = upwards ? done : count - 1 - done;
    lua.lua_geti(L, source, from + i);
    lua.lua_seti(L, target, to + i);
  }
}

function table_insert(L: LuaState): number {
  const end = lengthOf(L, 1, ['__index', '__newindex']) + 1;
  switch (lua.lua_gettop(L)) {
    case 2:
      lua.lua_seti(L, 1, end);
      return 0;
    case 3: {
      const position = lauxlib.luaL_checkinteger(L, 2);
      if (position < 1 || position > end) argumentError(L, 2, 'position out of bounds');
      const count = end - position;
      return move(
        L,
        { source: 1, from: position, target: 1, to: position + 1, count, upwards: false },
        () => {
          lua.lua_seti(L, 1, position);
          return 0;
        },
      );
    }
    default:
      return raise(L, "wrong number of arguments to 'insert'");
  }
}

function table_remove(L: LuaState): number {
  const size = lengthOf(L, 1, ['__index', '__newindex']);
  const position = lauxlib.luaL_optinteger(L, 2, size);
  if (position !== size && (position < 1 || position > size + 1)) {
    argumentError(L, 1, 'position out of bounds');
  }
  lua.lua_geti(L, 1, position);
  const count = Math.max(size - position, 0);
  return move(L, { source: 1, from: position + 1, target: 1, to: position, count, upwards: true }, () => {
    lua.lua_pushnil(L);
    lua.lua_seti(L, 1, Math.max(size, position));
    return 1;
  });
}

function table_move(L: LuaState): number {
  const from = lauxlib.luaL_checkinteger(L, 2);
  const end = lauxlib.luaL_checkinteger(L, 3);
  const to = lauxlib.luaL_checkinteger(L, 4);
  const target = lua.lua_isnoneornil(L, 5) ? 1 : 5;
  checkTable(L, 1, ['__index']);
  checkTable(L, target, ['__newindex']);
  const finish = (): number => {
    lua.lua_pushvalue(L, target);
    return 1;
  };
  if (end < from) return finish();
  if (from <= 0 && end >= MAX_INTEGER + from) argumentError(L, 3, 'too many elements to move');
  const count = end - from + 1;
  if (to > MAX_INTEGER - count + 1) argumentError(L, 4, 'destination wrap around');
  const apart = target !== 1 && !lua.lua_compare(L, 1, target, lua.LUA_OPEQ);
  return move(L, { source: 1, from, target, to, count, upwards: to > end || to <= from || apart }, finish);
}

function table_concat(L: LuaState): number {
  const size = lengthOf(L, 1, ['__index']);
  const separator = lauxlib.luaL_optstring(L, 2, ascii(''));
  const first = optInteger(L, 3, 1);
  const last = optInteger(L, 4, size);
  const out = new ByteBuilder(L);
  if (last - first < BATCH) {
    for (let i = first; i <= last; i++) addElement(L, out, i, i === last ? null : separator);
    out.push();
    return 1;
  }
  return runSteps(L, concatLong(L, out, separator, first, last));
}

function* concatLong(
  L: LuaState,
  out: ByteBuilder,
  separator: LuaString,
  first: number,
  last: number,
): Steps {
  for (let i = first; i <= last; i++) {
    addElement(L, out, i, i === last ? null : separator);
    if (i % BATCH !== 0) continue;
    hostOf(L).charge(L, BATCH * STEPS_PER_ELEMENT);
    yield 'pause';
  }
  out.push();
  return 1;
}

function addElement(L: LuaState, out: ByteBuilder, i: number, separator: LuaString | null): void {
  pushInteger(L, i);
  lua.lua_gettable(L, 1);
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
  const first = optInteger(L, 2, 1);
  const last = lua.lua_isnoneornil(L, 3) ? lauxlib.luaL_len(L, 1) : optInteger(L, 3, 0);
  if (first > last) return 0;
  const count = last - first + 1;
  if (count >= MAX_INTEGER || !lua.lua_checkstack(L, count)) return raise(L, 'too many results to unpack');
  hostOf(L).charge(L, count);
  for (let i = 0; i < count; i++) {
    pushInteger(L, first + i);
    lua.lua_gettable(L, 1);
  }
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
