/**
 * One Lua state of one SMTP session, and the callbacks that run in it: to their end, to an error, until they wait, or
 * until they are over a budget.
 *
 * Every callback runs in a thread that is not the main one, so that it can be left behind at any point; one that has
 * ended well serves the next callback. One callback at a time.
 */
import type { Continuation, LuaState } from 'fengari';
import { type Account, accountOf, describeError, positionOf, tracebackOf } from './diagnosis.ts';
import {
  endedUncatchably,
  lauxlib,
  lua,
  nativeErrorHandler,
  throwMemoryError,
  throwUncatchable,
} from './engine.ts';
import { collectInSteps } from './garbage.ts';
import {
  type Budget,
  type Closable,
  defaultLimits,
  type Host,
  type Limits,
  type Suspension,
} from './host.ts';
import { type CallWatcher, type LineWatcher, setHooks } from './line-hook.ts';
import { DEADLINE, Meter, type Overrun } from './meter.ts';
import type { Script } from './script.ts';
import { CANNOT_WAIT, finishWait, Slice, Wait } from './suspension.ts';
import type { Template } from './template.ts';

/** How a callback ended. All texts are latin1; `where` is `file:line`, or '' where no Lua code was at work. */
export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | ({ readonly kind: 'failed' } & Account)
  | ({ readonly kind: 'overBudget'; readonly what: Budget } & Account)
  | { readonly kind: 'cancelled' };

export interface ContextOptions {
  readonly template: Template;
  readonly script: Script;
  readonly limits?: Limits;
  /** Takes one line of the script's `print`, without line end. */
  readonly print?: (line: Uint8Array) => void;
  readonly allowExecute?: boolean;
  /** Id of the SMTP session, for log lines. */
  readonly sessionId?: string;
  readonly lineWatcher?: LineWatcher | undefined;
}

export interface CallOptions {
  /** Time until the callback must have ended, waits included. */
  readonly deadlineMs?: number | undefined;
}

/** Instructions between two looks at the clock: some 15 µs. Rarer would not be cheaper, any hook costs 8 %. */
const HOOK_INSTRUCTIONS = 1000;
/** `charge` steps between two looks at the clock: about as long. */
const CHARGE_STEPS = 10_000;
/** CPU time for the __tostring of an error value. */
const DESCRIBE_MS = 10;

/** Slots of a thread's stack above which it is not kept for the next callback. */
const SPARE_STACK = 200;

const nothing = (): undefined => undefined;

type Ended = Exclude<Outcome<never>, { kind: 'done' }>;

/** Stands in while the account of an end is being written, which may itself make strings. */
const ENDING: Ended = { kind: 'cancelled' };

export class LuaContext implements Host {
  readonly script: Script;
  readonly limits: Limits;
  readonly openFiles: Set<Closable> = new Set();
  readonly dependents: Set<Closable> = new Set();
  readonly belongings: Map<object, unknown> = new Map();
  writtenBytes = 0;
  readonly allowExecute: boolean;
  readonly sessionId: string;
  readonly #print: (line: Uint8Array) => void;
  readonly #template: Template;
  readonly #meter: Meter;
  #main: LuaState | null;
  #thread: LuaState | null = null;
  /** One that a callback has ended in well, for the next. */
  #spare: LuaState | null = null;
  readonly #lineWatcher: LineWatcher | undefined;
  #read: (L: LuaState, nresults: number) => unknown = nothing;
  #suspension: Wait | Slice | null = null;
  /** The wait or slice the callback is suspended in. */
  #asleep: Wait | Slice | null = null;
  #settle: ((outcome: Outcome<unknown>) => void) | null = null;
  #deadlineTimer: NodeJS.Timeout | null = null;
  /** How the running callback was ended from outside its own code. */
  #end: Ended | null = null;
  #steps = 0;
  #broken = false;
  #exhausted = false;

  constructor(options: ContextOptions) {
    this.script = options.script;
    this.limits = options.limits ?? defaultLimits;
    this.allowExecute = options.allowExecute ?? false;
    this.sessionId = options.sessionId ?? '';
    this.#print = options.print ?? nothing;
    this.#template = options.template;
    this.#meter = new Meter(this.limits);
    const L = options.template.clone();
    L.l_G.host = this;
    lua.lua_atnativeerror(L, nativeErrorHandler);
    this.#lineWatcher = options.lineWatcher;
    setHooks(L, countHook, HOOK_INSTRUCTIONS, { line: options.lineWatcher });
    this.#main = L;
  }

  /** False after an outcome `overBudget`, after an internal error and after dispose(): no callback may run any more. */
  get usable(): boolean {
    return this.#main !== null && !this.#broken && !this.#exhausted;
  }

  /** Whether an exception in the engine has left the state in disorder. */
  get broken(): boolean {
    return this.#broken;
  }

  /** The main thread, for setting up what the script sees; null after dispose(). Nothing may run in it. */
  get state(): LuaState | null {
    return this.#main;
  }

  /** Whether a callback has begun and not ended. */
  get running(): boolean {
    return this.#thread !== null;
  }

  /**
   * Executes the script's main chunk.
   *
   * @param called is told of the functions that are called and are not Lua
   */
  run(options?: CallOptions, called?: CallWatcher): Outcome<void> | Promise<Outcome<void>> {
    const push = (L: LuaState): number => {
      this.script.push(L);
      return 0;
    };
    const main = this.#main;
    if (called === undefined || main === null) return this.call(push, nothing, options);
    const watch = (call: CallWatcher | undefined): void =>
      setHooks(main, countHook, HOOK_INSTRUCTIONS, { line: this.#lineWatcher, call });
    watch(called);
    this.#spare = null;
    const end = (outcome: Outcome<void>): Outcome<void> => {
      watch(undefined);
      this.#spare = null;
      return outcome;
    };
    const outcome = this.call(push, nothing, options);
    return outcome instanceof Promise ? outcome.then(end) : end(outcome);
  }

  /**
   * Runs one callback.
   *
   * @param push puts the function and its arguments on the stack of a new thread; returns the number of arguments
   * @param read makes the value from the results, which are at 1 to `nresults` of its stack
   * @returns the outcome itself when the callback neither waited nor worked longer than a slice
   * @throws Error when the context is not usable or already runs a callback
   */
  call<T>(
    push: (L: LuaState) => number,
    read: (L: LuaState, nresults: number) => T,
    options?: CallOptions,
  ): Outcome<T> | Promise<Outcome<T>> {
    const main = this.#main;
    if (main === null || !this.usable) throw new Error('this Lua context is not usable any more');
    if (this.#thread !== null) throw new Error('a callback is running in this Lua context');
    const thread = this.#spare ?? newThread(main);
    this.#spare = null;
    this.#thread = thread;
    this.#read = read;
    this.#meter.begin(options?.deadlineMs);
    let outcome: Outcome<unknown> | null;
    try {
      outcome = this.#advance(thread, push(thread));
    } catch (error) {
      outcome = this.#crashed(error);
    }
    if (outcome !== null) return outcome as Outcome<T>;
    if (options?.deadlineMs !== undefined) this.#armDeadline();
    return new Promise((resolve) => {
      this.#settle = resolve as (outcome: Outcome<unknown>) => void;
    });
  }

  /**
   * Ends the running callback, if any: at once when it is suspended, else at its next step. Its outcome is `cancelled`;
   * the context stays usable. `reason` is for what is waited for: the reason of its AbortSignal.
   */
  cancel(reason = 'the callback is not wanted any more'): void {
    if (this.#thread === null) return;
    this.#end ??= { kind: 'cancelled' };
    if (this.#asleep !== null) this.#finish(this.#end, reason);
  }

  /** Cancels, closes what the script left open and lets go of the state. */
  dispose(): void {
    this.cancel('the session is over');
    for (const dependent of [...this.openFiles, ...this.dependents]) {
      try {
        dependent.close();
      } catch {
        // Nobody is left to be told.
      }
    }
    this.openFiles.clear();
    this.dependents.clear();
    this.#main = null;
    this.#spare = null;
  }

  print(line: Uint8Array): void {
    this.#print(line);
  }

  abort(L: LuaState, reason: string, budget?: Budget): never {
    if (this.#end === null) {
      this.#end = ENDING;
      const account = accountOf(L, reason);
      this.#end =
        budget === undefined
          ? { kind: 'failed', ...account }
          : { kind: 'overBudget', what: budget, ...account };
    }
    return throwUncatchable(L);
  }

  charge(L: LuaState, steps: number): void {
    this.#steps += steps;
    if (this.#steps < CHARGE_STEPS) return;
    this.#steps = 0;
    this.#check(L);
    if (this.sliceOver) L.hookcount = 1; // Others have their turn at the next instruction.
  }

  get sliceOver(): boolean {
    return this.#meter.sliceOver;
  }

  engineWorked(L: LuaState, steps: number): void {
    if (this.#thread !== null && this.#end === null) this.charge(L, steps);
  }

  giveWay(L: LuaState, context: unknown, resume: Continuation): void {
    if (!this.sliceOver || !lua.lua_isyieldable(L)) return;
    this.#suspension = new Slice();
    lua.lua_yieldk(L, 0, context, resume);
  }

  wait<T>(
    L: LuaState,
    start: (cancelled: AbortSignal) => Promise<T>,
    push: (L: LuaState, value: T) => number,
  ): number {
    if (!lua.lua_isyieldable(L)) return lauxlib.luaL_error(L, CANNOT_WAIT);
    const wait = new Wait(L, start, push as (L: LuaState, value: unknown) => number);
    this.#suspension = wait;
    return lua.lua_yieldk(L, 0, wait, finishWait);
  }

  get thread(): LuaState | null {
    return this.#thread;
  }

  get suspension(): Suspension | null {
    return this.#suspension;
  }

  dropSuspension(): void {
    this.#suspension = null;
  }

  stringMade(L: LuaState, bytes: number): void {
    if (this.#thread === null || this.#end !== null) return;
    if (bytes > this.limits.stringBytes) throwMemoryError(L);
    const overrun = this.#meter.string(bytes) ?? this.#collectWhereHeld(L);
    if (overrun !== null) this.#overrun(L, overrun);
    if (this.sliceOver) L.hookcount = 1;
  }

  nativeError(_L: LuaState, error: unknown): void {
    this.#broken = true;
    this.#end = internalError(error);
  }

  /** For the count hook: the callback has run a thousand instructions more. */
  tick(L: LuaState): void {
    this.#check(L);
    if (this.sliceOver && lua.lua_isyieldable(L)) {
      this.#suspension = new Slice();
      lua.lua_yield(L, 0);
    }
  }

  #check(L: LuaState): void {
    if (this.#end !== null) throwUncatchable(L);
    if (this.#thread === null) return; // Work to set the state up.
    const overrun = this.#meter.check() ?? this.#collectWhereHeld(L);
    if (overrun !== null) this.#overrun(L, overrun);
  }

  #collectWhereHeld(L: LuaState): Overrun | null {
    return this.#meter.collectionDue && !lua.lua_isyieldable(L) ? this.#meter.collect() : null;
  }

  #overrun(L: LuaState, { budget, message }: Overrun): never {
    return this.abort(L, message, budget);
  }

  /** Runs the callback until it ends or is suspended; null when suspended. */
  #advance(thread: LuaState, nargs: number, sameTurn = false): Outcome<unknown> | null {
    this.#meter.resume(sameTurn);
    const status = lua.lua_resume(thread, null, nargs);
    if (this.#end !== null) return this.#ended(this.#end);
    switch (status) {
      case lua.LUA_OK: {
        const value = this.#read(thread, lua.lua_gettop(thread));
        this.#thread = null;
        this.#read = nothing;
        if (thread.stack.length <= SPARE_STACK) {
          lua.lua_settop(thread, 0);
          this.#spare = thread;
        }
        return { kind: 'done', value };
      }
      case lua.LUA_YIELD:
        return this.#suspended();
      default:
        return this.#failed(thread);
    }
  }

  #suspended(): Outcome<unknown> | null {
    const suspension = this.#suspension;
    this.#suspension = null;
    if (suspension === null) return this.#crashed(new Error('a yield that nobody asked for'));
    this.#meter.suspend();
    this.#asleep = suspension;
    if (suspension instanceof Slice) {
      if (this.#meter.collectionDue) void this.#collect(suspension);
      else this.#goOnAfterOthers(suspension);
    } else {
      suspension.begin(() => {
        // What is known at once settles before the event loop looks at its sockets: a loop of such waits kept it from that.
        if (this.#meter.turnOver) setImmediate(() => this.#wake(suspension));
        else this.#wake(suspension, true);
      });
    }
    return null;
  }

  async #collect(suspension: Slice): Promise<void> {
    await collectInSteps();
    if (this.#asleep !== suspension) return; // Cancelled meanwhile.
    this.#meter.collected();
    this.#goOnAfterOthers(suspension);
  }

  #goOnAfterOthers(suspension: Slice): void {
    this.#template.slices.add(() => this.#wake(suspension));
  }

  /** What the callback was suspended for is over. */
  #wake(suspension: Wait | Slice, sameTurn = false): void {
    const thread = this.#thread;
    if (this.#asleep !== suspension || thread === null) return; // Cancelled meanwhile.
    this.#asleep = null;
    let outcome: Outcome<unknown> | null;
    try {
      outcome = this.#advance(thread, 0, sameTurn);
    } catch (error) {
      outcome = this.#crashed(error);
    }
    if (outcome !== null) this.#finish(outcome);
  }

  #failed(thread: LuaState): Outcome<unknown> {
    if (endedUncatchably(thread)) return this.#crashed(new Error('the engine lost its way'));
    this.#end = ENDING;
    const where = positionOf(thread);
    const traceback = tracebackOf(thread);
    this.#end = null;
    this.#meter.allowOnly(DESCRIBE_MS);
    const message = describeError(thread);
    this.#leave();
    return { kind: 'failed', message, where: /^(.+?:\d+): /.exec(message)?.[1] ?? where, traceback };
  }

  /** The callback is over, wherever it was. */
  #leave(): void {
    // A script may have kept the thread (coroutine.running) and must not go on with it.
    if (this.#thread !== null) this.#thread.status = lua.LUA_ERRRUN;
    this.#thread = null;
    this.#read = nothing;
    this.#end = null;
    this.#suspension = null;
  }

  /** The end that abort() or cancel() prepared. */
  #ended(end: Ended): Outcome<unknown> {
    this.#leave();
    if (end.kind === 'overBudget') this.#exhausted = true;
    return end;
  }

  /** An exception got out of the engine, or `push` or `read` threw. */
  #crashed(error: unknown): Outcome<unknown> {
    this.#broken = true;
    return this.#ended(internalError(error));
  }

  /** Settles the promise that call() returned. */
  #finish(outcome: Outcome<unknown>, reason = 'the callback is over'): void {
    const asleep = this.#asleep;
    const settle = this.#settle;
    this.#asleep = null;
    this.#settle = null;
    this.#leave();
    if (this.#deadlineTimer !== null) clearTimeout(this.#deadlineTimer);
    this.#deadlineTimer = null;
    if (outcome.kind === 'overBudget') this.#exhausted = true;
    asleep?.cancel(reason);
    settle?.(outcome);
  }

  #armDeadline(): void {
    this.#deadlineTimer = setTimeout(() => {
      const thread = this.#thread;
      if (this.#asleep === null || thread === null) return;
      const L = this.#asleep instanceof Wait ? this.#asleep.thread : thread;
      this.#finish({ kind: 'overBudget', what: 'deadline', ...accountOf(L, DEADLINE.message) });
    }, this.#meter.remainingMs());
  }
}

function newThread(main: LuaState): LuaState {
  const thread = lua.lua_newthread(main);
  lua.lua_pop(main, 1);
  return thread;
}

/** Every context's count hook. */
function countHook(L: LuaState): void {
  (L.l_G.host as LuaContext).tick(L);
}

function internalError(error: unknown): Ended {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  return { kind: 'failed', message: `internal error: ${text}`, where: '', traceback: stack };
}
