/** Arguments of the functions that keep state, and how they ask the store. */
import type { LuaFunction, LuaState } from 'fengari';
import { latin1Of, lauxlib, lua } from '../lua/engine/engine.ts';
import { hostOf } from '../lua/engine/host.ts';
import { argumentError } from '../lua/lib/arguments.ts';
import type { Operation } from '../store/operation.ts';
import type { Store } from '../store/store.ts';
import { optTimeout } from './arguments.ts';
import { settled, task, waiting } from './job.ts';

const TIMEOUT_MS = 1000;
/** A call, in steps of Host.charge(). */
const STEPS_PER_CALL = 500;
/** Ten years: beyond, nothing needs an end. */
const MAX_SECONDS = 315_360_000;

/** Bytes of a key that are hashed: more has no address, and no header that an MTA shows. */
export const MAX_STORE_KEY = 65_536;

/** A call whose arguments have been read. */
export interface StoreCall<Result> {
  readonly operation: Operation<Result>;
  readonly timeoutMs: number | undefined;
  readonly push: (L: LuaState, result: Result) => number;
}

/** A function that does an operation on the store. @param read reads the arguments from `first` on */
export function storing<Result>(
  store: Store,
  read: (L: LuaState, first: number) => StoreCall<Result>,
): LuaFunction {
  return waiting((L, first) => {
    const { operation, timeoutMs = TIMEOUT_MS, push } = read(L, first);
    hostOf(L).charge(L, STEPS_PER_CALL);
    const answer = store.now?.(operation);
    return answer === undefined
      ? task({ timeoutMs, push, ask: (patience) => store.run(operation, patience) })
      : settled(answer, push);
  });
}

/** A key, of which a copy is made: bytes of Lua stay Lua's. */
export function checkStoreKey(L: LuaState, arg: number): Buffer {
  const bytes = lauxlib.luaL_checkstring(L, arg);
  if (bytes.length === 0) return argumentError(L, arg, 'a key expected, not an empty string');
  if (bytes.length > MAX_STORE_KEY)
    return argumentError(L, arg, `a key of at most ${MAX_STORE_KEY} bytes expected`);
  hostOf(L).charge(L, bytes.length);
  return Buffer.from(bytes);
}

/** Seconds, more than 0, in milliseconds; undefined when nil or missing. */
export function optLifetime(L: LuaState, arg: number): number | undefined {
  if (lua.lua_isnoneornil(L, arg)) return undefined;
  const seconds = lauxlib.luaL_checknumber(L, arg);
  if (seconds > 0 && seconds <= MAX_SECONDS) return seconds * 1000;
  return argumentError(L, arg, 'seconds expected, more than 0 and at most ten years');
}

export const optStoreTimeout = optTimeout;

/** A whole number, which Lua may hold as a float beyond 32 bits. */
export function optWhole(L: LuaState, arg: number, absent: number): number {
  if (lua.lua_isnoneornil(L, arg)) return absent;
  const number = lauxlib.luaL_checknumber(L, arg);
  return Number.isSafeInteger(number) ? number : argumentError(L, arg, 'a whole number expected');
}

/** A short text of ASCII. */
export function checkWord(L: LuaState, arg: number): string {
  return latin1Of(lauxlib.luaL_checkstring(L, arg).subarray(0, 100));
}
