/**
 * Lua values from and to JavaScript, byte-exact: text is latin1, one character per byte.
 */
import type { LuaState } from 'fengari';
import { bytesOf, internals, latin1Of, lua } from './engine.ts';

const { TValue } = internals.lobject;
const { LUA_TLNGSTR } = internals.tags;

/**
 * Pushes bytes as a string without copying them: they are the string's from now on and must not be written to again.
 * A slice of Node's Buffer pool or of a larger Buffer would keep all of that alive: copy those.
 */
export function pushOwnedBytes(L: LuaState, bytes: Uint8Array): void {
  lua.lua_checkstack(L, 1);
  // fengari calls methods that Buffer has with other meanings (slice), so a Buffer becomes a plain array.
  const plain = Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
  const string = internals.lstring.luaS_bless(L, plain); // May raise a memory error: the stack must be in order then.
  L.stack[L.top++] = new TValue(LUA_TLNGSTR, string);
}

/** Pushes a copy of the bytes as a string. */
export function pushBytes(L: LuaState, bytes: Uint8Array): void {
  pushOwnedBytes(L, new Uint8Array(bytes));
}

/** Pushes latin1 text as a string of as many bytes. */
export function pushLatin1(L: LuaState, text: string): void {
  pushOwnedBytes(L, bytesOf(text));
}

/** Pushes latin1 text, or nil for undefined. */
export function pushOptional(L: LuaState, text: string | undefined): void {
  lua.lua_checkstack(L, 1);
  if (text === undefined) lua.lua_pushnil(L);
  else pushLatin1(L, text);
}

/** Pushes a number: as an integer where Lua's 32 bits hold it, else as a float (sizes over 2 GiB). */
export function pushNumber(L: LuaState, value: number): void {
  lua.lua_checkstack(L, 1);
  if ((value | 0) === value && !Object.is(value, -0)) lua.lua_pushinteger(L, value);
  else lua.lua_pushnumber(L, value);
}

/** Pushes a table with the texts at 1, 2, 3, ... */
export function pushArray(L: LuaState, texts: readonly string[]): void {
  lua.lua_checkstack(L, 2);
  lua.lua_createtable(L, texts.length, 0);
  for (let i = 0; i < texts.length; i++) {
    pushLatin1(L, texts[i] ?? '');
    lua.lua_rawseti(L, -2, i + 1);
  }
}

/** The text of a string or number, as Lua writes the number; undefined for any other value. */
export function readLatin1(L: LuaState, index: number): string | undefined {
  const type = lua.lua_type(L, index);
  if (type !== lua.LUA_TSTRING && type !== lua.LUA_TNUMBER) return undefined;
  const bytes = lua.lua_tostring(L, index);
  return bytes === null ? undefined : latin1Of(bytes);
}

/** The value of a number or of a string that is a numeral; undefined for any other value. */
export function readNumber(L: LuaState, index: number): number | undefined {
  return lua.lua_isnumber(L, index) ? lua.lua_tonumber(L, index) : undefined;
}

/** A copy of a string's bytes; undefined when the value is no string. */
export function readBytes(L: LuaState, index: number): Buffer | undefined {
  if (lua.lua_type(L, index) !== lua.LUA_TSTRING) return undefined;
  const bytes = lua.lua_tostring(L, index);
  return bytes === null ? undefined : Buffer.from(bytes);
}

/** The strings and numbers at 1, 2, 3, ... of a table, up to the first nil; undefined when one is neither. */
export function readArray(L: LuaState, index: number): string[] | undefined {
  if (!lua.lua_istable(L, index)) return undefined;
  const table = lua.lua_absindex(L, index);
  lua.lua_checkstack(L, 1);
  const texts: string[] = [];
  for (let i = 1; ; i++) {
    const type = lua.lua_rawgeti(L, table, i);
    const text = readLatin1(L, -1);
    lua.lua_pop(L, 1);
    if (type === lua.LUA_TNIL) return texts;
    if (text === undefined) return undefined;
    texts.push(text);
  }
}
