/**
 * Functions of a policy that have to do with waiting: `smtp.delay` and `must`.
 *
 *     smtp.delay(seconds)     true; suspends this callback only. At most a day; the callback's deadline counts
 *     must(...)               its arguments; raises on `nil, err`
 */
import type { LuaState } from 'fengari';
import { MAX_SECONDS } from '../dns-arguments.ts';
import { ascii, latin1Of, lauxlib, lua } from '../engine.ts';
import { hostOf } from '../host.ts';
import { argumentError, raise } from '../lib/arguments.ts';

/** smtp.delay(seconds): seconds with decimals, from 0. */
function delay(L: LuaState): number {
  const seconds = lauxlib.luaL_checknumber(L, 1);
  if (!(seconds >= 0 && seconds <= MAX_SECONDS)) {
    return argumentError(L, 1, `seconds expected, from 0 to ${MAX_SECONDS}`);
  }
  return hostOf(L).wait(
    L,
    (cancelled) =>
      new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, seconds * 1000);
        cancelled.addEventListener('abort', () => clearTimeout(timer));
      }),
    (state) => {
      lua.lua_pushboolean(state, true);
      return 1;
    },
  );
}

/**
 * must(...): turns "could not find out" into an error, and so into the action of `--on-error` where nothing catches it.
 * Any other results go through unchanged: `false, seconds` too, and a nil alone.
 */
function must(L: LuaState): number {
  if (lua.lua_isnil(L, 1) && !lua.lua_isnoneornil(L, 2)) {
    const reason = latin1Of(lauxlib.luaL_tolstring(L, 2));
    return raise(L, `could not find out: ${reason}`);
  }
  return lua.lua_gettop(L);
}

/** Adds both to the globals of a template state in which openSmtp() has run. */
export function installWaiting(L: LuaState): void {
  lua.lua_getglobal(L, ascii('smtp'));
  lauxlib.luaL_setfuncs(L, { delay }, 0);
  lua.lua_pop(L, 1);
  lua.lua_pushcfunction(L, must);
  lua.lua_setglobal(L, ascii('must'));
}
