/**
 * What the table library works on: tables, and values whose metamethods make them like tables.
 */
import type { LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../engine.ts';

/** Metamethods that make another value fit for a function that reads, writes or measures a table. */
export type Need = '__index' | '__newindex' | '__len';

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

/** The length of argument `arg` by its `__len` or `#`. */
export function lengthOf(L: LuaState, arg: number, needs: readonly Need[]): number {
  checkTable(L, arg, [...needs, '__len']);
  return lauxlib.luaL_len(L, arg);
}
