/**
 * The utf8 library as lutf8lib.c has it. Long strings are gone through in stretches, between which others have their turn.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, lauxlib, lua, lualib } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, checkInteger, optInteger, raise } from './arguments.ts';
import { ByteBuilder } from './budget.ts';
import { type Request, runSteps, type Steps } from './steps.ts';

const MAX_CODE_POINT = 0x10ffff;
/** The smallest code point that needs so many continuation bytes. */
const SMALLEST = [0, 0x80, 0x800, 0x10000];
const STEPS_PER_CHARACTER = 4;
/** Characters gone through, or made, between two pauses. */
const BATCH = 1024;

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** How many bytes the character at `at` has, or 0 when there is none that is well formed. Its code is left in `decoded`. */
function decode(text: LuaString, at: number): number {
  const lead = text[at] ?? 0;
  if (lead < 0x80) {
    decoded = lead;
    return 1;
  }
  const more = lead >= 0xf8 ? 0 : lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
  if (more === 0) return 0;
  let code = lead & (0x3f >> more);
  for (let i = 1; i <= more; i++) {
    const byte = text[at + i];
    if (byte === undefined || (byte & 0xc0) !== 0x80) return 0;
    code = (code << 6) | (byte & 0x3f);
  }
  if (code > MAX_CODE_POINT || code < (SMALLEST[more] ?? 0)) return 0;
  decoded = code;
  return more + 1;
}
/** The code point that decode() has found last. */
let decoded = 0;

/** A position from 1, negative ones counted from the end. */
function absolute(position: number, length: number): number {
  if (position >= 0) return position;
  return -position > length ? 0 : length + position + 1;
}

/** Is charged for a batch of characters, between which there may be a pause. */
function* pause(L: LuaState): Generator<Request, void, void> {
  hostOf(L).charge(L, BATCH * STEPS_PER_CHARACTER);
  yield 'pause';
}

function utf8_len(L: LuaState): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const first = absolute(optInteger(L, 2, 1), text.length);
  const last = absolute(optInteger(L, 3, -1), text.length);
  if (first < 1 || first > text.length + 1) argumentError(L, 2, 'initial position out of string');
  if (last > text.length) argumentError(L, 3, 'final position out of string');
  return runSteps(L, count(L, text, first - 1, last));
}

/** Pushes the number of characters that begin in [at, end), or nil and the position of what is none. */
function* count(L: LuaState, text: LuaString, start: number, end: number): Steps {
  let characters = 0;
  for (let at = start; at < end; characters++) {
    const size = decode(text, at);
    if (size === 0) {
      lua.lua_pushnil(L);
      lua.lua_pushinteger(L, at + 1);
      return 2;
    }
    at += size;
    if (characters % BATCH === BATCH - 1) yield* pause(L);
  }
  lua.lua_pushinteger(L, characters);
  return 1;
}

function utf8_codepoint(L: LuaState): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const first = absolute(optInteger(L, 2, 1), text.length);
  const last = absolute(optInteger(L, 3, first), text.length);
  if (first < 1) argumentError(L, 2, 'out of range');
  if (last > text.length) argumentError(L, 3, 'out of range');
  if (first > last) return 0;
  lauxlib.luaL_checkstack(L, last - first + 1, ascii('string slice too long'));
  return runSteps(L, codepoints(L, text, first - 1, last));
}

function* codepoints(L: LuaState, text: LuaString, start: number, end: number): Steps {
  let characters = 0;
  for (let at = start; at < end; characters++) {
    const size = decode(text, at);
    if (size === 0) raise(L, 'invalid UTF-8 code');
    lua.lua_pushinteger(L, decoded);
    at += size;
    if (characters % BATCH === BATCH - 1) yield* pause(L);
  }
  return characters;
}

function utf8_char(L: LuaState): number {
  return runSteps(L, encode(L, lua.lua_gettop(L)));
}

function* encode(L: LuaState, codes: number): Steps {
  const out = new ByteBuilder(L, codes * 4);
  for (let arg = 1; arg <= codes; arg++) {
    const code = checkInteger(L, arg);
    if (code < 0 || code > MAX_CODE_POINT) argumentError(L, arg, 'value out of range');
    if (code < 0x80) {
      out.addByte(code);
    } else {
      const more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
      out.addByte(((0xff << (7 - more)) & 0xff) | (code >> (6 * more)));
      for (let i = more - 1; i >= 0; i--) out.addByte(0x80 | ((code >> (6 * i)) & 0x3f));
    }
    if (arg % BATCH === 0) yield* pause(L);
  }
  out.push();
  return 1;
}

function utf8_offset(L: LuaState): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const wanted = checkInteger(L, 2);
  const start = absolute(optInteger(L, 3, wanted >= 0 ? 1 : text.length + 1), text.length);
  if (start < 1 || start > text.length + 1) argumentError(L, 3, 'position out of range');
  return runSteps(L, offset(L, text, wanted, start - 1));
}

/** Pushes the position of the character that is `wanted` characters from the one at `start`, or nil. */
function* offset(L: LuaState, text: LuaString, wanted: number, start: number): Steps {
  let at = start;
  let left = wanted;
  let bytes = 0;
  if (wanted !== 0 && isContinuation(text[at])) raise(L, 'initial position is a continuation byte');
  if (wanted > 0) left--; // The first one is where it begins.
  while (wanted > 0 ? left > 0 && at < text.length : at > 0 && (left < 0 || isContinuation(text[at]))) {
    at += wanted > 0 ? 1 : -1;
    if (wanted !== 0 && !isContinuation(text[at])) left += wanted > 0 ? -1 : 1;
    if (++bytes % BATCH === 0) yield* pause(L);
  }
  if (left === 0) lua.lua_pushinteger(L, at + 1);
  else lua.lua_pushnil(L);
  return 1;
}

function nextCode(L: LuaState): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  return runSteps(L, character(L, text, lua.lua_tointeger(L, 2) - 1));
}

/** Pushes the position and the code of the first character behind the one at `last`, which is -1 at the beginning. */
function* character(L: LuaState, text: LuaString, last: number): Steps {
  let at = Math.max(last, 0);
  if (last >= 0 && at < text.length) {
    at++;
    for (; isContinuation(text[at]); at++) if (at % BATCH === 0) yield* pause(L);
  }
  if (at >= text.length) return 0;
  const size = decode(text, at);
  if (size === 0 || isContinuation(text[at + size])) raise(L, 'invalid UTF-8 code');
  lua.lua_pushinteger(L, at + 1);
  lua.lua_pushinteger(L, decoded);
  return 2;
}

function utf8_codes(L: LuaState): number {
  lauxlib.luaL_checkstring(L, 1);
  lua.lua_pushcfunction(L, nextCode);
  lua.lua_pushvalue(L, 1);
  lua.lua_pushinteger(L, 0);
  return 3;
}

export function luaopen_utf8(L: LuaState): number {
  lualib.luaopen_utf8(L); // charpattern stays.
  const functions = {
    char: utf8_char,
    codepoint: utf8_codepoint,
    codes: utf8_codes,
    len: utf8_len,
    offset: utf8_offset,
  };
  lauxlib.luaL_setfuncs(L, functions, 0);
  return 1;
}
