/** The module `text`. */
import type { LuaState } from 'fengari';
import { latin1Of, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf, unchanging } from '../../lua/engine/host.ts';
import { pushArray, pushLatin1, pushNumber } from '../../lua/engine/values.ts';
import { argumentError, raise } from '../../lua/lib/arguments.ts';
import { ByteBuilder } from '../../lua/lib/budget.ts';
import { compilePattern, type Pattern } from '../../maps/re2.ts';
import { decoderOf } from '../../message/charset.ts';
import { checkText } from '../arguments.ts';
import type { FunctionsOf } from '../module.ts';
import { checkObject, pushObject } from '../objects.ts';
import type { textApi } from './api.ts';
import { folded } from './fold.ts';

const CLASS = 'text.pattern';
const MAX_BYTES = 1024 * 1024;
const MAX_PATTERN = 10_000;
const MAX_MATCHES = 10_000;
const MAX_PIECES = 100_000;
/** Expressions that a process keeps compiled. */
const MAX_KEPT = 500;
/** To compile one, and to look at a byte, in steps of Host.charge(). */
const STEPS_PER_PATTERN = 10_000;
const STEPS_PER_BYTE = 2;

/** An expression and how it reads bytes. */
class TextPattern {
  readonly pattern: Pattern;
  readonly isUtf8: boolean;

  constructor(pattern: Pattern, isUtf8: boolean) {
    this.pattern = pattern;
    this.isUtf8 = isUtf8;
  }

  /** The letters that bytes stand for. */
  letters(latin1: string): string {
    if (!this.isUtf8) return latin1;
    const letters = fromUtf8(latin1);
    return letters.includes('\ufffd')
      ? latin1.replace(RUNS, (run, byte) => (byte ? escaped(byte) : fromUtf8(run)))
      : letters;
  }

  /** The bytes of letters, in latin1. */
  bytes(letters: string): string {
    if (!this.isUtf8) return letters;
    if (!ESCAPED.test(letters)) return toUtf8(letters);
    return letters
      .split(ESCAPED)
      .map((run) => (ESCAPED.test(run) ? String.fromCharCode(run.charCodeAt(0) & 255) : toUtf8(run)))
      .join('');
  }
}

const fromUtf8 = (latin1: string) => Buffer.from(latin1, 'latin1').toString('utf8');
const toUtf8 = (letters: string) => Buffer.from(letters).toString('latin1');

/** Bytes that are UTF-8, or one that is none. */
const RUNS =
  /(?:[\0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}){1,1000}|([\x80-\xff])/g;
/** What stands for a byte that is no UTF-8, half of a letter: so that places are those of the bytes, and it comes out again. */
const ESCAPED = /([\udc80-\udcff])/u;
const escaped = (byte: string) => String.fromCharCode(0xdc00 + byte.charCodeAt(0));

const kept = new Map<string, TextPattern>();

/** text.re(pattern[, flags]) */
function re(L: LuaState): number {
  const source = checkText(L, 1, MAX_PATTERN);
  const flags = lua.lua_isnoneornil(L, 2) ? '' : checkText(L, 2, 10);
  if (source.length > MAX_PATTERN)
    return argumentError(L, 1, `more than ${MAX_PATTERN} bytes of an expression`);
  if (/[^imsu]/.test(flags)) return argumentError(L, 2, 'flags are i, m, s and u');
  const key = `${[...new Set(flags)].sort().join('')}/${source}`;
  let pattern = kept.get(key);
  if (pattern === undefined) {
    hostOf(L).charge(L, STEPS_PER_PATTERN);
    pattern = compiled(L, source, flags);
    const oldest = kept.size >= MAX_KEPT ? kept.keys().next().value : undefined;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(key, unchanging(pattern));
  }
  pushObject(L, CLASS, pattern);
  return 1;
}

function compiled(L: LuaState, source: string, flags: string): TextPattern {
  const isUtf8 = flags.includes('u');
  const letters = isUtf8 ? Buffer.from(source, 'latin1').toString('utf8') : source;
  try {
    const pattern = compilePattern(letters, {
      ignoreCase: flags.includes('i'),
      multiLine: flags.includes('m'),
      dotAll: flags.includes('s'),
    });
    return new TextPattern(pattern, isUtf8);
  } catch (error) {
    return raise(
      L,
      `text.re: ${error instanceof Error ? error.message.replace(/[^\x20-\x7e]/g, '?') : 'wrong expression'}`,
    );
  }
}

function checkPattern(L: LuaState): TextPattern {
  return checkObject(L, 1, CLASS, TextPattern);
}

/** Argument `arg`, at most 1 MiB. latin1 */
function checkSubject(L: LuaState, arg: number): string {
  const bytes = lauxlib.luaL_checkstring(L, arg);
  if (bytes.length > MAX_BYTES) return argumentError(L, arg, 'more than 1 MiB of text');
  hostOf(L).charge(L, bytes.length * STEPS_PER_BYTE);
  return latin1Of(bytes);
}

type Match = readonly (string | undefined)[];

/** Pushes what string.match would. */
function pushGroups(L: LuaState, of: TextPattern, match: Match): number {
  const groups = match.length > 1 ? match.slice(1) : match;
  lua.lua_checkstack(L, groups.length + 1);
  for (const group of groups) {
    if (group === undefined) lua.lua_pushboolean(L, false);
    else pushLatin1(L, of.bytes(group));
  }
  return groups.length;
}

function test(L: LuaState): number {
  const of = checkPattern(L);
  lua.lua_pushboolean(L, of.pattern.test(of.letters(checkSubject(L, 2))));
  return 1;
}

function match(L: LuaState): number {
  const of = checkPattern(L);
  const found = of.pattern.match(of.letters(checkSubject(L, 2)));
  if (found !== undefined) return pushGroups(L, of, found);
  lua.lua_pushnil(L);
  return 1;
}

function find(L: LuaState): number {
  const of = checkPattern(L);
  const letters = of.letters(checkSubject(L, 2));
  const { value } = of.pattern.matches(letters).next();
  if (!value) {
    lua.lua_pushnil(L);
    return 1;
  }
  const before = of.bytes(letters.slice(0, value.start)).length;
  pushNumber(L, before + 1);
  pushNumber(L, before + of.bytes(letters.slice(value.start, value.end)).length);
  return 2;
}

function gsub(L: LuaState): number {
  const of = checkPattern(L);
  const letters = of.letters(checkSubject(L, 2));
  const replacement = checkText(L, 3, MAX_BYTES);
  const out = new ByteBuilder(L, letters.length);
  let end = 0;
  let count = 0;
  for (const found of of.pattern.matches(letters)) {
    out.addText(of.bytes(letters.slice(end, found.start)));
    out.addText(
      replacement.replace(/%(.?)/gs, (_, sign: string) => {
        if (sign === '%') return '%';
        if (!/\d/.test(sign))
          return raise(L, 'text.pattern:gsub: % in the replacement must be %%, %0, %1, ... %9');
        if (Number(sign) > of.pattern.groups) return raise(L, `text.pattern:gsub: there is no group ${sign}`);
        return of.bytes(found.groups[Number(sign)] ?? '');
      }),
    );
    end = found.end;
    count += 1;
    hostOf(L).charge(L, replacement.length);
  }
  out.addText(of.bytes(letters.slice(end)));
  out.push();
  pushNumber(L, count);
  return 2;
}

/** The matches are values of Lua from the beginning: an iterator belongs to one state. */
function gmatch(L: LuaState): number {
  const of = checkPattern(L);
  const letters = of.letters(checkSubject(L, 2));
  lua.lua_newtable(L);
  let count = 0;
  for (const { groups } of of.pattern.matches(letters)) {
    if (count >= MAX_MATCHES) break;
    lua.lua_createtable(L, groups.length, 1);
    const pushed = pushGroups(L, of, groups);
    for (let group = pushed; group > 0; group--) lua.lua_rawseti(L, -group - 1, group);
    pushNumber(L, pushed);
    lua.lua_rawseti(L, -2, 0);
    count += 1;
    lua.lua_rawseti(L, -2, count);
    hostOf(L).charge(L, 50);
  }
  pushNumber(L, 0);
  lua.lua_pushcclosure(L, nextMatch, 2);
  return 1;
}

function nextMatch(L: LuaState): number {
  const next = lua.lua_tonumber(L, lua.lua_upvalueindex(2)) + 1;
  pushNumber(L, next);
  lua.lua_replace(L, lua.lua_upvalueindex(2));
  if (lua.lua_rawgeti(L, lua.lua_upvalueindex(1), next) !== lua.LUA_TTABLE) return 1;
  const groups = lua.lua_gettop(L);
  lua.lua_rawgeti(L, groups, 0);
  const count = lua.lua_tonumber(L, -1);
  lua.lua_checkstack(L, count);
  for (let group = 1; group <= count; group++) lua.lua_rawgeti(L, groups, group);
  return count;
}

function fold(L: LuaState): number {
  const text = Buffer.from(checkSubject(L, 1), 'latin1').toString('utf8');
  pushLatin1(L, Buffer.from(folded(text)).toString('latin1'));
  return 1;
}

function utf8(L: LuaState): number {
  const bytes = checkSubject(L, 1);
  const decode = decoderOf(checkText(L, 2, 100));
  if (decode !== undefined) {
    pushLatin1(L, decode(bytes));
    return 1;
  }
  lua.lua_pushnil(L);
  pushLatin1(L, 'protocol unknown charset');
  return 2;
}

function split(L: LuaState): number {
  const text = checkSubject(L, 1);
  const separator = checkText(L, 2, 1000);
  if (separator === '') return argumentError(L, 2, 'separator expected');
  const most = lauxlib.luaL_optinteger(L, 3, MAX_PIECES);
  if (most < 1) return argumentError(L, 3, 'a number of pieces expected');
  const pieces: string[] = [];
  let start = 0;
  while (pieces.length < Math.min(most, MAX_PIECES) - 1) {
    const end = text.indexOf(separator, start);
    if (end < 0) break;
    pieces.push(text.slice(start, end));
    start = end + separator.length;
  }
  pieces.push(text.slice(start));
  pushArray(L, pieces);
  return 1;
}

export const openText = (): FunctionsOf<typeof textApi> => ({
  re,
  'pattern:test': test,
  'pattern:match': match,
  'pattern:find': find,
  'pattern:gsub': gsub,
  'pattern:gmatch': gmatch,
  fold,
  utf8,
  split,
});
