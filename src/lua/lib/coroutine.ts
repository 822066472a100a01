/**
 * The library `coroutine`, through which waits and ends of time slices pass.
 *
 * A host function that waits yields the thread it runs in. In a coroutine that the script made, that yield ends in the
 * script's own `resume`, which would take it for the script's. So `resume` and `wrap` here look whether a yield is the
 * host's, yield one level up themselves, and resume the coroutine when they are resumed.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { CANNOT_WAIT } from '../context/suspension.ts';
import { ascii, endedUncatchably, lauxlib, lua, lualib, throwUncatchable } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';

/** What `resume` and `wrap` return from `nresults` values (or, when not ok, one error value) on top of the stack. */
type Finish = (L: LuaState, ok: boolean, nresults: number) => number;

/** Resumes `co` with the `nargs` values on top of L. */
function resume(L: LuaState, co: LuaState, nargs: number, finish: Finish): number {
  if (!lua.lua_checkstack(co, nargs)) return fail(L, 'too many arguments to resume', finish);
  if (lua.lua_status(co) === lua.LUA_OK) {
    if (lua.lua_gettop(co) === 0) return fail(L, 'cannot resume dead coroutine', finish);
    // Tested here because a coroutine that ended uncatchably looks like one that runs, and must not be taken for one.
    if (co.ci !== co.base_ci) return fail(L, 'cannot resume non-suspended coroutine', finish);
  }
  lua.lua_xmove(L, co, nargs);
  // All threads count their instructions together: a crowd of short coroutines must not stay under the hook's count.
  // (One that was stopped by the hook keeps its own count, which makes the VM repeat the instruction.)
  co.hookcount = L.hookcount;
  return run(L, co, nargs, finish);
}

function run(L: LuaState, co: LuaState, nargs: number, finish: Finish): number {
  for (let n = nargs; ; n = 0) {
    const status = lua.lua_resume(co, L, n);
    const host = hostOf(L);
    L.hookcount = Math.max(1, co.hookcount);
    if (status === lua.LUA_YIELD && host.suspension !== null) {
      if (lua.lua_isyieldable(L)) return lua.lua_yieldk(L, 0, { co, finish }, goOn);
      host.suspension.refuse(CANNOT_WAIT);
      host.dropSuspension();
      continue;
    }
    if (status === lua.LUA_OK || status === lua.LUA_YIELD) {
      const nresults = lua.lua_gettop(co);
      if (!lua.lua_checkstack(L, nresults + 1)) {
        lua.lua_pop(co, nresults);
        return fail(L, 'too many results to resume', finish);
      }
      lua.lua_xmove(co, L, nresults);
      return finish(L, true, nresults);
    }
    if (endedUncatchably(co)) throwUncatchable(L);
    lua.lua_xmove(co, L, 1);
    return finish(L, false, 1);
  }
}

/** The host's yield has been to the driver and back. */
function goOn(L: LuaState, _status: number, context: unknown): number {
  const { co, finish } = context as { co: LuaState; finish: Finish };
  return run(L, co, 0, finish);
}

function fail(L: LuaState, message: string, finish: Finish): number {
  lua.lua_pushliteral(L, message);
  return finish(L, false, 1);
}

function checkThread(L: LuaState): LuaState {
  const co = lua.lua_tothread(L, 1);
  if (co === null) return lauxlib.luaL_argerror(L, 1, ascii('thread expected'));
  return co;
}

const coResume: LuaFunction = (L) => {
  const co = checkThread(L);
  return resume(L, co, lua.lua_gettop(L) - 1, finishResume);
};

const finishResume: Finish = (L, ok, nresults) => {
  lua.lua_pushboolean(L, ok);
  lua.lua_insert(L, -(nresults + 1));
  return nresults + 1;
};

const coWrap: LuaFunction = (L) => {
  lauxlib.luaL_checktype(L, 1, lua.LUA_TFUNCTION);
  const co = lua.lua_newthread(L);
  lua.lua_pushvalue(L, 1);
  lua.lua_xmove(L, co, 1);
  lua.lua_pushcclosure(L, callWrapped, 1);
  return 1;
};

const callWrapped: LuaFunction = (L) => {
  const co = lua.lua_tothread(L, lua.lua_upvalueindex(1));
  return co === null ? 0 : resume(L, co, lua.lua_gettop(L), finishWrap);
};

const finishWrap: Finish = (L, ok, nresults) => {
  if (ok) return nresults;
  if (lua.lua_type(L, -1) === lua.LUA_TSTRING) {
    lauxlib.luaL_where(L, 1);
    lua.lua_insert(L, -2);
    lua.lua_concat(L, 2);
  }
  return lua.lua_error(L);
};

/** A callback is no coroutine to its script, though it is one to us. */
const coYield: LuaFunction = (L) => {
  if (L === hostOf(L).thread)
    return lauxlib.luaL_error(L, ascii('attempt to yield from outside a coroutine'));
  return lua.lua_yield(L, lua.lua_gettop(L));
};

const coIsYieldable: LuaFunction = (L) => {
  lua.lua_pushboolean(L, L !== hostOf(L).thread && lua.lua_isyieldable(L));
  return 1;
};

const coRunning: LuaFunction = (L) => {
  lua.lua_pushthread(L);
  lua.lua_pushboolean(L, L === hostOf(L).thread);
  return 2;
};

/** Opens the library, as luaopen_coroutine does. */
export const openCoroutine: LuaFunction = (L) => {
  lualib.luaopen_coroutine(L); // create and status stay.
  lauxlib.luaL_setfuncs(
    L,
    { resume: coResume, wrap: coWrap, yield: coYield, isyieldable: coIsYieldable, running: coRunning },
    0,
  );
  return 1;
};
