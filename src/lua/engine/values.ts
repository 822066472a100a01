/**
 * Lua values from and to JavaScript, byte-exact: text is latin1, one character per byte.
 */
import type { LuaState, LuaTable, TValue } from 'fengari';
import { ascii, bytesOf, internals, latin1Of, lua } from './engine.ts';

const { TValue: Value } = internals.lobject;
const { Table, luaH_new, luaH_get, luaH_getn, luaH_setfrom, luaH_setint } = internals.ltable;
const { LUA_TLNGSTR, LUA_TNUMFLT, LUA_TNUMINT } = internals.tags;

/**
 * Pushes bytes as a string without copying them: they are the string's from now on and must not be written to again.
 * A slice of Node's Buffer pool or of a larger Buffer would keep all of that alive: copy those.
 */
export function pushOwnedBytes(L: LuaState, bytes: Uint8Array): void {
  lua.lua_checkstack(L, 1);
  const value = bytesValue(L, bytes); // May raise a memory error: the stack must be in order then.
  L.stack[L.top++] = value;
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
  pushValue(L, numberValue(value));
}

/** Pushes a table with the texts at 1, 2, 3, ... */
export function pushArray(L: LuaState, texts: readonly string[]): void {
  pushValue(L, tableValue(arrayOf(L, texts)));
}

const keys = new Map<string, TValue>();

/**
 * A key of tables: one of our own names, in ASCII. It is made once for all states, so that its hash is worked out once;
 * that of a string made anew would be worked out each time.
 */
export function fieldKey(name: string): TValue {
  let key = keys.get(name);
  if (key === undefined) {
    const string = new internals.lstring.TString(null, ascii(name));
    internals.lstring.luaS_hashlongstr(string);
    key = new Value(LUA_TLNGSTR, string);
    keys.set(name, key);
  }
  return key;
}

export const NIL: TValue = new Value(lua.LUA_TNIL, null);

/** A string of latin1 text. */
export function textValue(L: LuaState, text: string): TValue {
  return bytesValue(L, bytesOf(text));
}

/** A string of the bytes themselves, for which holds what pushOwnedBytes says. */
export function bytesValue(L: LuaState, bytes: Uint8Array): TValue {
  // fengari calls methods that Buffer has with other meanings (slice), so a Buffer becomes a plain array.
  const plain = Buffer.isBuffer(bytes) ? new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length) : bytes;
  return new Value(LUA_TLNGSTR, internals.lstring.luaS_bless(L, plain));
}

/** A number: an integer where Lua's 32 bits hold it, else a float. */
export function numberValue(value: number): TValue {
  const isInteger = (value | 0) === value && !Object.is(value, -0);
  return new Value(isInteger ? LUA_TNUMINT : LUA_TNUMFLT, value);
}

export function booleanValue(value: boolean): TValue {
  return new Value(lua.LUA_TBOOLEAN, value);
}

export function tableValue(table: LuaTable): TValue {
  return new Value(lua.LUA_TTABLE, table);
}

export function newTable(L: LuaState): LuaTable {
  return luaH_new(L);
}

/** A table that `fill` is given when a script looks into it for the first time. */
export function lateTable(L: LuaState, fill: (table: LuaTable) => void): LuaTable {
  return new Table(L, function begin(this: LuaTable) {
    this.fill = undefined;
    fill(this);
  });
}

/** A table with the texts at 1, 2, 3, ... */
export function arrayOf(L: LuaState, texts: readonly string[]): LuaTable {
  const table = luaH_new(L);
  for (let i = 0; i < texts.length; i++) luaH_setint(table, i + 1, textValue(L, texts[i] ?? ''));
  return table;
}

/** The value of a field, not to be written to; metamethods are not called. */
export function fieldOf(L: LuaState, table: LuaTable, name: string): TValue {
  return luaH_get(L, table, fieldKey(name));
}

/** The value at any key, not to be written to; metamethods are not called. */
export function valueAt(L: LuaState, table: LuaTable, key: TValue): TValue {
  return luaH_get(L, table, key);
}

/** Sets a field to a copy of the value, or removes it with nil; metamethods are not called. */
export function setField(L: LuaState, table: LuaTable, name: string, value: TValue): void {
  luaH_setfrom(L, table, fieldKey(name), value);
}

/** Like setField, with any key but nil. */
export function setValue(L: LuaState, table: LuaTable, key: TValue, value: TValue): void {
  luaH_setfrom(L, table, key, value);
}

/** Sets the field at `index` to a copy of the value. */
export function setIndex(table: LuaTable, index: number, value: TValue): void {
  luaH_setint(table, index, value);
}

/** Sets the field after the last one of an array to a copy of the value. */
export function append(table: LuaTable, value: TValue): void {
  luaH_setint(table, luaH_getn(table) + 1, value);
}

/** The table that the value is, if it is one. */
export function tableOf(value: TValue): LuaTable | undefined {
  return value.type === lua.LUA_TTABLE ? (value.value as LuaTable) : undefined;
}

export function isFunction(value: TValue): boolean {
  return (value.type & 0x0f) === lua.LUA_TFUNCTION;
}

/** Pushes a copy of the value. */
export function pushValue(L: LuaState, { type, value }: TValue): void {
  lua.lua_checkstack(L, 1);
  L.stack[L.top++] = new Value(type, value);
}

/** The table of global variables. */
export function globalsOf(L: LuaState): LuaTable {
  return internals.ltable.luaH_getint(L.l_G.l_registry.value, lua.LUA_RIDX_GLOBALS).value as LuaTable;
}

/** The text of a string or number, as Lua writes the number, up to `most` bytes; undefined for any other value. */
export function readLatin1(L: LuaState, index: number, most = Number.POSITIVE_INFINITY): string | undefined {
  const type = lua.lua_type(L, index);
  if (type !== lua.LUA_TSTRING && type !== lua.LUA_TNUMBER) return undefined;
  const bytes = lua.lua_tostring(L, index);
  return bytes === null ? undefined : latin1Of(bytes.length > most ? bytes.subarray(0, most) : bytes);
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

/**
 * The strings and numbers at 1, 2, 3, ... of a table, up to the first nil; undefined when one is neither, or longer than
 * `longest` bytes, or there are more than `most`.
 */
export function readArray(
  L: LuaState,
  index: number,
  most = Number.POSITIVE_INFINITY,
  longest = Number.POSITIVE_INFINITY,
): string[] | undefined {
  if (!lua.lua_istable(L, index)) return undefined;
  const table = lua.lua_absindex(L, index);
  lua.lua_checkstack(L, 1);
  const texts: string[] = [];
  for (let i = 1; ; i++) {
    const type = lua.lua_rawgeti(L, table, i);
    const fits = i <= most && lua.lua_rawlen(L, -1) <= longest;
    const text = fits ? readLatin1(L, -1) : undefined;
    lua.lua_pop(L, 1);
    if (type === lua.LUA_TNIL) return texts;
    if (text === undefined) return undefined;
    texts.push(text);
  }
}
