/** Plain data as Lua values and back: arrays become sequences, objects tables. */
import type { LuaState } from 'fengari';
import { bytesOf, latin1Of, lua } from './engine.ts';
import { pushLatin1, pushNumber, readLatin1 } from './values.ts';

/** Text is latin1; undefined is nil, and a field that is undefined is not there. */
export type Plain =
  | undefined
  | boolean
  | number
  | string
  | readonly Plain[]
  | { readonly [key: string]: Plain };

/** Pushes the value. Keys of objects are latin1, as texts are. */
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
    lua.lua_setfield(L, -2, bytesOf(key));
  }
}

/** A value that is no plain data, or too deep. */
export class NotPlain extends Error {
  override readonly name = 'NotPlain';
}

const DEEPEST = 32;

/**
 * The value at an index. A table whose first element is there, or without any key that is a text, is an array.
 * Metamethods are not called.
 *
 * @throws NotPlain for functions, userdata and coroutines, and for tables in tables without end
 */
export function readPlain(L: LuaState, index: number, depth = 0): Plain {
  switch (lua.lua_type(L, index)) {
    case lua.LUA_TNIL:
    case lua.LUA_TNONE:
      return undefined;
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, index);
    case lua.LUA_TNUMBER:
      return lua.lua_tonumber(L, index);
    case lua.LUA_TSTRING:
      return readLatin1(L, index);
    case lua.LUA_TTABLE:
      return readTable(L, lua.lua_absindex(L, index), depth);
    default:
      throw new NotPlain(`a ${latin1Of(lua.lua_typename(L, lua.lua_type(L, index)))}`);
  }
}

function readTable(L: LuaState, table: number, depth: number): Plain {
  if (depth > DEEPEST) throw new NotPlain('tables in tables');
  lua.lua_checkstack(L, 3);
  const items: Plain[] = [];
  for (let i = 1; lua.lua_rawgeti(L, table, i) !== lua.LUA_TNIL; i++) {
    items.push(readPlain(L, -1, depth + 1));
    lua.lua_pop(L, 1);
  }
  lua.lua_pop(L, 1);
  const keys = items.length > 0 ? [] : keysOf(L, table);
  if (keys.length === 0) return items;
  // A key may be called __proto__.
  const fields: Record<string, Plain> = Object.create(null);
  for (const key of keys) {
    pushLatin1(L, key);
    lua.lua_rawget(L, table);
    fields[key] = readPlain(L, -1, depth + 1);
    lua.lua_pop(L, 1);
  }
  return fields;
}

/** The keys of a table that are strings, in latin1. */
export function keysOf(L: LuaState, table: number): string[] {
  const keys: string[] = [];
  lua.lua_checkstack(L, 2);
  lua.lua_pushnil(L);
  while (lua.lua_next(L, table) !== 0) {
    lua.lua_pop(L, 1);
    const key = lua.lua_type(L, -1) === lua.LUA_TSTRING ? readLatin1(L, -1) : undefined;
    if (key !== undefined) keys.push(key);
  }
  return keys;
}
