/**
 * Objects of JavaScript that a script holds, with the methods that the description of their class names:
 * `kv.store:get` is a method of the class `kv.store`.
 */
import type { LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../lua/engine/engine.ts';
import { argumentError } from '../lua/lib/arguments.ts';

/** Field of the userdata. */
const FIELD = 'object';

type Class<T> = abstract new (...args: never[]) => T;

/**
 * Pushes an object as a value of a class. A state that holds one that is not `unchanging` cannot be copied.
 * @param bytes that the session keeps with it
 */
export function pushObject(L: LuaState, className: string, object: object, bytes = 0): void {
  lua.lua_newuserdata(L, bytes)[FIELD] = object;
  lauxlib.luaL_setmetatable(L, ascii(className));
}

/** The object in argument `arg`; raises an error for anything else. */
export function checkObject<T>(L: LuaState, arg: number, className: string, of: Class<T>): T {
  const object = lauxlib.luaL_checkudata(L, arg, ascii(className))[FIELD];
  return object instanceof of ? object : argumentError(L, arg, `${className} expected`);
}
