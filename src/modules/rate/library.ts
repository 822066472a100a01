/** The module `rate`. */
import type { LuaState } from 'fengari';
import { lauxlib, lua } from '../../lua/engine/engine.ts';
import { pushLatin1, pushNumber, readArray } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { parseRate, type Rate, reset, type Taken, take } from '../../store/rate.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { checkStoreKey, checkWord, optStoreTimeout, optWhole, storing } from '../store-arguments.ts';
import type { rateApi } from './api.ts';

const MAX_RATES = 10;
const MAX_SPEC = 40;

/** A rate and how the script has written it. */
type Written = Rate & { readonly written: string };

/** Those that scripts have named, by the text. */
const rates = new Map<string, Written>();
const MOST_KEPT = 1000;

function rateOf(L: LuaState, arg: number, written: string): Written {
  const kept = rates.get(written);
  if (kept !== undefined) return kept;
  const rate = parseRate(written);
  if (rate === undefined) {
    const shown = written.slice(0, MAX_SPEC).replace(/[^ -~]/g, '?');
    return argumentError(L, arg, `a rate such as "200/h" or "200/h,50" expected, not "${shown}"`);
  }
  const parsed = { ...rate, written };
  if (rates.size < MOST_KEPT) rates.set(written, parsed);
  return parsed;
}

/** One rate, or those of a table, each once. */
function checkRates(L: LuaState, arg: number): readonly Written[] {
  if (!lua.lua_istable(L, arg)) return [rateOf(L, arg, checkWord(L, arg))];
  const texts = readArray(L, arg, MAX_RATES, MAX_SPEC);
  if (texts === undefined || texts.length === 0) {
    return argumentError(L, arg, `a rate or 1 to ${MAX_RATES} of them expected`);
  }
  const rates = texts.map((text) => rateOf(L, arg, text));
  return rates.filter(({ spec }, i) => rates.findIndex((other) => other.spec === spec) === i);
}

function pushTaken(rates: readonly Written[]): (L: LuaState, taken: Taken) => number {
  return (L, taken) => {
    lua.lua_checkstack(L, 3);
    lua.lua_pushboolean(L, taken.kind === 'taken');
    if (taken.kind === 'taken') {
      pushNumber(L, taken.left);
      return 2;
    }
    lua.lua_pushnumber(L, taken.retryMs / 1000);
    pushLatin1(L, rates.find(({ spec }) => spec === taken.spec)?.written ?? taken.spec);
    return 3;
  };
}

export function openRate({ store }: ServicesOf<typeof rateApi>): FunctionsOf<typeof rateApi> {
  return {
    take: storing(store, (L, first) => {
      const key = checkStoreKey(L, first);
      const rates = checkRates(L, first + 1);
      const cost = optWhole(L, first + 2, 1);
      const most = rates.reduce((least, { burst }) => Math.min(least, burst), Number.POSITIVE_INFINITY);
      if (cost < 0 || cost > most)
        return argumentError(L, first + 2, `0 to ${most} expected: more never fits at once`);
      return {
        operation: take(key, rates, cost),
        timeoutMs: optStoreTimeout(L, first + 3),
        push: pushTaken(rates),
      };
    }),
    reset: storing(store, (L, first) => {
      const key = checkStoreKey(L, first);
      lauxlib.luaL_checkstring(L, first + 1);
      const rate = rateOf(L, first + 1, checkWord(L, first + 1));
      return {
        operation: reset(key, rate),
        timeoutMs: optStoreTimeout(L, first + 2),
        push: (to, wasThere: boolean) => {
          lua.lua_pushboolean(to, wasThere);
          return 1;
        },
      };
    }),
  };
}
