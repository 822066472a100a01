/**
 * What went wrong and where, read from a thread that has stopped. Only describeError changes the thread: it takes its error value.
 */
import type { LuaDebug, LuaState } from 'fengari';
import { ascii, latin1Of, lauxlib, lua } from '../engine/engine.ts';

/** Levels shown at the top and at the bottom of a deep stack, as in Lua's own traceback. */
const TOP_LEVELS = 10;
const BOTTOM_LEVELS = 11;
/** A script can give a function any name. */
const NAME_LENGTH = 80;
/** And an error any length: more than this no log line has room for. In bytes. */
const MESSAGE_LENGTH = 65_536;

/** What keeps a script, or a callback, from running; texts are latin1. */
export interface Problem {
  /** In Lua's words, mostly with `file:line: ` in front. One line or several. */
  readonly message: string;
  /** Lua's traceback, '' where there is none. */
  readonly traceback: string;
  /** `file:line` of the Lua code that failed; '' where none was at work. */
  readonly where: string;
}

/** Why L is about to be ended, with the line it is at. */
export function problemAt(L: LuaState, reason: string): Problem {
  const where = positionOf(L);
  return { message: where === '' ? reason : `${where}: ${reason}`, where, traceback: tracebackOf(L) };
}

/** `file:line` of the innermost Lua function, '' when there is none. */
export function positionOf(L: LuaState): string {
  const ar = new lua.lua_Debug();
  for (let level = 0; lua.lua_getstack(L, level, ar); level++) {
    lua.lua_getinfo(L, ascii('Sl'), ar);
    if (ar.currentline > 0) return `${sourceOf(ar)}:${ar.currentline}`;
    if (level > 200) break; // Each level is found by counting from the top.
  }
  return '';
}

/**
 * Lua's traceback, without its first line. luaL_traceback is not used: it looks for each function in all loaded modules,
 * which a script can make long, and needs a stack to work on.
 */
export function tracebackOf(L: LuaState): string {
  const ar = new lua.lua_Debug();
  const depth = depthOf(L);
  const lines = ['stack traceback:'];
  for (let level = 0; level < depth; level++) {
    if (level === TOP_LEVELS && depth > TOP_LEVELS + BOTTOM_LEVELS) {
      lines.push('\t...');
      level = depth - BOTTOM_LEVELS;
    }
    if (!lua.lua_getstack(L, level, ar)) break;
    lua.lua_getinfo(L, ascii('Slnt'), ar);
    const line = ar.currentline > 0 ? `${ar.currentline}:` : '';
    lines.push(`\t${shortSourceOf(ar)}:${line} in ${functionName(ar)}`);
    if (ar.istailcall) lines.push('\t(...tail calls...)');
  }
  return lines.join('\n');
}

/**
 * The text of the error value on top of a thread that has failed. Runs its __tostring, if it has one, in a thread of
 * its own under the running callback's budget.
 */
export function describeError(thread: LuaState): string {
  const text = messageAt(thread);
  if (text !== undefined) return text;
  const kind = latin1Of(lauxlib.luaL_typename(thread, -1));
  const { mainthread } = thread.l_G;
  const scratch = lua.lua_newthread(mainthread);
  lua.lua_pop(mainthread, 1);
  lua.lua_pushcfunction(scratch, callToString);
  lua.lua_xmove(thread, scratch, 1);
  const described = lua.lua_resume(scratch, null, 1) === lua.LUA_OK ? messageAt(scratch) : undefined;
  return described ?? `(error object is a ${kind} value)`;
}

/** The beginning of the string or number on top of a stack; undefined when it is something else. */
function messageAt(L: LuaState): string | undefined {
  const text = lua.lua_isstring(L, -1) ? lua.lua_tostring(L, -1) : null;
  return text === null ? undefined : latin1Of(text.subarray(0, MESSAGE_LENGTH));
}

/** As lua.c's message handler: __tostring if there is one. */
function callToString(L: LuaState): number {
  if (!lauxlib.luaL_callmeta(L, 1, ascii('__tostring'))) return 0;
  return lua.lua_type(L, -1) === lua.LUA_TSTRING ? 1 : 0;
}

function depthOf(L: LuaState): number {
  let depth = 0;
  for (let ci = L.ci; ci !== L.base_ci && ci.previous !== null; ci = ci.previous) depth++;
  return depth;
}

function sourceOf(ar: LuaDebug): string {
  const source = latin1Of(ar.source);
  return source.startsWith('@') ? source.slice(1) : latin1Of(ar.short_src);
}

function shortSourceOf(ar: LuaDebug): string {
  const source = latin1Of(ar.short_src);
  return source === '[JS]' ? '[C]' : source;
}

function functionName(ar: LuaDebug): string {
  const kind = latin1Of(ar.namewhat);
  if (kind !== '' && ar.name !== null) return `${kind} '${latin1Of(ar.name).slice(0, NAME_LENGTH)}'`;
  switch (latin1Of(ar.what)) {
    case 'main':
      return 'main chunk';
    case 'Lua':
      return `function <${shortSourceOf(ar)}:${ar.linedefined}>`;
    default:
      return '?';
  }
}
