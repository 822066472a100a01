/**
 * The string library: fengari's with C's formats, sizes checked before anything is allocated, and pattern matching that
 * counts its work. The functions on patterns, string.format and string.pack have files of their own.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, lauxlib, lua, lualib } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { pushOwnedBytes } from '../engine/values.ts';
import { argumentError, checkInteger, optInteger, raise } from './arguments.ts';
import { checkLength } from './budget.ts';
import { pushSlice } from './captures.ts';
import { string_format } from './format.ts';
import { string_pack, string_packsize, string_unpack } from './pack.ts';
import { string_find, string_gmatch, string_match } from './search.ts';
import { runSteps, type Steps } from './steps.ts';
import { string_gsub } from './substitute.ts';

/** No result of string.rep is longer in C Lua (MAXSIZE of lstrlib.c). */
const MAX_LENGTH = 0x7fffffff;

/** For each value on the stack, in steps of Host.charge(). */
const STEPS_PER_VALUE = 3;

/** A position from 1, negative ones counted from the end. */
function absolute(position: number, length: number): number {
  if (position >= 0) return position;
  return -position > length ? 0 : length + position + 1;
}

function string_len(L: LuaState): number {
  lua.lua_pushinteger(L, lauxlib.luaL_checkstring(L, 1).length);
  return 1;
}

function string_sub(L: LuaState): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const start = Math.max(absolute(checkInteger(L, 2), text.length), 1);
  const end = Math.min(absolute(optInteger(L, 3, -1), text.length), text.length);
  if (start <= end) pushSlice(L, text, start - 1, end);
  else pushOwnedBytes(L, new Uint8Array(0));
  return 1;
}

function string_byte(L: LuaState): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const start = absolute(optInteger(L, 2, 1), text.length);
  const end = Math.min(absolute(optInteger(L, 3, start), text.length), text.length);
  const first = Math.max(start, 1);
  if (first > end) return 0;
  lauxlib.luaL_checkstack(L, end - first + 1, ascii('string slice too long'));
  hostOf(L).charge(L, (end - first) * STEPS_PER_VALUE);
  for (let i = first - 1; i < end; i++) lua.lua_pushinteger(L, text[i] ?? 0);
  return end - first + 1;
}

function string_char(L: LuaState): number {
  const count = lua.lua_gettop(L);
  hostOf(L).charge(L, count * STEPS_PER_VALUE);
  const bytes = new Uint8Array(count);
  for (let arg = 1; arg <= count; arg++) {
    const value = checkInteger(L, arg);
    if (value < 0 || value > 255) argumentError(L, arg, 'value out of range');
    bytes[arg - 1] = value;
  }
  pushOwnedBytes(L, bytes);
  return 1;
}

/** Bytes converted without being charged for: a call of a function is counted anyway. */
const SHORT_TEXT = 64;
/** Bytes converted between two pauses. */
const BATCH = 256 * 1024;

/** Pushes argument 1 converted by `convert`, which fills bytes [start, end) of the new string. */
function pushConverted(
  L: LuaState,
  convert: (text: LuaString, into: Uint8Array, start: number, end: number) => void,
): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const into = new Uint8Array(text.length);
  hostOf(L).charge(L, Math.min(text.length, BATCH));
  convert(text, into, 0, Math.min(text.length, BATCH));
  if (text.length > BATCH) return runSteps(L, convertRest(L, text, into, convert));
  pushOwnedBytes(L, into);
  return 1;
}

function* convertRest(
  L: LuaState,
  text: LuaString,
  into: Uint8Array,
  convert: (text: LuaString, into: Uint8Array, start: number, end: number) => void,
): Steps {
  for (let start = BATCH; start < text.length; start += BATCH) {
    yield 'pause';
    hostOf(L).charge(L, BATCH);
    convert(text, into, start, Math.min(start + BATCH, text.length));
  }
  pushOwnedBytes(L, into);
  return 1;
}

/** Each byte of [first, last] is changed by `difference`; a short text without one is itself the result. */
function pushShifted(L: LuaState, first: number, last: number, difference: number): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const { length } = text;
  if (length > SHORT_TEXT) return pushShiftedLong(L, first, last, difference);
  let at = 0;
  while (at < length && !((text[at] ?? 0) >= first && (text[at] ?? 0) <= last)) at++;
  if (at === length) {
    lua.lua_pushvalue(L, 1);
    return 1;
  }
  const shifted = new Uint8Array(length);
  for (let i = 0; i < length; i++) {
    const byte = text[i] ?? 0;
    shifted[i] = byte >= first && byte <= last ? byte + difference : byte;
  }
  pushOwnedBytes(L, shifted);
  return 1;
}

function pushShiftedLong(L: LuaState, from: number, to: number, difference: number): number {
  return pushConverted(L, (text, into, start, end) => {
    for (let i = start; i < end; i++) {
      const byte = text[i] ?? 0;
      into[i] = byte >= from && byte <= to ? byte + difference : byte;
    }
  });
}

function string_lower(L: LuaState): number {
  return pushShifted(L, 0x41, 0x5a, 32);
}

function string_upper(L: LuaState): number {
  return pushShifted(L, 0x61, 0x7a, -32);
}

function string_reverse(L: LuaState): number {
  return pushConverted(L, (text, into, start, end) => {
    for (let i = start; i < end; i++) into[i] = text[text.length - 1 - i] ?? 0;
  });
}

/** Bytes repeated without a pause. */
const LONG_RESULT = 1024 * 1024;

function string_rep(L: LuaState): number {
  const text = lauxlib.luaL_checkstring(L, 1);
  const count = checkInteger(L, 2);
  const separator = lauxlib.luaL_optstring(L, 3, ascii(''));
  if (count <= 0) {
    pushOwnedBytes(L, new Uint8Array(0));
    return 1;
  }
  const unit = text.length + separator.length;
  if (unit > MAX_LENGTH / count) return raise(L, 'resulting string too large');
  const total = unit * count - separator.length;
  checkLength(L, total);
  if (total <= LONG_RESULT) hostOf(L).charge(L, total >> 3);
  const repeated = new Uint8Array(total);
  repeated.set(text);
  if (total > text.length) repeated.set(separator, text.length);
  if (total > LONG_RESULT) return runSteps(L, repeat(L, repeated, unit));
  // Doubling: a copy of what is there already is one call for many repetitions.
  for (let done = unit; done < total; done *= 2) repeated.copyWithin(done, 0, Math.min(done, total - done));
  pushOwnedBytes(L, repeated);
  return 1;
}

/** Fills `repeated` with what its first `unit` bytes hold, a piece at a time. */
function* repeat(L: LuaState, repeated: Uint8Array, unit: number): Steps {
  const total = repeated.length;
  let piece = unit;
  for (let done = unit; done < total; done += piece) {
    if (done <= LONG_RESULT) piece = done; // Doubling.
    repeated.copyWithin(done, 0, Math.min(piece, total - done));
    hostOf(L).charge(L, piece >> 3);
    yield 'pause';
  }
  pushOwnedBytes(L, repeated);
  return 1;
}

/** Precompiled code is not checked when it is loaded, so it is neither written nor read. */
function string_dump(L: LuaState): number {
  return raise(L, 'string.dump is not available in a policy: precompiled code cannot be loaded');
}

export function luaopen_string(L: LuaState): number {
  lualib.luaopen_string(L);
  const functions = {
    byte: string_byte,
    char: string_char,
    dump: string_dump,
    find: string_find,
    format: string_format,
    gmatch: string_gmatch,
    gsub: string_gsub,
    len: string_len,
    lower: string_lower,
    match: string_match,
    pack: string_pack,
    packsize: string_packsize,
    rep: string_rep,
    reverse: string_reverse,
    sub: string_sub,
    unpack: string_unpack,
    upper: string_upper,
  };
  lauxlib.luaL_setfuncs(L, functions, 0);
  return 1;
}
