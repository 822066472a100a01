/** The names that exist in a Lua state: what `check` compares a script's own names with. */
import type { LuaState } from 'fengari';
import { latin1Of, lua } from '../engine/engine.ts';

/** Tables in tables that are looked into: `smtp.code.reject`. */
const DEPTH = 3;

/**
 * Names of global variables and, with dots, of the fields of global tables, in latin1. Metatables are not asked.
 *
 * `L` is a main thread in which nothing runs.
 */
export function definedNames(L: LuaState): ReadonlySet<string> {
  const names = new Set<string>();
  const top = lua.lua_gettop(L);
  lua.lua_pushglobaltable(L);
  collect(L, '', 1, names);
  lua.lua_settop(L, top);
  return names;
}

/** Of the table on top of the stack. */
function collect(L: LuaState, prefix: string, depth: number, names: Set<string>): void {
  lua.lua_checkstack(L, 4);
  lua.lua_pushnil(L);
  while (lua.lua_next(L, -2)) {
    const key = lua.lua_type(L, -2) === lua.LUA_TSTRING ? lua.lua_tostring(L, -2) : null;
    if (key !== null) {
      const name = prefix + latin1Of(key);
      names.add(name);
      if (depth < DEPTH && name !== '_G' && lua.lua_istable(L, -1)) collect(L, `${name}.`, depth + 1, names);
    }
    lua.lua_pop(L, 1);
  }
}
