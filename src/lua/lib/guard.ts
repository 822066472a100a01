/**
 * The base functions that protect calls or run text: `pcall`, `xpcall`, `load`, `loadfile`, `dofile`.
 *
 * They are ours so that the end of a callback passes through them (fengari's own would hand it to the script as an
 * error), so that work on a long text is counted, and so that precompiled chunks are refused: the VM does not check
 * them, and one made by hand can reach what belongs to JavaScript.
 */
import { closeSync, constants, openSync, readFileSync, statSync } from 'node:fs';
import type { LuaFunction, LuaState, LuaString } from 'fengari';
import { ascii, bytesOf, latin1Of, lauxlib, lua } from '../engine.ts';
import { hostOf } from '../host.ts';
import { luaText, ScriptError } from '../script.ts';
import { checkLength } from './budget.ts';
import { errnoOf, errorText } from './errno.ts';
import { pushCompiledFile } from './source-files.ts';

const MULTRET = -1;

/** `skip` values below the results are not the caller's. */
function finishCall(L: LuaState, status: number, skip: unknown): number {
  if (status !== lua.LUA_OK && status !== lua.LUA_YIELD) {
    lua.lua_pushboolean(L, false);
    lua.lua_pushvalue(L, -2);
    return 2;
  }
  return lua.lua_gettop(L) - (skip as number);
}

const pcall: LuaFunction = (L) => {
  lauxlib.luaL_checkany(L, 1);
  lua.lua_pushboolean(L, true);
  lua.lua_insert(L, 1);
  const status = lua.lua_pcallk(L, lua.lua_gettop(L) - 2, MULTRET, 0, 0, finishCall);
  return finishCall(L, status, 0);
};

const xpcall: LuaFunction = (L) => {
  const n = lua.lua_gettop(L);
  lauxlib.luaL_checktype(L, 2, lua.LUA_TFUNCTION);
  lua.lua_pushboolean(L, true);
  lua.lua_pushvalue(L, 1);
  lua.lua_rotate(L, 3, 2); // function, handler, true, function, arguments
  const status = lua.lua_pcallk(L, n - 2, MULTRET, 2, 2, finishCall);
  return finishCall(L, status, 2);
};

/** The parser is not interrupted by the count hook, so it is fed in pieces, each of them counted. */
const PIECE = 4096;
/** Parsing takes about 100 ns for a byte. */
const STEPS_PER_BYTE = 10;
const TEXT = ascii('t');
/** Where load's reader keeps its last piece: above all arguments. */
const RESERVED_SLOT = 5;

/** Loads `text` as a function, or leaves the parser's message; returns the status. */
function loadText(L: LuaState, text: LuaString, chunkName: LuaString): number {
  let position = 0;
  const reader = (L: LuaState): LuaString | null => {
    if (position >= text.length) return null;
    const piece = text.subarray(position, position + PIECE);
    position += PIECE;
    hostOf(L).charge(L, piece.length * STEPS_PER_BYTE);
    return piece;
  };
  return lua.lua_load(L, reader, null, chunkName, TEXT);
}

function readPiece(L: LuaState): LuaString | null {
  lauxlib.luaL_checkstack(L, 2, ascii('too many nested functions'));
  lua.lua_pushvalue(L, 1);
  lua.lua_call(L, 0, 1);
  if (lua.lua_isnil(L, -1)) {
    lua.lua_pop(L, 1);
    return null;
  }
  if (!lua.lua_isstring(L, -1)) return lauxlib.luaL_error(L, ascii('reader function must return a string'));
  lua.lua_replace(L, RESERVED_SLOT);
  const piece = lua.lua_tostring(L, RESERVED_SLOT);
  hostOf(L).charge(L, (piece?.length ?? 0) * STEPS_PER_BYTE);
  return piece;
}

/** The result of a load with `status`: the function with its environment from `env` (0: none given), or nil, message. */
function finishLoad(L: LuaState, status: number, env: number): number {
  if (status === lua.LUA_OK) {
    if (env !== 0) {
      lua.lua_pushvalue(L, env);
      if (lua.lua_setupvalue(L, -2, 1) === null) lua.lua_pop(L, 1);
    }
    return 1;
  }
  lua.lua_pushnil(L);
  lua.lua_insert(L, -2);
  return 2;
}

function refuse(L: LuaState, message: string): number {
  lua.lua_pushnil(L);
  lua.lua_pushstring(L, bytesOf(message));
  return 2;
}

/** Whether a mode argument allows text; it is an error of the script's when it does not, as in Lua. */
const allowsText = (mode: LuaString): boolean => latin1Of(mode).includes('t');
const notText = (mode: LuaString): string => `attempt to load a text chunk (mode is '${latin1Of(mode)}')`;

const load: LuaFunction = (L) => {
  const text = lua.lua_tostring(L, 1);
  const mode = lauxlib.luaL_optstring(L, 3, TEXT);
  const env = lua.lua_isnone(L, 4) ? 0 : 4;
  if (!allowsText(mode)) return refuse(L, notText(mode));
  if (text !== null) return finishLoad(L, loadText(L, text, lauxlib.luaL_optstring(L, 2, text)), env);
  const chunkName = lauxlib.luaL_optstring(L, 2, ascii('=(load)'));
  lauxlib.luaL_checktype(L, 1, lua.LUA_TFUNCTION);
  lua.lua_settop(L, RESERVED_SLOT);
  return finishLoad(L, lua.lua_load(L, readPiece, null, chunkName, TEXT), env);
};

/** Some files of /proc would stop the whole process until there is something to read. */
function readWithoutWaiting(path: Buffer): Buffer {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Loads a file of Lua text as luaL_loadfilex does: a function on the stack and LUA_OK, or a message and another status.
 */
export function loadFile(L: LuaState, name: LuaString): number {
  if (pushCompiledFile(L, latin1Of(name))) return lua.LUA_OK;
  const path = Buffer.from(name);
  let text: LuaString;
  try {
    const stats = statSync(path);
    if (!stats.isFile()) return pushProblem(L, 'read', name, 'Not a regular file');
    checkLength(L, stats.size);
    text = luaText(readWithoutWaiting(path));
  } catch (error) {
    if (error instanceof ScriptError) return pushProblem(L, 'load', name, error.message);
    if (!(error instanceof Error)) throw error; // Lua's own.
    return pushProblem(L, 'open', name, errorText(errnoOf(error)));
  }
  return loadText(L, text, Buffer.concat([Buffer.from('@'), name]));
}

function pushProblem(L: LuaState, verb: string, name: LuaString, reason: string): number {
  lua.lua_pushstring(L, bytesOf(`cannot ${verb} ${latin1Of(name)}: ${reason}`));
  return lua.LUA_ERRRUN;
}

const NO_NAME = 'cannot read stdin: a policy has no standard input';

const loadfile: LuaFunction = (L) => {
  if (lua.lua_isnoneornil(L, 1)) return refuse(L, NO_NAME);
  const name = lauxlib.luaL_checkstring(L, 1);
  const mode = lauxlib.luaL_optstring(L, 2, TEXT);
  const env = lua.lua_isnone(L, 3) ? 0 : 3;
  if (!allowsText(mode)) return refuse(L, notText(mode));
  return finishLoad(L, loadFile(L, name), env);
};

const dofile: LuaFunction = (L) => {
  if (lua.lua_isnoneornil(L, 1)) return lauxlib.luaL_error(L, ascii(NO_NAME));
  const name = lauxlib.luaL_checkstring(L, 1);
  lua.lua_settop(L, 1);
  if (loadFile(L, name) !== lua.LUA_OK) return lua.lua_error(L);
  lua.lua_callk(L, 0, MULTRET, 0, finishDofile);
  return finishDofile(L);
};

const finishDofile = (L: LuaState): number => lua.lua_gettop(L) - 1;

/** Puts the functions into the globals in place of the base library's. */
export function installGuard(L: LuaState): void {
  lua.lua_pushglobaltable(L);
  lauxlib.luaL_setfuncs(L, { pcall, xpcall, load, loadfile, dofile }, 0);
  lua.lua_pop(L, 1);
}
