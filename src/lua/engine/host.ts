/**
 * What belongs to one Lua state and lives as long as it: reached from any host function by `hostOf(L)`.
 */
import type { Continuation, LuaState } from 'fengari';
import type { Surroundings } from './surroundings.ts';

/** A thing the script opened that must be closed with the context: fengari has no finalizers. */
export interface Closable {
  close(): void;
}

/** Bounds for one Lua state. All sizes in bytes. */
export interface Limits {
  /** CPU time of one callback, or of the main chunk, in milliseconds. */
  readonly cpuMs: number;
  /** Growth of the process's memory during one callback. */
  readonly memoryBytes: number;
  /** What a session may keep in its Lua state; looked at where it may be more, between callbacks. */
  readonly sessionBytes: number;
  /** Longest string a script can make; at least 4096. */
  readonly stringBytes: number;
  readonly openFiles: number;
  /** Bytes one SMTP session may write to files. */
  readonly writtenBytes: number;
}

export const defaultLimits: Limits = {
  cpuMs: 1000,
  memoryBytes: 128 * 1024 * 1024,
  sessionBytes: 64 * 1024 * 1024,
  stringBytes: 32 * 1024 * 1024,
  openFiles: 64,
  writtenBytes: 1024 * 1024 * 1024,
};

/** Which bound was overrun. */
export type Budget = 'cpu' | 'memory' | 'deadline' | 'files' | 'written';

/**
 * A yield of the host's own (a wait, or the end of a time slice) on its way up through coroutines that the script made.
 */
export interface Suspension {
  /** Called where the way up is barred; the coroutine is then resumed at once and a wait fails there with `message`. */
  refuse(message: Uint8Array): void;
}

export interface Host extends Required<Surroundings> {
  /** For PerState alone. */
  readonly belongings: Map<object, unknown>;
  /** smtp.sess.id: stands in front of the script's log messages; empty where no session is. */
  readonly sessionId: string;
  /** The callback that runs, as the script spells it; '' in the main chunk. */
  readonly callback: string;
  readonly limits: Limits;
  /** Files the script has open; closed with the context. */
  readonly openFiles: Set<Closable>;
  /** What else ends with the context: look-ups that the script started. */
  readonly dependents: Set<Closable>;
  /** Bytes written to files so far. */
  writtenBytes: number;
  /** One line of the script's `print` and `io.write`, without line end, to the log; L is the thread that has written it. */
  print(L: LuaState, line: Uint8Array): void;
  /** Real paths of the files and directories that are no policy's, latin1; see lib/open-checked.ts. */
  readonly closedPlaces: readonly string[];
  /** The one file there that is this session's, by its path; '' for none. */
  readonly ownFile: string;
  /** Whether os.execute and io.popen may run programs. */
  readonly allowExecute: boolean;
  /**
   * Ends the running callback for good: no pcall of the script can catch it. `reason` goes to the log, after the
   * script's file and line. With `budget` the outcome is `overBudget` and the context is not used again; without it
   * the callback has failed, as by an error (os.exit).
   */
  abort(L: LuaState, reason: string, budget?: Budget): never;
  /**
   * To be called by a library function that works long without running Lua code, every few hundred steps or more:
   * looks at the clock and the memory from time to time and aborts the callback when it is over a budget, or has kept
   * others from their turn for more than some 20 ms: a function that may work longer has to call yieldToOthers too.
   * A step is about 10 ns of work, say one byte looked at.
   */
  charge(L: LuaState, steps: number): void;
  /** To be called for CPU time that a call causes after it has returned, in milliseconds: charges it and looks as charge does. */
  spend(L: LuaState, ms: number): void;
  /** To be called for bytes that are kept for the session outside of its state: see LuaContext.keptBesides. */
  noteKept(bytes: number): void;
  /**
   * To be called by such a function where it can be left: when the time slice is over, others have their turn, and
   * `resume` is called with `context` afterwards, with the function's stack as it is; else this returns and the function
   * goes on.
   */
  yieldToOthers(L: LuaState, context: unknown, resume: Continuation): void;
  /** Whether the time slice is over. */
  readonly sliceOver: boolean;
  /**
   * Suspends the running callback until `start()`'s promise settles, then pushes its results on L by `push` and
   * returns their number; a rejection becomes a Lua error with its message. To be used as `return host.wait(...)` in a
   * host function. `start` is given a signal that fires when the wait is cancelled. What `start` does before it returns
   * and what `push` does counts as work of the callback, and so does a little for the wait itself; the budgets are looked
   * at after each wait.
   */
  wait<T>(
    L: LuaState,
    start: (cancelled: AbortSignal) => Promise<T>,
    push: (L: LuaState, value: T) => number,
  ): number;

  /** The thread the running callback began in: not a coroutine of the script. */
  readonly thread: LuaState | null;
  /** For lib/coroutine.ts: set between a yield of the host's own and its arrival at the driver. */
  readonly suspension: Suspension | null;
  /** For lib/coroutine.ts: the suspension was refused and is dealt with. */
  dropSuspension(): void;
  /** Called by the engine when a string of at least 4096 bytes is about to be made. @throws a Lua memory error */
  stringMade(L: LuaState, bytes: number): void;
  /** Called by the engine for work that grows with what it works on: as charge, but not while a callback is being ended. */
  engineWorked(L: LuaState, steps: number): void;
  /** Called by the engine for a JavaScript exception that is neither memory nor stack: our bug or the engine's. */
  nativeError(L: LuaState, error: unknown): void;
}

/**
 * What a library keeps for each Lua state.
 *
 * A WeakMap of hosts would do, but V8's collection of young objects takes the values of a WeakMap for reachable, so each
 * finished session stayed in memory until the next full collection, and the short collections had to copy it all.
 */
export class PerState<T> {
  get(host: Host): T | undefined {
    return host.belongings.get(this) as T | undefined;
  }

  set(host: Host, value: T): void {
    host.belongings.set(this, value);
  }

  delete(host: Host): void {
    host.belongings.delete(this);
  }
}

const unchangingObjects = new WeakSet<object>();

/**
 * Says of an object of JavaScript behind a Lua value that nothing in it ever changes: copies of a state may share it.
 * Of others there is no copy, so that a state with one cannot be copied.
 */
export function unchanging<T extends object>(value: T): T {
  unchangingObjects.add(value);
  return value;
}

/** Whether copies of a Lua state may share what stands behind a Lua value. */
export function isUnchanging(value: unknown): boolean {
  return (
    (typeof value !== 'object' && typeof value !== 'function') ||
    value === null ||
    unchangingObjects.has(value)
  );
}

export function hostOf(L: LuaState): Host {
  return L.l_G.host as Host;
}
