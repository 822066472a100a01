/**
 * What a match has found, as Lua values.
 */
import type { LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { pushOwnedBytes } from '../engine/values.ts';
import { raise } from './arguments.ts';
import type { Matcher } from './matcher.ts';

/** Pushes bytes [start, end) of `bytes` as a new string. */
export function pushSlice(L: LuaState, bytes: Uint8Array, start: number, end: number): void {
  const length = end - start;
  const copy = new Uint8Array(length);
  if (length > 24) copy.set(bytes.subarray(start, end));
  else for (let i = 0; i < length; i++) copy[i] = bytes[start + i] ?? 0;
  pushOwnedBytes(L, copy);
}

/** Pushes capture `index` (from 0): its text or position, or the whole match when the pattern has no captures. */
export function pushCapture(L: LuaState, matcher: Matcher, index: number): void {
  const { pattern, subject } = matcher;
  if (index >= pattern.captures) {
    if (index !== 0) raise(L, `invalid capture index %${index + 1}`);
    pushSlice(L, subject, matcher.start, matcher.end);
    return;
  }
  if (pattern.closed[index] !== true) raise(L, 'unfinished capture');
  const start = matcher.starts[index] ?? 0;
  const end = matcher.ends[index] ?? 0;
  if (end < 0) lua.lua_pushinteger(L, start + 1);
  else pushSlice(L, subject, start, end);
}

/** Pushes all captures, or the whole match when there are none and `wholeMatch`; returns their number. */
export function pushCaptures(L: LuaState, matcher: Matcher, wholeMatch: boolean): number {
  const count = matcher.pattern.captures === 0 && wholeMatch ? 1 : matcher.pattern.captures;
  lauxlib.luaL_checkstack(L, count, ascii('too many captures'));
  for (let i = 0; i < count; i++) pushCapture(L, matcher, i);
  return count;
}
