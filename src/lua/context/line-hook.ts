/**
 * The hooks of a context: what every context's count hook does, and what those do who look on while a script runs.
 */
import type { CClosure, LClosure, LuaDebug, LuaFunction, LuaState, Proto } from 'fengari';
import { internals, lua } from '../engine/engine.ts';

/** Is told of each line that a function is about to run. */
export type LineWatcher = (running: Proto, line: number) => void;

/** Is told of each function that is about to be called and is not Lua. */
export type CallWatcher = (called: LuaFunction) => void;

export interface Watchers {
  /** Undefined where lines are not counted: a hook on every line costs half of the speed. */
  readonly line?: LineWatcher | undefined;
  readonly call?: CallWatcher | undefined;
}

type Hook = (L: LuaState, ar: LuaDebug) => void;

/**
 * Sets the hooks of a new state; the threads made from it inherit them.
 *
 * @param tick the count hook, called each `instructions`
 */
export function setHooks(
  L: LuaState,
  tick: (L: LuaState) => void,
  instructions: number,
  { line, call }: Watchers,
): void {
  let mask = lua.LUA_MASKCOUNT;
  if (line !== undefined) mask |= lua.LUA_MASKLINE;
  if (call !== undefined) mask |= lua.LUA_MASKCALL;
  if (mask === lua.LUA_MASKCOUNT) {
    lua.lua_sethook(L, tick, mask, instructions);
    return;
  }
  const hook: Hook = (thread, { event, currentline }) => {
    if (event === lua.LUA_HOOKCOUNT) tick(thread);
    else if (event === lua.LUA_HOOKLINE) line?.((thread.ci.func.value as LClosure).p, currentline);
    else {
      const called = functionOf(thread);
      if (called !== null) call?.(called);
    }
  };
  lua.lua_sethook(L, hook, mask, instructions);
}

/** The function that a thread is in, when it is not Lua. */
function functionOf({ ci: { func } }: LuaState): LuaFunction | null {
  if (func.type === internals.tags.LUA_TLCL) return null;
  return func.type === internals.tags.LUA_TCCL ? (func.value as CClosure).f : (func.value as LuaFunction);
}
