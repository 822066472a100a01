/**
 * The string library.
 */
import type { LuaState } from 'fengari';
import { lauxlib, lualib } from '../engine.ts';
import { string_format } from './format.ts';

export function luaopen_string(L: LuaState): number {
  lualib.luaopen_string(L);
  lauxlib.luaL_setfuncs(L, { format: string_format }, 0);
  return 1;
}
