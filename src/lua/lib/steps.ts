/**
 * Library functions that work long or call back, written as generators: where they yield, other sessions get their turn
 * or a Lua function is called, which may wait.
 */
import type { LuaState } from 'fengari';
import { lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';

/**
 * What the function asks for: to call the function that lies on the stack under so many arguments, which leaves so many
 * results in their place; a `pause`, where it may be left for a while; or to go on when a promise, which never rejects,
 * is settled: with an empty stack then.
 */
export type Request = Call | 'pause' | Promise<void>;

export interface Call {
  readonly args: number;
  readonly results: number;
}

/** Its return value is the number of results on the stack. */
export type Steps = Generator<Request, number, void>;

class RunningSteps {
  readonly steps: Steps;

  constructor(steps: Steps) {
    this.steps = steps;
  }
}

/** Runs a library function to its end: `return runSteps(L, ...)`. */
export function runSteps(L: LuaState, steps: Steps): number {
  return run(L, new RunningSteps(steps));
}

function run(L: LuaState, running: RunningSteps): number {
  for (;;) {
    const { value, done } = running.steps.next();
    if (done) return value;
    if (value === 'pause') hostOf(L).yieldToOthers(L, running, resume);
    else if (value instanceof Promise) {
      return hostOf(L).wait(
        L,
        () => value,
        (to) => run(to, running),
      );
    } else lua.lua_callk(L, value.args, value.results, running, resume);
  }
}

function resume(L: LuaState, _status: number, running: unknown): number {
  return running instanceof RunningSteps ? run(L, running) : 0;
}
