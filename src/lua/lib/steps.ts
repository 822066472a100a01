/**
 * Library functions that work long or call back, written as generators: where they yield, other sessions get their turn
 * or a Lua function is called, which may wait.
 */
import type { LuaState } from 'fengari';
import { lua } from '../engine.ts';
import { hostOf } from '../host.ts';

/**
 * What the function asks for: to call the function that lies on the stack under so many arguments, which leaves so many
 * results in their place; or a `pause`, where it may be left for a while.
 */
export type Request = Call | 'pause';

export interface Call {
  readonly args: number;
  readonly results: number;
}

/** Its return value is the number of results on the stack. */
export type Steps = Generator<Request, number, void>;

class Job {
  readonly steps: Steps;

  constructor(steps: Steps) {
    this.steps = steps;
  }
}

/** Runs a library function to its end: `return runSteps(L, ...)`. */
export function runSteps(L: LuaState, steps: Steps): number {
  return run(L, new Job(steps));
}

function run(L: LuaState, job: Job): number {
  for (;;) {
    const { value, done } = job.steps.next();
    if (done) return value;
    if (value === 'pause') hostOf(L).giveWay(L, job, resume);
    else lua.lua_callk(L, value.args, value.results, job, resume);
  }
}

function resume(L: LuaState, _status: number, job: unknown): number {
  return job instanceof Job ? run(L, job) : 0;
}
