/** Arguments of the functions of `dns` and of other functions that wait. */
import type { LuaState } from 'fengari';
import { type Address, parseAddress, questionName } from '../dns/name.ts';
import { type CodePattern, parseCodePattern } from '../dns/return-code.ts';
import { latin1Of, lauxlib, lua } from './engine.ts';
import { argumentError } from './lib/arguments.ts';
import { readArray } from './values.ts';

/** A callback's deadline ends a wait long before. */
export const MAX_SECONDS = 86_400;

/** Text argument `arg` as bytes in latin1. */
export function checkText(L: LuaState, arg: number): string {
  return latin1Of(lauxlib.luaL_checkstring(L, arg));
}

/** Time-out argument `arg`, seconds with decimals, in milliseconds; undefined when it is nil or missing. */
export function optTimeout(L: LuaState, arg: number): number | undefined {
  if (lua.lua_isnoneornil(L, arg)) return undefined;
  const seconds = lauxlib.luaL_checknumber(L, arg);
  if (seconds > 0 && seconds <= MAX_SECONDS) return seconds * 1000;
  return argumentError(L, arg, `seconds expected, more than 0 and at most ${MAX_SECONDS}`);
}

export function checkAddress(L: LuaState, arg: number): Address {
  return parseAddress(checkText(L, arg)) ?? argumentError(L, arg, 'IP address expected');
}

/** The domain of a list, without trailing dot. It is the script's own and must be right. */
export function checkZone(L: LuaState, arg: number): string {
  const question = questionName(checkText(L, arg));
  return question.kind === 'name' && question.name !== '.'
    ? question.name
    : argumentError(L, arg, 'domain of a list expected');
}

/** A string or an array of strings with the answers of a list that count; undefined when it is nil or missing. */
export function optCodes(L: LuaState, arg: number): CodePattern | undefined {
  if (lua.lua_isnoneornil(L, arg)) return undefined;
  const texts = lua.lua_istable(L, arg) ? readArray(L, arg) : [checkText(L, arg)];
  if (texts === undefined || texts.length === 0) {
    return argumentError(L, arg, 'array of strings as "127.0.0.2" expected');
  }
  const patterns = texts.map(
    (text) =>
      parseCodePattern(text) ??
      argumentError(L, arg, 'strings as "127.0.0.2" or "127.0.0.[2;4..11]" expected'),
  );
  return (answer) => patterns.some((pattern) => pattern(answer));
}
