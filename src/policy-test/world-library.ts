/**
 * What Lua code sees of a test's world: functions of the libraries `os`, `io`, `package` and `smtp` that ask it instead
 * of the system.
 *
 * They go on in the functions they stand before, in the same call, so that errors, budgets and waits stay as they are.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { MAX_SECONDS } from '../lua/dns-arguments.ts';
import { ascii, bytesOf, latin1Of, lauxlib, lua } from '../lua/engine.ts';
import { hostOf } from '../lua/host.ts';
import { argumentError, pushInteger } from '../lua/lib/arguments.ts';
import { pushOptional, readLatin1 } from '../lua/values.ts';
import type { World } from './world.ts';

/** Functions that are given names of files, and how many. */
const FILE_FUNCTIONS = [
  ['io', 'open', 1],
  ['io', 'lines', 1],
  ['io', 'input', 1],
  ['io', 'output', 1],
  ['os', 'remove', 1],
  ['os', 'rename', 2],
  ['_G', 'dofile', 1],
  ['_G', 'loadfile', 1],
] as const;

/**
 * Puts them in place in a template state that has all libraries.
 *
 * @param world the world that holds at the time of a call
 * @param required is told of the file of each module that is loaded, in latin1
 */
export function installWorld(world: () => World, required: (file: string) => void): (L: LuaState) => void {
  return (L) => {
    for (const [library, name, count] of FILE_FUNCTIONS) {
      replace(L, library, name, (original) => (state) => {
        for (let arg = 1; arg <= count; arg++) locate(state, arg, world());
        return original(state);
      });
    }
    replace(L, 'os', 'time', (original) => (state) => {
      if (!lua.lua_isnoneornil(state, 1)) return original(state);
      pushInteger(state, Math.floor(world().now()));
      return 1;
    });
    replace(L, 'os', 'date', (original) => (state) => {
      if (lua.lua_isnoneornil(state, 2)) {
        lauxlib.luaL_optstring(state, 1, ascii('%c')); // Its error comes first.
        lua.lua_settop(state, 1);
        pushInteger(state, Math.floor(world().now()));
      }
      return original(state);
    });
    replace(L, 'os', 'getenv', () => (state) => {
      pushOptional(state, world().environment.get(latin1Of(lauxlib.luaL_checkstring(state, 1))));
      return 1;
    });
    watchModules(L, required);
  };
}

/** Lets smtp.delay() move the world's clock instead of taking time; for states that have the table `smtp`. */
export function installDelay(world: () => World): (L: LuaState) => void {
  return (L) => {
    replace(L, 'smtp', 'delay', () => (state) => {
      const seconds = lauxlib.luaL_checknumber(state, 1);
      if (!(seconds >= 0 && seconds <= MAX_SECONDS)) {
        return argumentError(state, 1, `seconds expected, from 0 to ${MAX_SECONDS}`);
      }
      return hostOf(state).wait(
        state,
        async () => world().advance(seconds),
        (to) => {
          lua.lua_pushboolean(to, true);
          return 1;
        },
      );
    });
  };
}

/** Puts another function in the place of one of a library. */
function replace(
  L: LuaState,
  library: string,
  name: string,
  make: (original: LuaFunction) => LuaFunction,
): void {
  lua.lua_getglobal(L, ascii(library));
  lua.lua_getfield(L, -1, ascii(name));
  const original = lua.lua_topointer(L, -1);
  if (!isLuaFunction(original)) throw new Error(`there is no ${library}.${name}`);
  lua.lua_pushcfunction(L, make(original));
  lua.lua_setfield(L, -3, ascii(name));
  lua.lua_pop(L, 2);
}

function isLuaFunction(value: unknown): value is LuaFunction {
  return typeof value === 'function';
}

/** Puts the place of a file in this world in the place of its name. */
function locate(L: LuaState, arg: number, world: World): void {
  if (lua.lua_type(L, arg) !== lua.LUA_TSTRING) return;
  const name = readLatin1(L, arg) ?? '';
  const place = world.locate(name);
  if (place === name) return;
  lua.lua_pushstring(L, bytesOf(place));
  lua.lua_replace(L, arg);
}

/** Stands before the searcher that finds Lua files. */
function watchModules(L: LuaState, required: (file: string) => void): void {
  lua.lua_getglobal(L, ascii('package'));
  lua.lua_getfield(L, -1, ascii('searchers'));
  lua.lua_rawgeti(L, -1, 2);
  lua.lua_pushcclosure(
    L,
    (state) => {
      const given = lua.lua_gettop(state);
      lua.lua_pushvalue(state, lua.lua_upvalueindex(1));
      lua.lua_insert(state, 1);
      lua.lua_call(state, given, lua.LUA_MULTRET);
      const found = lua.lua_gettop(state) === 2 ? readLatin1(state, 2) : undefined;
      if (found !== undefined) required(found);
      return lua.lua_gettop(state);
    },
    1,
  );
  lua.lua_rawseti(L, -2, 2);
  lua.lua_pop(L, 2);
}
