/**
 * Why a callback is suspended: it waits for a promise, or others have their turn.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, bytesOf, lauxlib, lua } from '../engine/engine.ts';
import { hostOf, type Suspension } from '../engine/host.ts';

/** For places where JavaScript is in the middle of a call: it cannot be left and taken up again. */
export const CANNOT_WAIT: LuaString = ascii(
  'cannot wait here: a library function that cannot be left in the middle has called this one (a metamethod of ' +
    'package.loaded), or an error handler has: collect what is needed here, and wait after it',
);

/** The end of a time slice. */
export class Slice implements Suspension {
  /** Where it cannot end, it goes on. */
  refuse(): void {}
  cancel(_reason: string): void {}
}

/** A wait for a promise; what came of it is handed to Lua when the callback goes on. */
export class Wait implements Suspension {
  /** Where the script called the function that waits. */
  readonly thread: LuaState;
  readonly #start: (cancelled: AbortSignal) => Promise<unknown>;
  readonly #push: (L: LuaState, value: unknown) => number;
  readonly #controller = new AbortController();
  #value: unknown;
  /** Message as bytes. */
  #error: LuaString | null = ascii('this wait was cancelled');

  constructor(
    thread: LuaState,
    start: (cancelled: AbortSignal) => Promise<unknown>,
    push: (L: LuaState, value: unknown) => number,
  ) {
    this.thread = thread;
    this.#start = start;
    this.#push = push;
  }

  refuse(message: LuaString): void {
    this.#error = message;
  }

  /** Starts what is waited for; `settled` is called once, later. */
  begin(settled: () => void): void {
    this.#run().then(
      (value) => {
        this.#value = value;
        this.#error = null;
        settled();
      },
      (error: unknown) => {
        this.#error = messageOf(error);
        settled();
      },
    );
  }

  cancel(reason: string): void {
    this.#controller.abort(new Error(reason));
  }

  async #run(): Promise<unknown> {
    return this.#start(this.#controller.signal);
  }

  /** Pushes the results, or raises the error. */
  finish(L: LuaState): number {
    if (this.#error !== null) return lauxlib.luaL_error(L, ascii('%s'), this.#error);
    return this.#push(L, this.#value);
  }
}

/** In steps of Host.charge(), so many that the clock is looked at: between two waits a script may do next to nothing. */
const STEPS_PER_WAIT = 10_000;

/** Continuation of every waiting function. */
export function finishWait(L: LuaState, _status: number, wait: unknown): number {
  lua.lua_settop(L, 0);
  hostOf(L).charge(L, STEPS_PER_WAIT);
  return (wait as Wait).finish(L);
}

/** Ours are ASCII; what comes from elsewhere may be any text. */
function messageOf(error: unknown): LuaString {
  const text = error instanceof Error ? error.message : String(error);
  return /^[\0-\xff]*$/.test(text) ? bytesOf(text) : new Uint8Array(Buffer.from(text));
}
