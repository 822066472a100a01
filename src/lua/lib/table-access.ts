/**
 * What the table library works on: tables, and values whose metamethods make them like tables.
 *
 * A metamethod that is a function is not called here: it is laid on the stack for the caller, who calls it so that it can
 * be suspended.
 */
import type { LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { raise } from './arguments.ts';
import type { Call } from './steps.ts';

/** Metamethods that make another value fit for a function that reads, writes or measures a table. */
export type Need = '__index' | '__newindex' | '__len';

const INDEX = ascii('__index');
const NEWINDEX = ascii('__newindex');
const LEN = ascii('__len');
const LT = ascii('__lt');

/** The calls that beginGet, beginSet, beginLength and beginLess prepare. */
export const GET: Call = { args: 2, results: 1 };
export const SET: Call = { args: 3, results: 0 };
export const LENGTH: Call = { args: 1, results: 1 };
export const LESS: Call = { args: 2, results: 1 };

/** MAXTAGLOOP of lvm.c: the longest chain of tables that stand in for each other. */
const MAX_CHAIN = 2000;
/** For each table of such a chain, in steps of Host.charge(). */
const STEPS_PER_LINK = 20;

/** Raises a type error when argument `arg` is neither a table nor has all metamethods in `needs`. */
export function checkTable(L: LuaState, arg: number, needs: readonly Need[]): void {
  if (lua.lua_type(L, arg) === lua.LUA_TTABLE) return;
  const top = lua.lua_gettop(L);
  if (lua.lua_getmetatable(L, arg)) {
    const complete = needs.every((name) => {
      lua.lua_pushstring(L, ascii(name));
      return lua.lua_rawget(L, top + 1) !== lua.LUA_TNIL;
    });
    lua.lua_settop(L, top);
    if (complete) return;
  }
  lauxlib.luaL_checktype(L, arg, lua.LUA_TTABLE);
}

/** Whether the value at `index` is a table without metamethods: lua_rawgeti, lua_rawseti and lua_rawlen will do for it. */
export function isPlainTable(L: LuaState, index: number): boolean {
  if (!lua.lua_istable(L, index)) return false;
  if (!lua.lua_getmetatable(L, index)) return true;
  lua.lua_pop(L, 1);
  return false;
}

/**
 * Replaces the key on top of the stack by the field of the value at `object`.
 *
 * @param object an index from the bottom of the stack
 * @returns true when GET has to be called for it
 */
export function beginGet(L: LuaState, object: number): boolean {
  const key = lua.lua_gettop(L);
  lauxlib.luaL_checkstack(L, 4, ascii('too many nested functions'));
  if (hasField(L, object, key)) return false;
  let holder = object;
  for (let links = 0; links < MAX_CHAIN; links++) {
    hostOf(L).charge(L, STEPS_PER_LINK);
    if (lauxlib.luaL_getmetafield(L, holder, INDEX) === lua.LUA_TNIL) {
      if (!lua.lua_istable(L, holder)) break;
      lua.lua_settop(L, key - 1);
      lua.lua_pushnil(L);
      return false;
    }
    if (lua.lua_isfunction(L, -1)) {
      lua.lua_pushvalue(L, holder);
      lua.lua_pushvalue(L, key);
      if (holder !== object) lua.lua_remove(L, holder);
      lua.lua_remove(L, key);
      return true;
    }
    if (holder !== object) lua.lua_remove(L, holder);
    holder = key + 1;
    if (hasField(L, holder, key)) return false;
  }
  lua.lua_settop(L, key);
  lua.lua_gettable(L, object); // Raises the error.
  return false;
}

/** Whether the table at `holder` has a field of its own by the key at `key`, which is then replaced by it, on top. */
function hasField(L: LuaState, holder: number, key: number): boolean {
  if (!lua.lua_istable(L, holder)) return false;
  lua.lua_pushvalue(L, key);
  if (lua.lua_rawget(L, holder) === lua.LUA_TNIL) {
    lua.lua_pop(L, 1);
    return false;
  }
  lua.lua_replace(L, key);
  lua.lua_settop(L, key);
  return true;
}

/**
 * Takes key and value off the top of the stack and sets the field of the value at `object`.
 *
 * @param object an index from the bottom of the stack
 * @returns true when SET has to be called for it
 */
export function beginSet(L: LuaState, object: number): boolean {
  const value = lua.lua_gettop(L);
  const key = value - 1;
  lauxlib.luaL_checkstack(L, 5, ascii('too many nested functions'));
  let holder = object;
  for (let links = 0; links < MAX_CHAIN; links++) {
    const isTable = lua.lua_istable(L, holder);
    if (lauxlib.luaL_getmetafield(L, holder, NEWINDEX) === lua.LUA_TNIL) {
      if (!isTable) break;
      setRaw(L, holder, key);
      return false;
    }
    if (isTable && ownsField(L, holder, key)) {
      lua.lua_pop(L, 1);
      setRaw(L, holder, key);
      return false;
    }
    if (lua.lua_isfunction(L, -1)) {
      for (const argument of [holder, key, value]) lua.lua_pushvalue(L, argument);
      const unwanted = holder === object ? 2 : 3; // Key, value and a table in between lie below the function.
      for (let i = 0; i < unwanted; i++) lua.lua_remove(L, key);
      return true;
    }
    if (holder !== object) lua.lua_remove(L, holder);
    holder = value + 1;
    hostOf(L).charge(L, STEPS_PER_LINK);
  }
  lua.lua_settop(L, value);
  lua.lua_settable(L, object); // Raises the error.
  return false;
}

function ownsField(L: LuaState, holder: number, key: number): boolean {
  lua.lua_pushvalue(L, key);
  const found = lua.lua_rawget(L, holder) !== lua.LUA_TNIL;
  lua.lua_pop(L, 1);
  return found;
}

function setRaw(L: LuaState, holder: number, key: number): void {
  lua.lua_pushvalue(L, key);
  lua.lua_pushvalue(L, key + 1);
  lua.lua_rawset(L, holder);
  lua.lua_settop(L, key - 1);
}

/** Pushes the length of the value at `index`; returns true when LENGTH has to be called for it. */
export function beginLength(L: LuaState, index: number): boolean {
  if (lauxlib.luaL_getmetafield(L, index, LEN) === lua.LUA_TNIL) {
    lua.lua_pushinteger(L, lauxlib.luaL_len(L, index));
    return false;
  }
  lua.lua_pushvalue(L, index);
  return true;
}

/** Takes what beginLength has left off the stack. */
export function endLength(L: LuaState): number {
  const length = lua.lua_tointegerx(L, -1);
  if (length === false) return raise(L, 'object length is not an integer');
  lua.lua_pop(L, 1);
  return length;
}

/** Pushes whether the value at `a` is less than the one at `b`, or returns true: LESS has to be called for it. */
export function beginLess(L: LuaState, a: number, b: number): boolean {
  const left = lua.lua_absindex(L, a);
  const right = lua.lua_absindex(L, b);
  const type = lua.lua_type(L, left);
  const primitive = type === lua.lua_type(L, right) && (type === lua.LUA_TNUMBER || type === lua.LUA_TSTRING);
  if (
    primitive ||
    (lauxlib.luaL_getmetafield(L, left, LT) === lua.LUA_TNIL &&
      lauxlib.luaL_getmetafield(L, right, LT) === lua.LUA_TNIL)
  ) {
    lua.lua_pushboolean(L, Boolean(lua.lua_compare(L, left, right, lua.LUA_OPLT)));
    return false;
  }
  lua.lua_pushvalue(L, left);
  lua.lua_pushvalue(L, right);
  return true;
}
