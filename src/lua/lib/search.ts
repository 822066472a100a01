/**
 * string.find, match and gmatch. Long searches are charged to the CPU budget and give way to other sessions.
 */
import type { Continuation, LuaState, LuaString } from 'fengari';
import { lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { raise } from './arguments.ts';
import { pushCaptures } from './captures.ts';
import { Matcher, PatternError, type Progress } from './matcher.ts';
import { compiledPattern, compilePattern, isPlain, type Pattern } from './pattern.ts';
import { runSteps, type Steps } from './steps.ts';

const ANCHOR = 0x5e;
/** Steps of the matcher between two looks at the clock. */
const FUEL = 10_000;

/**
 * Searches from `from` on until something is found or nothing is left, and is charged for it. Returns null when the
 * callback must give way first; it is then suspended, and `resume` is called with `matcher` when it goes on.
 */
export function advance(
  L: LuaState,
  matcher: Matcher,
  from: number,
  context: unknown,
  resume: Continuation,
): Exclude<Progress, 'paused'> {
  const host = hostOf(L);
  for (;;) {
    let progress: Progress;
    const fuel = FUEL;
    matcher.fuel = fuel;
    try {
      progress = matcher.search(from);
    } catch (error) {
      if (error instanceof PatternError) raise(L, error.message);
      throw error;
    }
    host.charge(L, fuel - matcher.fuel);
    if (progress !== 'paused') return progress;
    host.yieldToOthers(L, context, resume);
  }
}

/** Longest pattern, in bytes: it is compiled in one stretch, in which others have no turn. */
const LONGEST_PATTERN = 65_536;
const TOO_LONG = 'pattern too complex';
const STEPS_PER_PATTERN_BYTE = 20;

/** The compiled form of a pattern; without its first byte, which is an anchor, when `anchored`. */
export function usePattern(L: LuaState, pattern: LuaString, anchored: boolean): Pattern {
  if (pattern.length > LONGEST_PATTERN) return raise(L, TOO_LONG);
  const compiled = compiledPattern(pattern, anchored);
  if (compiled !== undefined) return compiled;
  hostOf(L).charge(L, pattern.length * STEPS_PER_PATTERN_BYTE);
  return compilePattern(pattern, anchored);
}

/** Index from 0 where a search begins that the script wants from `position`; may lie behind the end. */
export function startIndex(position: number, length: number): number {
  if (position > 0) return position - 1;
  if (position === 0 || -position > length) return 0;
  return length + position;
}

function plainIndex(subject: LuaString, text: LuaString, from: number): number {
  return Buffer.prototype.indexOf.call(subject, text, from);
}

/** Looks for a very long text, which must be no pattern: for its beginning, and at each place for the rest of it. */
function* findLong(L: LuaState, subject: LuaString, text: LuaString, from: number, isText: boolean): Steps {
  for (let start = 0; start < text.length && !isText; start += LONGEST_PATTERN) {
    const part = text.subarray(start, start + LONGEST_PATTERN);
    if (!isPlain(part)) return raise(L, TOO_LONG);
    hostOf(L).charge(L, part.length >> 2);
    yield 'pause';
  }
  if (text.length > subject.length - from) {
    lua.lua_pushnil(L);
    return 1;
  }
  const beginning = text.subarray(0, LONGEST_PATTERN);
  for (let start = from; ; start++) {
    const found = plainIndex(subject, beginning, start);
    hostOf(L).charge(L, (((found < 0 ? subject.length : found) - start) >> 3) + (text.length >> 6));
    yield 'pause';
    if (found < 0) {
      lua.lua_pushnil(L);
      return 1;
    }
    start = found;
    const end = found + text.length;
    if (Buffer.compare(subject.subarray(found, end), text) !== 0) continue;
    lua.lua_pushinteger(L, found + 1);
    lua.lua_pushinteger(L, end);
    return 2;
  }
}

interface Search {
  readonly matcher: Matcher;
  readonly from: number;
  /** string.find, which returns positions first. */
  readonly find: boolean;
}

function search(L: LuaState, find: boolean): number {
  const subject = lauxlib.luaL_checkstring(L, 1);
  const pattern = lauxlib.luaL_checkstring(L, 2);
  const from = startIndex(lauxlib.luaL_optinteger(L, 3, 1), subject.length);
  if (from > subject.length) {
    lua.lua_pushnil(L);
    return 1;
  }
  if (find && pattern.length > LONGEST_PATTERN) {
    return runSteps(L, findLong(L, subject, pattern, from, lua.lua_toboolean(L, 4)));
  }
  hostOf(L).charge(L, pattern.length >> 2);
  if (find && (lua.lua_toboolean(L, 4) || isPlain(pattern))) {
    const found = pattern.length === 0 ? from : plainIndex(subject, pattern, from);
    hostOf(L).charge(L, ((found < 0 ? subject.length : found) - from) >> 3);
    if (found < 0) {
      lua.lua_pushnil(L);
      return 1;
    }
    lua.lua_pushinteger(L, found + 1);
    lua.lua_pushinteger(L, found + pattern.length);
    return 2;
  }
  const anchored = pattern[0] === ANCHOR;
  const matcher = new Matcher(subject, usePattern(L, pattern, anchored), anchored);
  return finishSearch(L, { matcher, from, find });
}

function finishSearch(L: LuaState, job: Search): number {
  const { matcher, find } = job;
  if (advance(L, matcher, job.from, job, resumeSearch) === 'failed') {
    lua.lua_pushnil(L);
    return 1;
  }
  if (!find) return pushCaptures(L, matcher, true);
  lua.lua_pushinteger(L, matcher.start + 1);
  lua.lua_pushinteger(L, matcher.end);
  return pushCaptures(L, matcher, false) + 2;
}

function isSearch(value: unknown): value is Search {
  return typeof value === 'object' && value !== null && 'matcher' in value;
}

function resumeSearch(L: LuaState, _status: number, job: unknown): number {
  return isSearch(job) ? finishSearch(L, job) : 0;
}

export function string_find(L: LuaState): number {
  return search(L, true);
}

export function string_match(L: LuaState): number {
  return search(L, false);
}

/** What an iterator of string.gmatch keeps from call to call. */
class Matches {
  readonly matcher: Matcher;
  from = 0;
  lastEnd = -1;

  constructor(matcher: Matcher) {
    this.matcher = matcher;
  }
}

/** Upvalue 1 is a light userdata with the Matches. */
function nextMatch(L: LuaState): number {
  const matches = lua.lua_touserdata(L, lua.lua_upvalueindex(1));
  return matches instanceof Matches ? continueMatches(L, matches) : 0;
}

function continueMatches(L: LuaState, matches: Matches): number {
  const { matcher } = matches;
  while (advance(L, matcher, matches.from, matches, resumeMatches) === 'matched') {
    // An empty match right behind the last one is none.
    if (matcher.end === matches.lastEnd) {
      matches.from = matcher.start + 1;
      continue;
    }
    matches.from = matcher.end;
    matches.lastEnd = matcher.end;
    return pushCaptures(L, matcher, true);
  }
  matches.from = matcher.subject.length + 1;
  return 0;
}

function resumeMatches(L: LuaState, _status: number, matches: unknown): number {
  return matches instanceof Matches ? continueMatches(L, matches) : 0;
}

export function string_gmatch(L: LuaState): number {
  const subject = lauxlib.luaL_checkstring(L, 1);
  const pattern = lauxlib.luaL_checkstring(L, 2);
  lua.lua_pushlightuserdata(L, new Matches(new Matcher(subject, usePattern(L, pattern, false), false)));
  lua.lua_pushcclosure(L, nextMatch, 1);
  return 1;
}
