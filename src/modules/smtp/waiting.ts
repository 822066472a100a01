/** Functions of a policy that have to do with waiting: `smtp.delay` and `must`. api.ts describes them. */
import type { LuaFunction, LuaState } from 'fengari';
import { latin1Of, lauxlib, lua } from '../../lua/engine/engine.ts';
import { argumentError, raise } from '../../lua/lib/arguments.ts';
import type { Clock } from '../../services/clock.ts';
import { MAX_SECONDS } from '../arguments.ts';
import { type Results, waiting } from '../job.ts';

const over: Results = (L) => {
  lua.lua_pushboolean(L, true);
  return 1;
};

/** smtp.delay(seconds): seconds with decimals, from 0. */
export function delayBy(clock: Clock): LuaFunction {
  return waiting((L, first) => {
    const seconds = lauxlib.luaL_checknumber(L, first);
    if (!(seconds >= 0 && seconds <= MAX_SECONDS)) {
      argumentError(L, first, `seconds expected, from 0 to ${MAX_SECONDS}`);
    }
    return { begin: (cancelled) => clock.wait(seconds * 1000, cancelled).then(() => over) };
  });
}

/** must(...) */
export function must(L: LuaState): number {
  if (lua.lua_isnil(L, 1) && !lua.lua_isnoneornil(L, 2)) {
    const reason = latin1Of(lauxlib.luaL_tolstring(L, 2));
    return raise(L, `could not find out: ${reason}`);
  }
  return lua.lua_gettop(L);
}
