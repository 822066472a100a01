/**
 * Functions that wait, and jobs: calls of them that were begun and are waited for later.
 *
 * A function that waits is written as an operation: it reads its arguments, and gives a task that asks a service and pushes
 * what was found out. `waiting` makes of it a function that suspends its session, and `job.start` can begin it.
 */
import { setMaxListeners } from 'node:events';
import type { LuaFunction, LuaState } from 'fengari';
import { type Answer, type Patience, unknown } from '../asking/answer.ts';
import { lua } from '../lua/engine/engine.ts';
import { type Closable, type Host, hostOf, PerState } from '../lua/engine/host.ts';
import { pushLatin1 } from '../lua/engine/values.ts';

/** Puts the results of a function on the stack; returns their number. */
export type Results = (L: LuaState) => number;

/** A call whose arguments have been read. */
export interface Task {
  /** Never rejects: what cannot be found out are results too. Ends when the signal fires, and frees what it holds. */
  readonly begin: (cancelled: AbortSignal) => Promise<Results>;
  /** What is known already, so that nobody waits. */
  readonly known?: Results;
}

/** Reads the arguments from `first` on, and raises their errors. */
export type Operation = (L: LuaState, first: number) => Task;

export interface TaskParts<Value> {
  /** How long the answer is waited for, all that is asked together. */
  readonly timeoutMs: number;
  /** At the end of the patience the answer is `unknown`. */
  readonly ask: (patience: Patience) => Promise<Answer<Value>>;
  /** Puts what was found out on the stack; returns the number of results. */
  readonly push: (L: LuaState, value: Value) => number;
}

/** A task of which `nil, err` comes where nothing could be found out. */
export function task<Value>({ timeoutMs, ask, push }: TaskParts<Value>): Task {
  return {
    begin: async (cancelled) => resultsOf(await ask({ timeoutMs, cancelled }), push),
  };
}

/** What `push` makes of the value; or nil and the reason. */
export function resultsOf<Value>(
  answer: Answer<Value>,
  push: (L: LuaState, value: Value) => number,
): Results {
  return (L) => {
    if (answer.kind === 'known') return push(L, answer.value);
    lua.lua_pushnil(L);
    pushLatin1(L, answer.reason);
    return 2;
  };
}

/** A task of which the answer is there. */
export function settled<Value>(answer: Answer<Value>, push: (L: LuaState, value: Value) => number): Task {
  const results = resultsOf(answer, push);
  return { begin: async () => results, known: results };
}

const operations = new WeakMap<object, Operation>();

/** The function of Lua that runs an operation and waits for its results. */
export function waiting(operation: Operation): LuaFunction {
  const call: LuaFunction = (L) => {
    const { begin, known } = operation(L, 1);
    return known === undefined ? hostOf(L).wait(L, begin, finish) : known(L);
  };
  operations.set(call, operation);
  return call;
}

function finish(L: LuaState, results: Results): number {
  return results(L);
}

/** The operation of a function that waits, which stands at `index`; undefined for anything else. */
export function operationAt(L: LuaState, index: number): Operation | undefined {
  const call = lua.lua_topointer(L, index);
  return typeof call === 'function' ? operations.get(call) : undefined;
}

/** A call under way, or its results. */
export class Job {
  readonly #results: Promise<Results>;

  /** Begins the task; it is cancelled with the session of `host`. */
  constructor({ begin }: Task, host: Host) {
    this.#results = begin(endOf(host));
  }

  /** The results of the job, or of a time-out: the job goes on then. */
  wait(L: LuaState, timeoutMs: number | undefined): number {
    return hostOf(L).wait(L, (cancelled) => this.#patiently(timeoutMs, cancelled), finish);
  }

  #patiently(timeoutMs: number | undefined, cancelled: AbortSignal): Promise<Results> {
    if (timeoutMs === undefined) return this.#results;
    return new Promise((resolve) => {
      const late = resultsOf(unknown('timeout', 'waiting for a job'), () => 0);
      const timer = setTimeout(() => resolve(late), timeoutMs);
      cancelled.addEventListener('abort', () => clearTimeout(timer));
      this.#results.then((settled) => {
        clearTimeout(timer);
        resolve(settled);
      });
    });
  }
}

/** The end of a session, as a signal. */
class SessionEnd implements Closable {
  readonly #over = new AbortController();

  constructor() {
    setMaxListeners(0, this.#over.signal); // All jobs of a session listen to it.
  }

  get signal(): AbortSignal {
    return this.#over.signal;
  }

  close(): void {
    this.#over.abort();
  }
}

const ends = new PerState<SessionEnd>();

/** Fires when the session of `host` is over. */
export function endOf(host: Host): AbortSignal {
  let end = ends.get(host);
  if (end === undefined) {
    end = new SessionEnd();
    ends.set(host, end);
    host.dependents.add(end);
  }
  return end.signal;
}
