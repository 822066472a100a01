/**
 * The math library, with random numbers of the state's own: fengari's are of the process, so that `math.randomseed` of one
 * session decided what `math.random` gave to all others.
 */
import type { LuaState } from 'fengari';
import { ascii, lauxlib, lua, lualib } from '../engine/engine.ts';
import { hostOf, PerState } from '../engine/host.ts';
import { argumentError } from './arguments.ts';

/** Of glibc's linear congruential generator, as fengari has it: the same seed gives the same numbers as ever. */
const MULTIPLIER = 1103515245;
const INCREMENT = 12345;
const MASK = 0x7fffffff;
const LARGEST = 0x7fffffff;

/** What the generator is at; absent until the script has seeded it. */
const generators = new PerState<number>();

function advance(state: number): number {
  return (Math.imul(MULTIPLIER, state) + INCREMENT) & MASK;
}

/** From 0 to below 1. */
function nextNumber(L: LuaState): number {
  const host = hostOf(L);
  const state = generators.get(host);
  if (state === undefined) return host.random();
  const next = advance(state);
  generators.set(host, next);
  return next / (MASK + 1);
}

function math_random(L: LuaState): number {
  const count = lua.lua_gettop(L);
  if (count === 0) {
    lua.lua_pushnumber(L, nextNumber(L));
    return 1;
  }
  if (count > 2) return lauxlib.luaL_error(L, ascii('wrong number of arguments'));
  const low = count === 1 ? 1 : lauxlib.luaL_checkinteger(L, 1);
  const high = lauxlib.luaL_checkinteger(L, count);
  if (low > high) argumentError(L, 1, 'interval is empty');
  if (low < 0 && high > LARGEST + low) argumentError(L, 1, 'interval too large');
  lua.lua_pushinteger(L, Math.floor(nextNumber(L) * (high - low + 1)) + low);
  return 1;
}

function math_randomseed(L: LuaState): number {
  const seed = Math.trunc(lauxlib.luaL_checknumber(L, 1)) | 0;
  // The first number is thrown away: it is too near to the seed.
  generators.set(hostOf(L), advance(seed === 0 ? 1 : seed));
  return 0;
}

export function luaopen_math(L: LuaState): number {
  lualib.luaopen_math(L);
  lauxlib.luaL_setfuncs(L, { random: math_random, randomseed: math_randomseed }, 0);
  return 1;
}
