/**
 * The base functions that protect calls or run text: `pcall`, `xpcall`, `load`, `loadfile`, `dofile`.
 *
 * They are ours so that the end of a callback passes through them (fengari's own would hand it to the script as an
 * error), so that work on a text is counted and limited, and so that precompiled chunks are refused: the VM does not check
 * them, and one made by hand can reach what belongs to JavaScript.
 */
import type { LuaFunction, LuaState, LuaString } from 'fengari';
import { ascii, bytesOf, latin1Of, lauxlib, lua } from '../engine/engine.ts';
import { CHUNK_TOO_LONG, LONGEST_CHUNK, loadText } from './load-text.ts';
import { pushFile } from './source-files.ts';
import { type Call, runSteps, type Steps } from './steps.ts';

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

const TEXT = ascii('t');

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
/** Bytes of a mode that are looked at: two have a meaning. */
const LONGEST_MODE = 100;
const optMode = (L: LuaState, arg: number): LuaString =>
  lauxlib.luaL_optstring(L, arg, TEXT).subarray(0, LONGEST_MODE);
const notText = (mode: LuaString): string => `attempt to load a text chunk (mode is '${latin1Of(mode)}')`;

const load: LuaFunction = (L) => {
  const text = lua.lua_tostring(L, 1);
  const mode = optMode(L, 3);
  const env = lua.lua_isnone(L, 4) ? 0 : 4;
  if (!allowsText(mode)) return refuse(L, notText(mode));
  if (text !== null) return runSteps(L, loadChunk(L, text, lauxlib.luaL_optstring(L, 2, text), env));
  const chunkName = lauxlib.luaL_optstring(L, 2, ascii('=(load)'));
  lauxlib.luaL_checktype(L, 1, lua.LUA_TFUNCTION);
  lua.lua_settop(L, 4);
  return collect(L, new Collection(chunkName, env));
};

function* loadChunk(L: LuaState, text: LuaString, chunkName: LuaString, env: number): Steps {
  return finishLoad(L, yield* loadText(L, text, chunkName), env);
}

/** A chunk that a function of the script hands out in pieces, which is asked for all of them before they are compiled. */
class Collection {
  readonly chunkName: LuaString;
  readonly env: number;
  readonly pieces: LuaString[] = [];
  length = 0;

  constructor(chunkName: LuaString, env: number) {
    this.chunkName = chunkName;
    this.env = env;
  }
}

function collect(L: LuaState, job: Collection): number {
  for (;;) {
    lua.lua_pushvalue(L, 1);
    const results = take(L, lua.lua_pcallk(L, 0, 1, 0, job, resumeCollect), job);
    if (results !== null) return results;
  }
}

const resumeCollect = (L: LuaState, status: number, job: unknown): number =>
  job instanceof Collection ? (take(L, status, job) ?? collect(L, job)) : 0;

/** Takes the piece on top of the stack; the number of load's results when it was the last, or an error. */
function take(L: LuaState, status: number, job: Collection): number | null {
  if (status !== lua.LUA_OK && status !== lua.LUA_YIELD) return finishLoad(L, status, 0);
  const isEnd = lua.lua_isnil(L, -1);
  const piece = isEnd || !lua.lua_isstring(L, -1) ? null : lua.lua_tostring(L, -1);
  if (piece === null && !isEnd) {
    lauxlib.luaL_where(L, 1);
    return refuse(
      L,
      `${latin1Of(lua.lua_tostring(L, -1) ?? bytesOf(''))}reader function must return a string`,
    );
  }
  lua.lua_pop(L, 1);
  if (piece !== null && piece.length > 0) {
    job.length += piece.length;
    if (job.length > LONGEST_CHUNK) return refuse(L, CHUNK_TOO_LONG);
    job.pieces.push(piece);
    return null;
  }
  const text = new Uint8Array(Buffer.concat(job.pieces));
  return runSteps(L, loadChunk(L, text, job.chunkName, job.env));
}

const NO_NAME = 'cannot read stdin: a policy has no standard input';

const loadfile: LuaFunction = (L) => {
  if (lua.lua_isnoneornil(L, 1)) return refuse(L, NO_NAME);
  const name = lauxlib.luaL_checkstring(L, 1);
  const mode = optMode(L, 2);
  return runSteps(L, loadFile(L, name, mode, lua.lua_isnone(L, 3) ? 0 : 3));
};

function* loadFile(L: LuaState, name: LuaString, mode: LuaString, env: number): Steps {
  const problem = yield* pushFile(L, name);
  if (problem !== null && (allowsText(mode) || problem.startsWith('cannot '))) return refuse(L, problem);
  if (!allowsText(mode)) return refuse(L, notText(mode));
  return finishLoad(L, lua.LUA_OK, env);
}

const dofile: LuaFunction = (L) => {
  if (lua.lua_isnoneornil(L, 1)) return lauxlib.luaL_error(L, ascii(NO_NAME));
  const name = lauxlib.luaL_checkstring(L, 1);
  lua.lua_settop(L, 1);
  return runSteps(L, runFile(L, name));
};

const RUN: Call = { args: 0, results: MULTRET };

function* runFile(L: LuaState, name: LuaString): Steps {
  const problem = yield* pushFile(L, name);
  if (problem !== null) {
    lua.lua_pushstring(L, bytesOf(problem));
    return lua.lua_error(L);
  }
  yield RUN;
  return lua.lua_gettop(L) - 1;
}

/** Puts the functions into the globals in place of the base library's. */
export function installGuard(L: LuaState): void {
  lua.lua_pushglobaltable(L);
  lauxlib.luaL_setfuncs(L, { pcall, xpcall, load, loadfile, dofile }, 0);
  lua.lua_pop(L, 1);
}
