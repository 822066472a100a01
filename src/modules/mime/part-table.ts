/** Parts as tables of Lua. */
import type { LuaState, LuaTable } from 'fengari';
import { ascii, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import {
  arrayOf,
  newTable,
  numberValue,
  pushValue,
  setField,
  setIndex,
  tableValue,
  textValue,
} from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import { decoderOf } from '../../message/charset.ts';
import { decodeWords } from '../../message/encoded-words.ts';
import type { ParameterText } from '../../mime/header-block.ts';
import type { MimeTree, Part } from '../../mime/part.ts';
import { type MimeMessage, messageOf } from './message.ts';
import { inTurns } from './turns.ts';

export const PART = 'mime.part';
/** Metatable of the tables: the methods of the class, and `size`. */
const METATABLE = 'mime.part table';
/** To make one, in steps of Host.charge(), and for each byte of a name. */
const STEPS_PER_PART = 1000;
const STEPS_PER_BYTE = 50;

/** Makes the tables, and gives the array of them. */
export function* makeTables(
  L: LuaState,
  message: MimeMessage,
  { parts }: MimeTree,
): Generator<'pause', LuaTable, void> {
  pushMetatable(L);
  const metatable = lua.lua_topointer(L, -1) as LuaTable;
  lua.lua_pop(L, 1);
  const array = newTable(L);
  const made = new Map<Part, LuaTable>();
  for (const [i, part] of parts.entries()) {
    const table = newTable(L);
    table.metatable = metatable;
    fill(L, table, part, message);
    const parent = part.parent && made.get(part.parent);
    if (parent) setField(L, table, 'parent', tableValue(parent));
    made.set(part, table);
    message.tables.set(table, part);
    setIndex(array, i + 1, tableValue(table));
    hostOf(L).charge(L, STEPS_PER_PART);
    yield 'pause';
  }
  return array;
}

function pushMetatable(L: LuaState): void {
  if (!lauxlib.luaL_newmetatable(L, ascii(METATABLE))) return;
  lua.lua_pushcfunction(L, indexPart);
  lua.lua_setfield(L, -2, ascii('__index'));
  lua.lua_pushliteral(L, PART);
  lua.lua_setfield(L, -2, ascii('__metatable'));
}

function fill(L: LuaState, table: LuaTable, part: Part, message: MimeMessage): void {
  const set = (name: string, text: string | undefined) => {
    if (text !== undefined) setField(L, table, name, textValue(L, text));
  };
  const decoded = part.names.map((name) => decodedName(L, name));
  // A NUL ends the name for some programs.
  const cut = decoded.filter((name) => name.includes('\0')).map((name) => name.slice(0, name.indexOf('\0')));
  const names = [...new Set([...decoded, ...cut])].filter((name) => name !== '');
  set('type', part.type);
  set('charset', part.contentType.parameters.get('charset')?.[0]?.text.toLowerCase());
  set('name', names[0]);
  setField(L, table, 'names', tableValue(arrayOf(L, names)));
  set('disposition', part.disposition?.value);
  set('encoding', part.encoding);
  set('id', part.id);
  setField(L, table, 'depth', numberValue(part.depth));
  const size = message.plainSizeOf(part);
  if (size !== undefined) setField(L, table, 'size', numberValue(size));
}

/** UTF-8 where it can be told what the bytes mean, else the bytes. */
function decodedName(L: LuaState, { text, charset }: ParameterText): string {
  hostOf(L).charge(L, text.length * STEPS_PER_BYTE);
  return charset === undefined ? decodeWords(text) : (decoderOf(charset)?.(text) ?? text);
}

/** The part that is argument `arg`: one of the message in progress. */
export function checkPart(L: LuaState, arg: number, message: MimeMessage): Part {
  const part = message.tables.get(lua.lua_topointer(L, arg) as LuaTable);
  return part ?? argumentError(L, arg, 'a part of the message expected, one of mime.parts');
}

/** `__index` of a part: `size`, for which it must be decoded, and the methods of its class. */
function indexPart(L: LuaState): number {
  const table = lua.lua_topointer(L, 1) as LuaTable;
  const name = lua.lua_type(L, 2) === lua.LUA_TSTRING ? lua.lua_tojsstring(L, 2) : '';
  const message = name === 'size' ? messageOf(L) : undefined;
  const part = message?.tables.get(table);
  if (message && part) return runSteps(L, pushSize(L, message, part, table));
  lauxlib.luaL_getmetatable(L, ascii(PART));
  lua.lua_getfield(L, -1, ascii('__index'));
  lua.lua_pushvalue(L, 2);
  lua.lua_rawget(L, -2);
  return 1;
}

function* pushSize(L: LuaState, message: MimeMessage, part: Part, table: LuaTable): Steps {
  const size = numberValue(yield* inTurns(L, message.sizeOf(part)));
  setField(L, table, 'size', size);
  pushValue(L, size);
  return 1;
}
