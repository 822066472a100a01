/** Plain data as Lua values: arrays become sequences, objects tables. */
import type { LuaState } from 'fengari';
import { ascii, lua } from '../lua/engine.ts';
import { pushLatin1, pushNumber } from '../lua/values.ts';

/** Text is latin1; undefined is nil, and a field that is undefined is not there. */
export type Plain =
  | undefined
  | boolean
  | number
  | string
  | readonly Plain[]
  | { readonly [key: string]: Plain };

/** Pushes the value. Keys of objects are ASCII. */
export function pushPlain(L: LuaState, value: Plain): void {
  lua.lua_checkstack(L, 3);
  switch (typeof value) {
    case 'undefined':
      lua.lua_pushnil(L);
      return;
    case 'boolean':
      lua.lua_pushboolean(L, value);
      return;
    case 'number':
      pushNumber(L, value);
      return;
    case 'string':
      pushLatin1(L, value);
      return;
    default:
      if (isArray(value)) pushSequence(L, value);
      else pushTable(L, value);
  }
}

/** Array.isArray does not know readonly arrays. */
function isArray(value: readonly Plain[] | { readonly [key: string]: Plain }): value is readonly Plain[] {
  return Array.isArray(value);
}

function pushSequence(L: LuaState, values: readonly Plain[]): void {
  lua.lua_createtable(L, values.length, 0);
  values.forEach((value, i) => {
    pushPlain(L, value);
    lua.lua_rawseti(L, -2, i + 1);
  });
}

function pushTable(L: LuaState, fields: { readonly [key: string]: Plain }): void {
  lua.lua_newtable(L);
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    pushPlain(L, value);
    lua.lua_setfield(L, -2, ascii(key));
  }
}
