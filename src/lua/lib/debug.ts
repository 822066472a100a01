/**
 * The debug library, reduced to what looks at Lua functions: what could switch off a budget, change another function's
 * variables behind its back or reach the registry is refused.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, lauxlib, lua, lualib } from '../engine/engine.ts';
import { argumentError, raise } from './arguments.ts';

const REFUSED = [
  'debug',
  'gethook',
  'getregistry',
  'sethook',
  'setlocal',
  'setmetatable',
  'setupvalue',
  'setuservalue',
  'upvaluejoin',
];

function refusal(name: string): LuaFunction {
  return (L) => raise(L, `debug.${name} is not available in a policy`);
}

/** Whether the function at `index`, or the one that runs at the level given there, is written in Lua. */
function concernsLua(L: LuaState, thread: LuaState, index: number): boolean {
  const info = new lua.lua_Debug();
  if (lua.lua_isfunction(L, index)) {
    lua.lua_pushvalue(L, index);
    lua.lua_getinfo(L, ascii('>S'), info);
  } else {
    const level = lua.lua_tointegerx(L, index);
    // The wrapper adds no level: it runs as the function that the script called.
    if (level === false || level < 0 || !lua.lua_getstack(thread, level, info)) return true;
    lua.lua_getinfo(thread, ascii('S'), info);
  }
  return info.what[0] !== 0x43; // "C"
}

/** Values of functions of the host are its own: scripts see none of their locals and upvalues, but `otherwise`. */
function luaOnly(original: LuaFunction, otherwise: LuaFunction, takesLevel: boolean): LuaFunction {
  return (L) => {
    const thread = lua.lua_tothread(L, 1);
    const index = thread === null ? 1 : 2;
    if (!takesLevel && !lua.lua_isfunction(L, index)) return original(L); // With its error.
    return concernsLua(L, thread ?? L, index) ? original(L) : otherwise(L);
  };
}

/** What C Lua does about a function that has no locals and no upvalues. */
const WITHOUT: Readonly<Record<string, LuaFunction>> = {
  getlocal: (L) => {
    lua.lua_pushnil(L);
    return 1;
  },
  getupvalue: () => 0,
  upvalueid: (L) => argumentError(L, 2, 'invalid upvalue index'),
};

/** The function `name` of the library on top of the stack. */
function functionOf(L: LuaState, name: string): LuaFunction {
  lua.lua_getfield(L, -1, ascii(name));
  const found = lua.lua_topointer(L, -1);
  lua.lua_pop(L, 1);
  if (!isLuaFunction(found)) throw new Error(`fengari has no debug.${name}`);
  return found;
}

function isLuaFunction(value: unknown): value is LuaFunction {
  return typeof value === 'function';
}

/** There are seven, and each is looked for anew where it is given again. */
const MOST_OPTIONS = 100;

/** An option `>` is C's way to say that a function is on the stack; C Lua takes whatever is there. */
function withoutStack(getinfo: LuaFunction): LuaFunction {
  return (L) => {
    const options = lua.lua_tothread(L, 1) === null ? 2 : 3;
    if (!lua.lua_isnoneornil(L, options)) {
      const letters = lauxlib.luaL_checkstring(L, options);
      if (letters[0] === 0x3e || letters.length > MOST_OPTIONS) argumentError(L, options, 'invalid option');
    }
    return getinfo(L);
  };
}

/** The message stays whole, and is copied once. */
function traceback(L: LuaState): number {
  const thread = lua.lua_tothread(L, 1);
  const message = thread === null ? 1 : 2;
  if (lua.lua_tostring(L, message) === null && !lua.lua_isnoneornil(L, message)) {
    lua.lua_pushvalue(L, message); // As it is.
    return 1;
  }
  const level = lauxlib.luaL_optinteger(L, message + 1, thread === null || thread === L ? 1 : 0);
  const isGiven = !lua.lua_isnoneornil(L, message);
  if (isGiven) {
    lua.lua_pushvalue(L, message);
    lua.lua_pushstring(L, NEWLINE);
  }
  lauxlib.luaL_traceback(L, thread ?? L, null, level);
  if (isGiven) lua.lua_concat(L, 3);
  return 1;
}

const NEWLINE = ascii('\n');

export function luaopen_debug(L: LuaState): number {
  lualib.luaopen_debug(L);
  lua.lua_pushcfunction(L, traceback);
  lua.lua_setfield(L, -2, ascii('traceback'));
  lua.lua_pushcfunction(L, withoutStack(functionOf(L, 'getinfo')));
  lua.lua_setfield(L, -2, ascii('getinfo'));
  for (const [name, otherwise] of Object.entries(WITHOUT)) {
    lua.lua_pushcfunction(L, luaOnly(functionOf(L, name), otherwise, name === 'getlocal'));
    lua.lua_setfield(L, -2, ascii(name));
  }
  for (const name of REFUSED) {
    lua.lua_pushcfunction(L, refusal(name));
    lua.lua_setfield(L, -2, ascii(name));
  }
  return 1;
}
