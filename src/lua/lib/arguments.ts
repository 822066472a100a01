/**
 * Arguments and results of library functions where fengari's own helpers end: integers are 32 bits wide in fengari, and
 * file sizes, times and `%d` are not. A number beyond 32 bits comes and goes as a float with an integral value.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../engine/engine.ts';

/** 2^63: the bound of Lua's own 64-bit integers, which a float with an integral value may come near. */
const INTEGER_LIMIT = 2 ** 63;

/**
 * Argument `arg` as an integral number in [-2^63, 2^63), exact as far as a float is.
 * Raises Lua's error when the argument is no number or has a fraction.
 */
export function checkInteger(L: LuaState, arg: number): number {
  const small = lua.lua_tointegerx(L, arg);
  if (small !== false) return small;
  if (lua.lua_isnumber(L, arg)) {
    const wide = lua.lua_tonumber(L, arg);
    if (Number.isInteger(wide) && wide >= -INTEGER_LIMIT && wide < INTEGER_LIMIT) return wide;
  }
  return lauxlib.luaL_checkinteger(L, arg);
}

/** Argument `arg` as checkInteger gives it, or `absent` when it is nil or missing. */
export function optInteger(L: LuaState, arg: number, absent: number): number {
  return lua.lua_isnoneornil(L, arg) ? absent : checkInteger(L, arg);
}

/** Pushes an integral number: as an integer where fengari's 32 bits hold it, else as a float. */
export function pushInteger(L: LuaState, value: number): void {
  if ((value | 0) === value) lua.lua_pushinteger(L, value);
  else lua.lua_pushnumber(L, value);
}

/**
 * The bytes of string argument `arg` up to its first NUL: what C sees of a file name, a command or a format. Of a string
 * longer than any that makes sense, no more than `most` bytes.
 */
export function checkCString(L: LuaState, arg: number, most: number): Buffer {
  return cString(lauxlib.luaL_checkstring(L, arg).subarray(0, most));
}

/** PATH_MAX of Linux, which looks no further: "File name too long". */
export const LONGEST_PATH = 4096;

/** The name of a file in argument `arg`. */
export function checkFileName(L: LuaState, arg: number): Buffer {
  return checkCString(L, arg, LONGEST_PATH);
}

/** Whether `bytes` hold a NUL; Uint8Array's own search takes ten times as long. */
export function hasZero(bytes: Uint8Array): boolean {
  return Buffer.prototype.indexOf.call(bytes, 0) >= 0;
}

/** `bytes` up to the first NUL, without a copy. */
export function cString(bytes: Uint8Array): Buffer {
  const end = Buffer.prototype.indexOf.call(bytes, 0);
  return Buffer.from(bytes.buffer, bytes.byteOffset, end < 0 ? bytes.length : end);
}

/** Raises Lua's "bad argument" error for argument `arg`. `message` is ASCII. */
export function argumentError(L: LuaState, arg: number, message: string): never {
  return lauxlib.luaL_argerror(L, arg, ascii(message));
}

/** Raises a Lua error with the position of the running function in front. `message` is latin1 and may hold `%`. */
export function raise(L: LuaState, message: string): never {
  lauxlib.luaL_where(L, 1);
  lua.lua_pushstring(L, Buffer.from(message, 'latin1'));
  lua.lua_concat(L, 2);
  return lua.lua_error(L);
}

/** Pushes a new table that holds `functions` by name. */
export function pushLibrary(L: LuaState, functions: Record<string, LuaFunction>): void {
  lua.lua_createtable(L, 0, Object.keys(functions).length);
  lauxlib.luaL_setfuncs(L, functions, 0);
}

/** Sets field `name` of the table on top of the stack to `text`, which is latin1. */
export function setTextField(L: LuaState, name: string, text: string): void {
  lua.lua_pushstring(L, Buffer.from(text, 'latin1'));
  lua.lua_setfield(L, -2, ascii(name));
}
