/**
 * The utf8 library: fengari's, with work that grows with the string charged to the CPU budget.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, lauxlib, lua, lualib } from '../engine.ts';
import { hostOf } from '../host.ts';

const STEPS_PER_BYTE = 2;

function charged(original: LuaFunction): LuaFunction {
  return (L) => {
    hostOf(L).charge(L, lauxlib.luaL_checkstring(L, 1).length * STEPS_PER_BYTE);
    return original(L);
  };
}

function isLuaFunction(value: unknown): value is LuaFunction {
  return typeof value === 'function';
}

export function luaopen_utf8(L: LuaState): number {
  lualib.luaopen_utf8(L);
  for (const name of ['codepoint', 'len', 'offset']) {
    lua.lua_getfield(L, -1, ascii(name));
    const original = lua.lua_topointer(L, -1);
    lua.lua_pop(L, 1);
    if (!isLuaFunction(original)) throw new Error(`fengari has no utf8.${name}`);
    lua.lua_pushcfunction(L, charged(original));
    lua.lua_setfield(L, -2, ascii(name));
  }
  return 1;
}
