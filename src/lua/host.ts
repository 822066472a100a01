/**
 * What belongs to one Lua state and lives as long as it: reached from any host function by `hostOf(L)`.
 */
import type { LuaState } from 'fengari';

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
  /** Longest string a script can make. */
  readonly stringBytes: number;
  readonly openFiles: number;
  /** Bytes one SMTP session may write to files. */
  readonly writtenBytes: number;
}

export interface Host {
  /** smtp.sess.id: stands in front of the script's log messages; empty where no session is. */
  readonly sessionId: string;
  readonly limits: Limits;
  /** Files the script has open; closed with the context. */
  readonly openFiles: Set<Closable>;
  /** Bytes written to files so far. */
  writtenBytes: number;
  /** One line of the script's `print` and `io.write`, without line end, to the log. */
  print(line: Uint8Array): void;
  /** Whether os.execute and io.popen may run programs. */
  readonly allowExecute: boolean;
  /** Value of package.path, as bytes in latin1. */
  readonly packagePath: string;
  /** Ends the running callback for good: no pcall of the script can catch it. `reason` goes to the log. */
  abort(L: LuaState, reason: string): never;
  /**
   * Suspends the running callback until `start()`'s promise settles, then pushes its results on L by `push` and
   * returns their number; a rejection becomes a Lua error with its message. To be used as `return host.wait(...)` in a
   * host function. `start` is given a signal that fires when the wait is cancelled.
   */
  wait<T>(
    L: LuaState,
    start: (cancelled: AbortSignal) => Promise<T>,
    push: (L: LuaState, value: T) => number,
  ): number;
}

export function hostOf(L: LuaState): Host {
  return L.l_G.host as Host;
}
