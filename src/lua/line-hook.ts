/**
 * The hook of contexts whose lines are counted: it also does what every context's count hook does.
 */
import type { LClosure, LuaDebug, LuaState, Proto } from 'fengari';
import { lua } from './engine.ts';

/** Is told of each line that a function is about to run. */
export type LineWatcher = (running: Proto, line: number) => void;

type Hook = (L: LuaState, ar: LuaDebug) => void;

/**
 * Sets the hooks of a new state; the threads made from it inherit them.
 *
 * @param tick the count hook, called each `instructions`
 * @param watcher undefined where lines are not counted: a hook on every line costs half of the speed
 */
export function setHooks(
  L: LuaState,
  tick: (L: LuaState) => void,
  instructions: number,
  watcher: LineWatcher | undefined,
): void {
  if (watcher === undefined) {
    lua.lua_sethook(L, tick, lua.LUA_MASKCOUNT, instructions);
    return;
  }
  const hook: Hook = (thread, { event, currentline }) => {
    if (event === lua.LUA_HOOKLINE) watcher((thread.ci.func.value as LClosure).p, currentline);
    else tick(thread);
  };
  lua.lua_sethook(L, hook, lua.LUA_MASKCOUNT | lua.LUA_MASKLINE, instructions);
}
