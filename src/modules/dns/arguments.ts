/** Arguments of the functions of `dns`. */
import type { LuaState } from 'fengari';
import { type Address, MAX_WRITTEN, parseAddress, questionName } from '../../dns/name.ts';
import { type CodePattern, MAX_PATTERN, parseCodePattern } from '../../dns/return-code.ts';
import { lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { readArray } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { checkText } from '../arguments.ts';

/** Answers of a list that a script may tell apart: each value of one number. */
const MAX_CODES = 256;
/** To read one, in steps of Host.charge(). */
const STEPS_PER_CODE = 200;
const STEPS_PER_CHARACTER = 5;

/** Name or address in argument `arg`, bytes in latin1. Of one longer than any, so much that this can be seen. */
export function checkName(L: LuaState, arg: number): string {
  return checkText(L, arg, MAX_WRITTEN);
}

export function checkAddress(L: LuaState, arg: number): Address {
  return parseAddress(checkName(L, arg)) ?? argumentError(L, arg, 'IP address expected');
}

/** The domain of a list, without trailing dot. It is the script's own and must be right. */
export function checkZone(L: LuaState, arg: number): string {
  const question = questionName(checkName(L, arg));
  return question.kind === 'name' && question.name !== '.'
    ? question.name
    : argumentError(L, arg, 'domain of a list expected');
}

/** A string or an array of strings with the answers of a list that count; undefined when it is nil or missing. */
export function optCodes(L: LuaState, arg: number): CodePattern | undefined {
  if (lua.lua_isnoneornil(L, arg)) return undefined;
  const texts = lua.lua_istable(L, arg)
    ? readArray(L, arg, MAX_CODES, MAX_PATTERN)
    : [checkText(L, arg, MAX_PATTERN)];
  if (texts === undefined || texts.length === 0) {
    const isLong = lua.lua_istable(L, arg) && lua.lua_rawgeti(L, arg, MAX_CODES + 1) !== lua.LUA_TNIL;
    const bound = isLong ? `, at most ${MAX_CODES}` : '';
    return argumentError(L, arg, `array of strings as "127.0.0.2" expected${bound}`);
  }
  const patterns = texts.map((text) => {
    hostOf(L).charge(L, STEPS_PER_CODE + text.length * STEPS_PER_CHARACTER);
    const pattern = parseCodePattern(text);
    return pattern ?? argumentError(L, arg, 'strings as "127.0.0.2" or "127.0.0.[2;4..11]" expected');
  });
  return (octets) => patterns.some((pattern) => pattern(octets));
}
