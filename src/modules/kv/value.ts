/** Values of Lua that the store keeps, from and to Lua. */
import type { LuaState } from 'fengari';
import { lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushBytes, pushNumber, readBytes } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import {
  type Fields,
  Float,
  MAX_FIELDS,
  MAX_VALUE_BYTES,
  type Scalar,
  type Value,
} from '../../store/value.ts';

const TOO_LARGE = `at most ${MAX_VALUE_BYTES} bytes expected`;
const EXPECTED = 'a string, a number, a boolean, or a table of these expected';

/** The value in argument `arg`. Metamethods are not called. */
export function checkValue(L: LuaState, arg: number): Value {
  lauxlib.luaL_checkany(L, arg);
  if (lua.lua_type(L, arg) === lua.LUA_TTABLE) return checkFields(L, arg);
  const value = scalarAt(L, arg);
  if (value === undefined) return argumentError(L, arg, EXPECTED);
  if (sizeOf(value) > MAX_VALUE_BYTES) return argumentError(L, arg, TOO_LARGE);
  return value;
}

function checkFields(L: LuaState, arg: number): Fields {
  const fields: [Buffer | number, Scalar][] = [];
  let bytes = 0;
  lua.lua_checkstack(L, 3);
  lua.lua_pushnil(L);
  while (lua.lua_next(L, arg) !== 0) {
    const key = scalarAt(L, -2);
    const value = scalarAt(L, -1);
    if (typeof key !== 'number' && !Buffer.isBuffer(key)) {
      return argumentError(L, arg, 'strings and integers as keys of the table expected');
    }
    if (value === undefined) return argumentError(L, arg, EXPECTED);
    bytes += sizeOf(key) + sizeOf(value);
    if (fields.length === MAX_FIELDS) return argumentError(L, arg, `at most ${MAX_FIELDS} fields expected`);
    if (bytes > MAX_VALUE_BYTES) return argumentError(L, arg, TOO_LARGE);
    fields.push([key, value]);
    lua.lua_pop(L, 1);
  }
  return fields;
}

const sizeOf = (value: Scalar) => (Buffer.isBuffer(value) ? value.length : 8);

/** Undefined for what is none. One that is too long is not copied. */
function scalarAt(L: LuaState, index: number): Scalar | undefined {
  switch (lua.lua_type(L, index)) {
    case lua.LUA_TBOOLEAN:
      return lua.lua_toboolean(L, index);
    case lua.LUA_TNUMBER: {
      const number = lua.lua_tonumber(L, index);
      return lua.lua_isinteger(L, index) ? number : new Float(number);
    }
    case lua.LUA_TSTRING: {
      const size = lua.lua_rawlen(L, index);
      hostOf(L).charge(L, Math.min(size, MAX_VALUE_BYTES));
      return size > MAX_VALUE_BYTES ? Buffer.alloc(MAX_VALUE_BYTES + 1) : readBytes(L, index);
    }
    default:
      return undefined;
  }
}

/** Pushes a value; nil for undefined. */
export function pushValue(L: LuaState, value: Value | undefined): number {
  lua.lua_checkstack(L, 4);
  if (value === undefined) lua.lua_pushnil(L);
  else if (isScalar(value)) pushScalar(L, value);
  else {
    lua.lua_createtable(L, 0, value.length);
    for (const [key, field] of value) {
      pushScalar(L, key);
      pushScalar(L, field);
      lua.lua_rawset(L, -3);
    }
  }
  return 1;
}

function isScalar(value: Value): value is Scalar {
  return !Array.isArray(value);
}

function pushScalar(L: LuaState, value: Scalar): void {
  if (Buffer.isBuffer(value)) pushBytes(L, value);
  else if (typeof value === 'boolean') lua.lua_pushboolean(L, value);
  else if (typeof value === 'number') pushNumber(L, value);
  else lua.lua_pushnumber(L, value.value);
}
