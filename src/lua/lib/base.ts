/**
 * The functions of the base library that fengari lacks or has otherwise than C Lua.
 */
import { getHeapStatistics } from 'node:v8';
import type { LuaState } from 'fengari';
import { ascii, LONGEST_NUMERAL, latin1Of, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, pushInteger, raise } from './arguments.ts';
import { ByteBuilder } from './budget.ts';
import { writeConsole } from './console.ts';
import { type Call, runSteps, type Steps } from './steps.ts';
import { beginGet, GET, isPlainTable } from './table-access.ts';

const TAB = 9;
const NEWLINE = 10;

/** Calls a metamethod or `tostring` on one value, for one result. */
const CONVERT: Call = { args: 1, results: 1 };
const PAIRS: Call = { args: 1, results: 3 };

function tostring(L: LuaState): number {
  lauxlib.luaL_checkany(L, 1);
  if (lauxlib.luaL_getmetafield(L, 1, ascii('__tostring')) !== lua.LUA_TNIL) return runSteps(L, convert(L));
  lauxlib.luaL_tolstring(L, 1);
  return 1;
}

/** Calls the metamethod on top of the stack with argument 1. */
function* convert(L: LuaState): Steps {
  lua.lua_pushvalue(L, 1);
  yield CONVERT;
  if (!lua.lua_isstring(L, -1)) raise(L, "'__tostring' must return a string");
  return 1;
}

/** One line to the log: the arguments by `tostring`, with tabs between them. */
function print(L: LuaState): number {
  return runSteps(L, printLine(L));
}

/** Values printed between two pauses, and what each costs in steps of Host.charge(). */
const BATCH = 64;
const STEPS_PER_VALUE = 100;

function* printLine(L: LuaState): Steps {
  const count = lua.lua_gettop(L);
  const line = new ByteBuilder(L);
  lua.lua_getglobal(L, ascii('tostring'));
  for (let arg = 1; arg <= count; arg++) {
    lua.lua_pushvalue(L, -1);
    lua.lua_pushvalue(L, arg);
    yield CONVERT;
    const text = lua.lua_tostring(L, -1) ?? raise(L, "'tostring' must return a string to 'print'");
    if (arg > 1) line.addByte(TAB);
    line.addBytes(text);
    lua.lua_pop(L, 1);
    if (arg % BATCH !== 0) continue;
    hostOf(L).charge(L, BATCH * STEPS_PER_VALUE);
    yield 'pause';
  }
  line.addByte(NEWLINE);
  yield* writeConsole(L, line.bytes());
  return 0;
}

function next(L: LuaState): number {
  lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
  lua.lua_settop(L, 2);
  if (lua.lua_next(L, 1)) return 2;
  lua.lua_pushnil(L);
  return 1;
}

function pairs(L: LuaState): number {
  lauxlib.luaL_checkany(L, 1);
  if (lauxlib.luaL_getmetafield(L, 1, ascii('__pairs')) !== lua.LUA_TNIL) return runSteps(L, customPairs(L));
  lua.lua_pushcfunction(L, next);
  lua.lua_pushvalue(L, 1);
  lua.lua_pushnil(L);
  return 3;
}

function ipairs(L: LuaState): number {
  lauxlib.luaL_checkany(L, 1);
  lua.lua_pushcfunction(L, nextElement);
  lua.lua_pushvalue(L, 1);
  lua.lua_pushinteger(L, 0);
  return 3;
}

function nextElement(L: LuaState): number {
  const i = (lauxlib.luaL_checkinteger(L, 2) + 1) | 0;
  lua.lua_settop(L, 1);
  lua.lua_pushinteger(L, i);
  if (isPlainTable(L, 1)) return lua.lua_rawgeti(L, 1, i) === lua.LUA_TNIL ? 1 : 2;
  return runSteps(L, elementBehind(L, i));
}

/** Pushes element i by way of metamethods; returns the number of results. */
function* elementBehind(L: LuaState, i: number): Steps {
  lua.lua_pushinteger(L, i);
  if (beginGet(L, 1)) yield GET;
  return lua.lua_isnil(L, -1) ? 1 : 2;
}

function* customPairs(L: LuaState): Steps {
  lua.lua_pushvalue(L, 1);
  yield PAIRS;
  return 3;
}

const GC_OPTIONS = [
  'collect',
  'stop',
  'restart',
  'count',
  'step',
  'setpause',
  'setstepmul',
  'isrunning',
] as const;
const GC_NAMES = GC_OPTIONS.map((name) => ascii(name));
/** Lua's defaults for the pause and the step multiplier, in percent. */
const GC_SETTING = 200;

/** Registry field: the script has "stopped" the collector. */
const GC_STOPPED = ascii('_GC_stopped');

/** JavaScript's collector works by itself: the answers are what a program expects, "count" is the process's heap in KB. */
function collectgarbage(L: LuaState): number {
  const option = GC_OPTIONS[lauxlib.luaL_checkoption(L, 1, ascii('collect'), GC_NAMES)];
  lauxlib.luaL_optinteger(L, 2, 0);
  switch (option) {
    case 'count':
      lua.lua_pushnumber(L, getHeapStatistics().used_heap_size / 1024);
      return 1;
    case 'step':
      lua.lua_pushboolean(L, true);
      return 1;
    case 'isrunning':
      lua.lua_getfield(L, lua.LUA_REGISTRYINDEX, GC_STOPPED);
      lua.lua_pushboolean(L, !lua.lua_toboolean(L, -1));
      return 1;
    case 'stop':
    case 'restart':
      lua.lua_pushboolean(L, option === 'stop');
      lua.lua_setfield(L, lua.LUA_REGISTRYINDEX, GC_STOPPED);
      lua.lua_pushinteger(L, 0);
      return 1;
    case 'setpause':
    case 'setstepmul':
      lua.lua_pushinteger(L, GC_SETTING);
      return 1;
    default:
      lua.lua_pushinteger(L, 0);
      return 1;
  }
}

function tonumber(L: LuaState): number {
  if (lua.lua_isnoneornil(L, 2)) {
    lauxlib.luaL_checkany(L, 1);
    if (lua.lua_type(L, 1) === lua.LUA_TNUMBER) {
      lua.lua_settop(L, 1);
      return 1;
    }
    const text = lua.lua_tostring(L, 1);
    if (text !== null && lua.lua_stringtonumber(L, text) === text.length + 1) return 1;
    lua.lua_pushnil(L);
    return 1;
  }
  const base = lauxlib.luaL_checkinteger(L, 2);
  lauxlib.luaL_checktype(L, 1, lua.LUA_TSTRING);
  if (base < 2 || base > 36) argumentError(L, 2, 'base out of range');
  const text = lauxlib.luaL_checkstring(L, 1);
  const value = text.length > LONGEST_NUMERAL ? null : parseInteger(latin1Of(text), base);
  if (value === null) lua.lua_pushnil(L);
  else pushInteger(L, value);
  return 1;
}

/** Digits in `base` with spaces around and a sign, or null. */
function parseInteger(text: string, base: number): number | null {
  const parts = /^[ \f\n\r\t\v]*([+-]?)([0-9A-Za-z]+)[ \f\n\r\t\v]*$/.exec(text);
  if (parts?.[2] === undefined) return null;
  let value = 0;
  for (const letter of parts[2]) {
    const digit = Number.parseInt(letter, 36);
    if (digit >= base) return null;
    value = value * base + digit;
  }
  return parts[1] === '-' ? -value : value;
}

/** Puts these functions in the place of fengari's in the global table. */
export function installBase(L: LuaState): void {
  lua.lua_pushglobaltable(L);
  lauxlib.luaL_setfuncs(L, { collectgarbage, ipairs, next, pairs, print, tonumber, tostring }, 0);
  lua.lua_pop(L, 1);
}
