/**
 * How much memory a Lua state keeps: what can be reached from it, each object once, by the sizes that the engine's objects
 * have in V8. It tells what a session keeps from what its neighbours do, which V8's figures do not.
 *
 * What the state shares with others counts where it is seen: a string; not what compiled code refers to. What host
 * functions keep for a script outside of Lua values is not seen.
 */
import type { CallInfo, CClosure, LClosure, LuaState, LuaTable, TString, TValue, Udata } from 'fengari';
import { internals, lua } from '../engine/engine.ts';

const { LUA_TLCL, LUA_TCCL } = internals.tags;
const { LUA_TTABLE, LUA_TUSERDATA, LUA_TLIGHTUSERDATA, LUA_TTHREAD, LUA_TSTRING } = lua;

/** Bytes in V8, as measured; see the test. Most slots of a thread have never held anything. */
const SIZES = {
  string: 240,
  table: 200,
  entry: 180,
  element: 60,
  closure: 100,
  value: 32,
  thread: 600,
  slot: 10,
  call: 150,
  /** What stands behind a light userdata: the state of an iterator. Its pattern, once compiled, is not counted. */
  hosted: 400,
};

/** Objects and entries between two looks of the caller at the clock: some 0.1 ms. */
const STEPS = 1000;

/**
 * Yields from time to time; returns bytes. Nothing may run in the state until then.
 *
 * @param running the thread of a callback that has not ended, which nothing else may refer to
 * @param most bytes from which on it does not matter how many there are: the walk ends there
 */
export function* liveSize(
  state: LuaState,
  running: LuaState | null = null,
  most = Number.POSITIVE_INFINITY,
): Generator<undefined, number, undefined> {
  const seen = new Set<unknown>();
  const open: TValue[] = [state.l_G.l_registry];
  if (running !== null) open.push(new internals.lobject.TValue(LUA_TTHREAD, running));
  let bytes = 0;
  let steps = 0;
  const add = (value: TValue | undefined): void => {
    if (value === undefined || typeof value.value !== 'object' || value.value === null) return;
    if (seen.has(value.value)) return;
    seen.add(value.value);
    if ((value.type & 0x0f) === LUA_TSTRING) {
      const { realstring, hash } = value.value as TString;
      bytes += SIZES.string + realstring.length + (hash?.length ?? 0);
    } else open.push(value);
  };
  const addTable = (table: LuaTable | null | undefined): void => {
    if (table === null || table === undefined || seen.has(table)) return;
    seen.add(table);
    open.push(new internals.lobject.TValue(LUA_TTABLE, table));
  };
  for (const table of state.l_G.mt) addTable(table);
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (++steps % STEPS === 0) yield;
    if (bytes > most) break;
    switch (value.type) {
      case LUA_TTABLE: {
        const table = value.value as LuaTable;
        bytes += SIZES.table;
        addTable(table.metatable);
        // Contents that are not the table's own are those of all copies.
        for (const element of table.array) {
          bytes += SIZES.element;
          add(element);
          if (++steps % STEPS !== 0) continue;
          yield;
          if (bytes > most) return bytes;
        }
        if (table.strong === null) break;
        for (const entry of table.strong.values()) {
          bytes += SIZES.entry;
          add(entry.key);
          add(entry.value);
          if (++steps % STEPS !== 0) continue;
          yield;
          if (bytes > most) return bytes;
        }
        break;
      }
      case LUA_TLCL: {
        const { upvals } = value.value as LClosure;
        bytes += SIZES.closure;
        for (const upvalue of upvals) {
          if (seen.has(upvalue)) continue;
          seen.add(upvalue);
          bytes += SIZES.value;
          add(upvalue);
        }
        break;
      }
      case LUA_TCCL: {
        const { upvalue } = value.value as CClosure;
        bytes += SIZES.closure + SIZES.value * upvalue.length;
        for (const part of upvalue) add(part);
        break;
      }
      case LUA_TLIGHTUSERDATA:
        bytes += SIZES.hosted;
        break;
      case LUA_TUSERDATA: {
        const userdata = value.value as Udata;
        bytes += SIZES.table + (userdata.len ?? 0);
        addTable(userdata.metatable);
        add(userdata.uservalue);
        break;
      }
      case LUA_TTHREAD: {
        const thread = value.value as LuaState;
        bytes += SIZES.thread + SIZES.slot * thread.stack.length;
        for (let call: CallInfo | null = thread.ci; call !== null; call = call.previous) bytes += SIZES.call;
        // Slots above the top keep what they held last.
        for (const slot of thread.stack) {
          add(slot);
          if (++steps % STEPS === 0) yield;
        }
        break;
      }
      default:
    }
  }
  return bytes;
}
