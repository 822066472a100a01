/**
 * The os library: time, environment and files as in C; what would end or block the process is refused.
 */
import { closeSync, renameSync, rmdirSync, unlinkSync } from 'node:fs';
import type { LuaState } from 'fengari';
import { EISDIR, errnoOf, pushFailure } from '../context/errno.ts';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { pushOptional } from '../engine/values.ts';
import {
  checkCString,
  checkFileName,
  checkInteger,
  cString,
  pushInteger,
  pushLibrary,
  raise,
} from './arguments.ts';
import { ByteBuilder } from './budget.ts';
import { type BrokenTime, breakTime, localTime, timeText } from './calendar.ts';
import { createTemporary, temporaryName } from './device.ts';
import { requireNameOurs } from './open-checked.ts';
import { os_execute } from './popen.ts';
import { runSteps, type Steps } from './steps.ts';

/** The conversions of C99, and those that take the modifiers E and O (LUA_STRFTIMEOPTIONS of loslib.c). */
const CONVERSIONS = 'aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%';
const WITH_E = 'cCxXyY';
const WITH_O = 'deHImMSuUVwWy';
const PERCENT = 0x25;
/** Conversions between two pauses, and what each costs in steps of Host.charge(). */
const BATCH = 64;
const STEPS_PER_CONVERSION = 100;
/** System calls, and time zones, in such steps. */
const STEPS_PER_CALL = 2000;
const TABLE = Buffer.from('*t');
/** Fields of a date table lie within plus and minus this (L_MAXDATEFIELD of loslib.c). */
const MAX_FIELD = 0x3fffffff;
/** Times a Date can hold, in seconds; beyond them no time zone is known. */
const LAST_TIME = 8.64e12;

function checkTime(L: LuaState, arg: number): number {
  const time = checkInteger(L, arg);
  if (Math.abs(time) > LAST_TIME) {
    raise(L, 'date result cannot be represented in this installation');
  }
  return time;
}

function setIntegerField(L: LuaState, name: string, value: number): void {
  lua.lua_pushinteger(L, value);
  lua.lua_setfield(L, -2, ascii(name));
}

function setTimeFields(L: LuaState, time: BrokenTime): void {
  setIntegerField(L, 'sec', time.second);
  setIntegerField(L, 'min', time.minute);
  setIntegerField(L, 'hour', time.hour);
  setIntegerField(L, 'day', time.day);
  setIntegerField(L, 'month', time.month);
  setIntegerField(L, 'year', time.year);
  setIntegerField(L, 'wday', time.weekday + 1);
  setIntegerField(L, 'yday', time.dayOfYear + 1);
  lua.lua_pushboolean(L, time.daylight);
  lua.lua_setfield(L, -2, ascii('isdst'));
}

function os_date(L: LuaState): number {
  let format: Uint8Array = lauxlib.luaL_optstring(L, 1, ascii('%c'));
  const time = lua.lua_isnoneornil(L, 2) ? timeNow(L) : checkTime(L, 2);
  const utc = format[0] === 0x21;
  if (utc) format = format.subarray(1);
  hostOf(L).charge(L, STEPS_PER_CALL);
  const broken = breakTime(time, utc);
  if (cString(format.subarray(0, TABLE.length + 1)).equals(TABLE)) {
    lua.lua_createtable(L, 0, 9);
    setTimeFields(L, broken);
    return 1;
  }
  return runSteps(L, formatTime(L, format, broken));
}

function* formatTime(L: LuaState, format: Uint8Array, time: BrokenTime): Steps {
  const out = new ByteBuilder(L, format.length + 64);
  let from = 0;
  let conversions = 0;
  const find = (): number => Buffer.prototype.indexOf.call(format, PERCENT, from);
  for (let at = find(); at >= 0; at = find()) {
    out.addSlice(format, from, at);
    const letters = conversion(L, format, at + 1);
    out.addText(timeText(time, letters.slice(-1)) ?? '');
    from = at + 1 + letters.length;
    if (++conversions % BATCH !== 0) continue;
    hostOf(L).charge(L, BATCH * STEPS_PER_CONVERSION);
    yield 'pause';
  }
  hostOf(L).charge(L, (format.length - from) >> 3);
  yield 'pause';
  out.addSlice(format, from, format.length);
  out.push();
  return 1;
}

/** Bytes of a wrong format that its message shows. */
const SHOWN_OF_FORMAT = 1000;

/** The letters of the conversion at `at`: one, or a modifier and one. */
function conversion(L: LuaState, format: Uint8Array, at: number): string {
  const letter = String.fromCharCode(format[at] ?? 0);
  if (CONVERSIONS.includes(letter)) return letter;
  const second = String.fromCharCode(format[at + 1] ?? 0);
  if ((letter === 'E' && WITH_E.includes(second)) || (letter === 'O' && WITH_O.includes(second))) {
    return letter + second;
  }
  const rest = cString(format.subarray(at, at + SHOWN_OF_FORMAT));
  return lauxlib.luaL_argerror(
    L,
    1,
    Buffer.concat([Buffer.from("invalid conversion specifier '%"), rest, Buffer.from("'")]),
  );
}

/** Field `name` of the table on top of the stack; `absent` when there is none, or an error. */
function timeField(L: LuaState, name: string, absent: number | null): number {
  const type = lua.lua_getfield(L, -1, ascii(name));
  const value = lua.lua_isnumber(L, -1) ? lua.lua_tonumber(L, -1) : Number.NaN;
  lua.lua_pop(L, 1);
  if (!Number.isInteger(value) || Math.abs(value) >= 2 ** 63) {
    if (type !== lua.LUA_TNIL) return raise(L, `field '${name}' is not an integer`);
    return absent ?? raise(L, `field '${name}' missing in date table`);
  }
  if (Math.abs(value) > MAX_FIELD) {
    return raise(L, `field '${name}' is out-of-bound`);
  }
  return value;
}

/** Seconds since the epoch. */
function timeNow(L: LuaState): number {
  return Math.floor(hostOf(L).now() / 1000);
}

function os_time(L: LuaState): number {
  if (lua.lua_isnoneornil(L, 1)) {
    pushInteger(L, timeNow(L));
    return 1;
  }
  lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
  lua.lua_settop(L, 1);
  hostOf(L).charge(L, STEPS_PER_CALL);
  const second = timeField(L, 'sec', 0);
  const minute = timeField(L, 'min', 0);
  const hour = timeField(L, 'hour', 12);
  const day = timeField(L, 'day', null);
  const month = timeField(L, 'month', null);
  const year = timeField(L, 'year', null);
  const daylight = lua.lua_getfield(L, 1, ascii('isdst')) === lua.LUA_TNIL ? null : lua.lua_toboolean(L, -1);
  lua.lua_pop(L, 1);
  const time = localTime(year, month, day, hour, minute, second, daylight);
  if (!(Math.abs(time) <= LAST_TIME)) {
    raise(L, 'time result cannot be represented in this installation');
  }
  setTimeFields(L, breakTime(time, false));
  // C's mktime has no other way to say that it failed.
  if (time === -1) raise(L, 'time result cannot be represented in this installation');
  pushInteger(L, time);
  return 1;
}

/** CPU time of the process, in seconds, as C's clock(). */
function os_clock(L: LuaState): number {
  const used = process.cpuUsage();
  lua.lua_pushnumber(L, (used.user + used.system) / 1e6);
  return 1;
}

function os_difftime(L: LuaState): number {
  lua.lua_pushnumber(L, checkInteger(L, 1) - checkInteger(L, 2));
  return 1;
}

/** MAX_ARG_STRLEN of Linux: no variable is longer. */
const LONGEST_VARIABLE = 131_072;

function os_getenv(L: LuaState): number {
  const bytes = checkCString(L, 1, LONGEST_VARIABLE);
  hostOf(L).charge(L, bytes.length);
  pushOptional(L, hostOf(L).env(bytes.toString('latin1')));
  return 1;
}

function os_tmpname(L: LuaState): number {
  hostOf(L).charge(L, STEPS_PER_CALL);
  if (hostOf(L).discards) {
    lua.lua_pushstring(L, Buffer.from(temporaryName()));
    return 1;
  }
  try {
    const { name, descriptor } = createTemporary();
    closeSync(descriptor);
    lua.lua_pushstring(L, Buffer.from(name));
    return 1;
  } catch {
    return raise(L, 'unable to generate a unique filename');
  }
}

function os_remove(L: LuaState): number {
  hostOf(L).charge(L, STEPS_PER_CALL);
  const name = checkFileName(L, 1);
  try {
    const place = hostOf(L).locate(name);
    requireNameOurs(hostOf(L), place);
    if (!hostOf(L).discards) removeFile(place);
  } catch (error) {
    return pushFailure(L, error, name);
  }
  lua.lua_pushboolean(L, true);
  return 1;
}

/** C's remove(): a file, or an empty directory. */
function removeFile(name: Buffer): void {
  try {
    unlinkSync(name);
  } catch (error) {
    if (errnoOf(error) !== EISDIR) throw error;
    rmdirSync(name);
  }
}

function os_rename(L: LuaState): number {
  hostOf(L).charge(L, STEPS_PER_CALL);
  const host = hostOf(L);
  const from = host.locate(checkFileName(L, 1));
  const to = host.locate(checkFileName(L, 2));
  try {
    requireNameOurs(host, from);
    requireNameOurs(host, to);
    if (!host.discards) renameSync(from, to);
  } catch (error) {
    return pushFailure(L, error); // Without a name, as C Lua: either file may be the culprit.
  }
  lua.lua_pushboolean(L, true);
  return 1;
}

const LOCALE_CATEGORIES = ['all', 'collate', 'ctype', 'monetary', 'numeric', 'time'].map((name) =>
  ascii(name),
);

/** One byte more than the names of the C locale have. */
const LONGEST_LOCALE = 6;

/** The C locale is the only one. */
function os_setlocale(L: LuaState): number {
  const asked = lua.lua_isnoneornil(L, 1) ? null : checkCString(L, 1, LONGEST_LOCALE).toString('latin1');
  lauxlib.luaL_checkoption(L, 2, ascii('all'), LOCALE_CATEGORIES);
  if (asked === null || asked === '' || asked === 'C' || asked === 'POSIX') lua.lua_pushstring(L, ascii('C'));
  else lua.lua_pushnil(L);
  return 1;
}

function os_exit(L: LuaState): number {
  return raise(L, 'os.exit is not allowed in a policy');
}

export function luaopen_os(L: LuaState): number {
  pushLibrary(L, {
    clock: os_clock,
    date: os_date,
    difftime: os_difftime,
    execute: os_execute,
    exit: os_exit,
    getenv: os_getenv,
    remove: os_remove,
    rename: os_rename,
    setlocale: os_setlocale,
    time: os_time,
    tmpname: os_tmpname,
  });
  return 1;
}
