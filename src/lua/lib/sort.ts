/**
 * table.sort: quicksort as in ltablib.c, so that order functions see the same pairs and the same mistakes are found. An
 * order function may wait, and a long sort gives way to other sessions.
 */
import type { LuaState } from 'fengari';
import { lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, raise } from './arguments.ts';
import { type Call, type Request, runSteps, type Steps } from './steps.ts';
import {
  beginGet,
  beginLength,
  beginLess,
  beginSet,
  checkTable,
  endLength,
  GET,
  isPlainTable,
  LENGTH,
  LESS,
  SET,
} from './table-access.ts';

const MAX_INTEGER = 0x7fffffff;
/** Calls the order function. */
const COMPARE: Call = { args: 2, results: 1 };
const STEPS_PER_ELEMENT = 20;
/** Intervals above this size take their pivot at random once sorting went badly (RANLIMIT of ltablib.c). */
const RANDOM_ABOVE = 100;
/** Elements looked at between two pauses. */
const BATCH = 256;

export function table_sort(L: LuaState): number {
  checkTable(L, 1, ['__index', '__newindex', '__len']);
  return runSteps(L, sort(L));
}

function* sort(L: LuaState): Steps {
  if (beginLength(L, 1)) yield LENGTH;
  const size = endLength(L);
  if (size < 2) return 0;
  if (size >= MAX_INTEGER) argumentError(L, 1, 'array too big');
  const byFunction = !lua.lua_isnoneornil(L, 2);
  if (byFunction) lauxlib.luaL_checktype(L, 2, lua.LUA_TFUNCTION);
  lua.lua_settop(L, 2);
  return yield* new Sort(L, byFunction).steps(size);
}

class Sort {
  readonly #L: LuaState;
  readonly #byFunction: boolean;
  /** Whether the elements are reached without metamethods. */
  readonly #plain: boolean;
  #sincePause = 0;

  constructor(L: LuaState, byFunction: boolean) {
    this.#L = L;
    this.#byFunction = byFunction;
    this.#plain = isPlainTable(L, 1);
  }

  *steps(size: number): Steps {
    const waiting: { lo: number; up: number; randomize: boolean }[] = [{ lo: 1, up: size, randomize: false }];
    for (let interval = waiting.pop(); interval !== undefined; interval = waiting.pop()) {
      let { lo, up } = interval;
      const { randomize } = interval;
      while (lo < up) {
        const middle = yield* this.#split(lo, up, randomize);
        if (middle < 0) break;
        // The larger part waits, so that few do.
        const before = { lo, up: middle - 1 };
        const behind = { lo: middle + 1, up };
        const beforeIsSmaller = middle - lo < up - middle;
        const smaller = beforeIsSmaller ? middle - lo : up - middle;
        const larger = beforeIsSmaller ? behind : before;
        waiting.push({ ...larger, randomize: randomize || (larger.up - larger.lo) / 128 > smaller });
        ({ lo, up } = beforeIsSmaller ? before : behind);
      }
    }
    return 0;
  }

  /** Brings the pivot of the interval to its place, which it returns, or sorts the interval and returns -1. */
  *#split(lo: number, up: number, randomize: boolean): Generator<Request, number, void> {
    const L = this.#L;
    if (yield* this.#compare(up, lo)) yield* this.#set(lo, up);
    else lua.lua_pop(L, 2);
    if (up - lo === 1) return -1;
    const p = choosePivot(lo, up, randomize);
    if (yield* this.#compare(p, lo)) {
      yield* this.#set(lo, p);
    } else {
      lua.lua_pop(L, 2);
      if (yield* this.#compare(up, p)) yield* this.#set(p, up);
      else lua.lua_pop(L, 2);
    }
    if (up - lo === 2) return -1;
    yield* this.#get(p);
    lua.lua_pushvalue(L, -1);
    yield* this.#get(up - 1);
    yield* this.#set(p, up - 1);
    return yield* this.#partition(lo, up);
  }

  /** Pushes elements j and i, in this order, and tells whether i's value comes before j's. */
  *#compare(i: number, j: number): Generator<Request, boolean, void> {
    yield* this.#get(j);
    yield* this.#get(i);
    const request = this.#begin(-1, -2);
    if (request !== null) yield request;
    return this.#end();
  }

  /** Splits the interval around the pivot, which is on top of the stack and at up - 1; returns where the pivot ends. */
  *#partition(lo: number, up: number): Generator<Request, number, void> {
    const L = this.#L;
    let i = lo;
    let j = up - 1;
    for (;;) {
      for (;;) {
        if (this.#plain) lua.lua_rawgeti(L, 1, ++i);
        else yield* this.#get(++i);
        const request = this.#begin(-1, -2);
        if (request !== null) yield request;
        if (!this.#end()) break;
        if (i === up - 1) raise(L, 'invalid order function for sorting');
        lua.lua_pop(L, 1);
      }
      for (;;) {
        if (this.#plain) lua.lua_rawgeti(L, 1, --j);
        else yield* this.#get(--j);
        const request = this.#begin(-3, -1);
        if (request !== null) yield request;
        if (!this.#end()) break;
        if (j < i) raise(L, 'invalid order function for sorting');
        lua.lua_pop(L, 1);
      }
      if (j < i) {
        lua.lua_pop(L, 1);
        yield* this.#set(up - 1, i);
        return i;
      }
      yield* this.#set(i, j);
    }
  }

  /**
   * Begins to compare the values at two indices: pushes what `<` says, or the order function (or `__lt`) and both. Returns
   * what the function asks for then: a call, or a pause now and then.
   */
  #begin(a: number, b: number): Request | null {
    const L = this.#L;
    const pause = ++this.#sincePause >= BATCH;
    if (pause) {
      this.#sincePause = 0;
      hostOf(L).charge(L, BATCH * STEPS_PER_ELEMENT);
    }
    if (!this.#byFunction) return beginLess(L, a, b) ? LESS : pause ? 'pause' : null;
    lua.lua_pushvalue(L, 2);
    lua.lua_pushvalue(L, a - 1);
    lua.lua_pushvalue(L, b - 2);
    return COMPARE;
  }

  /** Takes the result of the comparison off the stack. */
  #end(): boolean {
    const before = lua.lua_toboolean(this.#L, -1);
    lua.lua_pop(this.#L, 1);
    return before;
  }

  /** Pushes element i. */
  *#get(i: number): Generator<Request, void, void> {
    const L = this.#L;
    if (this.#plain) {
      lua.lua_rawgeti(L, 1, i);
      return;
    }
    lua.lua_pushinteger(L, i);
    yield beginGet(L, 1) ? GET : 'pause';
  }

  /** Sets element i to the value on top of the stack and j to the one below. */
  *#set(i: number, j: number): Generator<Request, void, void> {
    const L = this.#L;
    for (const index of [i, j]) {
      if (this.#plain) {
        lua.lua_rawseti(L, 1, index);
        continue;
      }
      lua.lua_pushinteger(L, index);
      lua.lua_insert(L, -2);
      yield beginSet(L, 1) ? SET : 'pause';
    }
  }
}

function choosePivot(lo: number, up: number, randomize: boolean): number {
  if (up - lo < RANDOM_ABOVE || !randomize) return Math.floor((lo + up) / 2);
  const quarter = Math.floor((up - lo) / 4);
  return lo + quarter + Math.floor(Math.random() * quarter * 2);
}
