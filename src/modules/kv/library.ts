/** The module `kv`. */
import type { LuaFunction, LuaState } from 'fengari';
import { lua } from '../../lua/engine/engine.ts';
import { unchanging } from '../../lua/engine/host.ts';
import { pushNumber } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { add, del, get, incr, type Place, set } from '../../store/kv.ts';
import type { Store } from '../../store/store.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { checkObject, pushObject } from '../objects.ts';
import {
  checkStoreKey,
  checkWord,
  optLifetime,
  optStoreTimeout,
  optWhole,
  storing,
} from '../store-arguments.ts';
import type { kvApi } from './api.ts';
import { checkValue, pushValue } from './value.ts';

const CLASS = 'kv.store';

/** A space of keys. */
class Space {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** Where the arguments say: of `kv` itself, or of the space that is the first argument; and where the others begin. */
type PlaceReader = (L: LuaState, first: number) => { readonly place: Place; readonly next: number };

const ofAll: PlaceReader = (L, first) => ({
  place: { space: '', key: checkStoreKey(L, first) },
  next: first + 1,
});
const ofSpace: PlaceReader = (L, first) => {
  const { name } = checkObject(L, first, CLASS, Space);
  return { place: { space: name, key: checkStoreKey(L, first + 1) }, next: first + 2 };
};

function pushBoolean(L: LuaState, value: boolean): number {
  lua.lua_pushboolean(L, value);
  return 1;
}

function pushSum(L: LuaState, sum: number): number {
  pushNumber(L, sum);
  return 1;
}

interface Functions {
  readonly get: LuaFunction;
  readonly set: LuaFunction;
  readonly add: LuaFunction;
  readonly incr: LuaFunction;
  readonly del: LuaFunction;
}

function functionsOn(store: Store, placeAt: PlaceReader): Functions {
  return {
    get: storing(store, (L, first) => {
      const { place, next } = placeAt(L, first);
      return { operation: get(place), timeoutMs: optStoreTimeout(L, next), push: pushValue };
    }),
    set: storing(store, (L, first) => {
      const { place, next } = placeAt(L, first);
      const value = checkValue(L, next);
      const ttlMs = optLifetime(L, next + 1);
      return {
        operation: set(place, value, ttlMs),
        timeoutMs: optStoreTimeout(L, next + 2),
        push: pushBoolean,
      };
    }),
    add: storing(store, (L, first) => {
      const { place, next } = placeAt(L, first);
      const value = checkValue(L, next);
      const ttlMs = optLifetime(L, next + 1);
      return {
        operation: add(place, value, ttlMs),
        timeoutMs: optStoreTimeout(L, next + 2),
        push: pushBoolean,
      };
    }),
    incr: storing(store, (L, first) => {
      const { place, next } = placeAt(L, first);
      const by = optWhole(L, next, 1);
      const ttlMs = optLifetime(L, next + 1);
      return { operation: incr(place, by, ttlMs), timeoutMs: optStoreTimeout(L, next + 2), push: pushSum };
    }),
    del: storing(store, (L, first) => {
      const { place, next } = placeAt(L, first);
      return { operation: del(place), timeoutMs: optStoreTimeout(L, next), push: pushBoolean };
    }),
  };
}

/** kv.open(name) */
function open(L: LuaState): number {
  const name = checkWord(L, 1);
  if (!/^[a-z0-9_.-]{1,32}$/.test(name)) {
    return argumentError(L, 1, '1 to 32 of a to z, 0 to 9, _, . and - expected');
  }
  pushObject(L, CLASS, unchanging(new Space(name)));
  return 1;
}

export function openKv({ store }: ServicesOf<typeof kvApi>): FunctionsOf<typeof kvApi> {
  const space = functionsOn(store, ofSpace);
  return {
    ...functionsOn(store, ofAll),
    open,
    'store:get': space.get,
    'store:set': space.set,
    'store:add': space.add,
    'store:incr': space.incr,
    'store:del': space.del,
  };
}
