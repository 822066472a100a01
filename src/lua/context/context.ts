/**
 * One Lua state of one SMTP session, and the callbacks that run in it: to their end, to an error, until they wait, or
 * until they are over a budget.
 *
 * Every callback runs in a thread that is not the main one, so that it can be left behind at any point; one that has
 * ended well serves the next callback. One callback at a time.
 */
import type { Continuation, LuaState } from 'fengari';
import {
  endedUncatchably,
  lauxlib,
  lua,
  nativeErrorHandler,
  throwMemoryError,
  throwUncatchable,
} from '../engine/engine.ts';
import {
  type Budget,
  type Closable,
  defaultLimits,
  type Host,
  type Limits,
  type Suspension,
} from '../engine/host.ts';
import { type LuaFile, type Names, type Surroundings, SYSTEM } from '../engine/surroundings.ts';
import { describeError, type Problem, positionOf, problemAt, tracebackOf } from './diagnosis.ts';
import { collectInSteps } from './garbage.ts';
import { type CallWatcher, type LineWatcher, setHooks } from './line-hook.ts';
import { liveSize } from './live-size.ts';
import { DEADLINE, Meter, type Overrun } from './meter.ts';
import type { Script } from './script.ts';
import { SLICE_MS } from './slice-queue.ts';
import { CANNOT_WAIT, finishWait, Slice, Wait } from './suspension.ts';
import type { Template } from './template.ts';

/** How a callback ended. All texts are latin1; `where` is `file:line`, or '' where no Lua code was at work. */
export type Outcome<T> =
  | { readonly kind: 'done'; readonly value: T }
  | ({ readonly kind: 'failed' } & Problem)
  | ({ readonly kind: 'overBudget'; readonly what: Budget } & Problem)
  | { readonly kind: 'cancelled' };

export interface ContextOptions {
  readonly template: Template;
  readonly script: Script;
  readonly limits?: Limits;
  /** Takes one line of the script's `print`, without line end. */
  readonly print?: (line: Uint8Array, L: LuaState) => void;
  readonly allowExecute?: boolean;
  /** Real paths of what is no policy's; see Host. */
  readonly closedPlaces?: readonly string[];
  /** Id of the SMTP session, for log lines. */
  readonly sessionId?: string;
  readonly lineWatcher?: LineWatcher | undefined;
  /** Time, environment and files as the script sees them; those of the system without it. */
  readonly surroundings?: Surroundings | undefined;
}

export interface CallOptions {
  /** Time until the callback must have ended, waits included. */
  readonly deadlineMs?: number | undefined;
  /** Name of the callback, for the log. */
  readonly callback?: string;
}

/** Instructions between two looks at the clock: some 15 µs. Rarer would not be cheaper, any hook costs 8 %. */
const HOOK_INSTRUCTIONS = 1000;
/** `charge` steps between two looks at the clock: about as long. */
const CHARGE_STEPS = 10_000;
/** Of `charge`: a step is some 10 ns. */
const STEPS_PER_MS = 100_000;
/** CPU time that a wait takes while the callback does not run: promises, timers and what comes back. */
const WAIT_MS = 0.01;
/** CPU time for the __tostring of an error value. */
const DESCRIBE_MS = 10;

/**
 * What a session keeps is walked through when it may have grown by its bound: by the strings made, and by what so much work
 * can make at most in tables and closures, in bytes for each instruction or step. A callback that is not looked at in its
 * whole course counts as half of what a look would come to.
 */
const BYTES_PER_STEP = 100;
const SHORT_CALLBACK_STEPS = HOOK_INSTRUCTIONS / 2;

/** Slots of a thread's stack above which it is not kept for the next callback. */
const SPARE_STACK = 200;

const nothing = (): undefined => undefined;
const NONE = (): number => 0;

type Ended = Exclude<Outcome<never>, { kind: 'done' }>;

/** Stands in while the text about an end is being written, which may itself make strings. */
const ENDING: Ended = { kind: 'cancelled' };

/** One callback, from its beginning to its end: nothing of it is left for the next. */
class Run {
  /** The thread that it runs in; null once it has ended. */
  thread: LuaState | null;
  readonly read: (L: LuaState, nresults: number) => unknown;
  /** The most that the session may have kept when it began, in bytes. */
  readonly keptBefore: number;
  /** How it was ended from outside its own code. */
  end: Ended | null = null;
  /** A wait or slice on its way up to the driver. */
  suspension: Wait | Slice | null = null;
  /** The wait or slice that it is suspended in. */
  asleep: Wait | Slice | null = null;
  settle: ((outcome: Outcome<unknown>) => void) | null = null;
  deadlineTimer: NodeJS.Timeout | null = null;

  constructor(thread: LuaState, read: (L: LuaState, nresults: number) => unknown, keptBefore: number) {
    this.thread = thread;
    this.read = read;
    this.keptBefore = keptBefore;
  }
}

export class LuaContext implements Host {
  readonly script: Script;
  readonly limits: Limits;
  readonly openFiles: Set<Closable> = new Set();
  readonly dependents: Set<Closable> = new Set();
  readonly belongings: Map<object, unknown> = new Map();
  writtenBytes = 0;
  readonly allowExecute: boolean;
  readonly closedPlaces: readonly string[];
  ownFile = '';
  /** Bytes that are kept for the session outside of its Lua state, such as the changes it has asked for. */
  keptBesides: () => number = NONE;
  readonly sessionId: string;
  readonly #print: (line: Uint8Array, L: LuaState) => void;
  readonly #surroundings: Surroundings;
  readonly #template: Template;
  readonly #meter: Meter;
  #main: LuaState | null;
  /** The callback that has begun and not ended. */
  #run: Run | null = null;
  /** One that a callback has ended in well, for the next. */
  #spare: LuaState | null = null;
  readonly #lineWatcher: LineWatcher | undefined;
  #steps = 0;
  /** Instructions and steps of all callbacks, and when what is kept is looked at next: bytes that may have been made. */
  #work = 0;
  #measureAt: number;
  /** What it was found to keep, in bytes. */
  #kept = 0;
  #callback = '';
  #broken = false;
  #exhausted = false;

  constructor(options: ContextOptions) {
    this.script = options.script;
    this.limits = options.limits ?? defaultLimits;
    this.allowExecute = options.allowExecute ?? false;
    this.closedPlaces = options.closedPlaces ?? [];
    this.sessionId = options.sessionId ?? '';
    this.#print = options.print ?? nothing;
    this.#surroundings = options.surroundings ?? SYSTEM;
    this.#template = options.template;
    this.#meter = new Meter(this.limits, options.template.slices);
    this.#measureAt = this.limits.sessionBytes;
    const L = options.template.clone();
    L.l_G.host = this;
    L.l_G.made = 0;
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

  /** Whether an object was told by its address, as `tostring` does: that is another in each session. */
  get addressSeen(): boolean {
    return this.#main !== null && this.#main.l_G.addressSpace !== 0;
  }

  get callback(): string {
    return this.#callback;
  }

  /** Whether a callback has begun and not ended. */
  get running(): boolean {
    return this.#run !== null;
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
    if (this.#run !== null) throw new Error('a callback is running in this Lua context');
    const thread = this.#spare ?? newThread(main);
    this.#spare = null;
    this.#callback = options?.callback ?? '';
    const run = new Run(thread, read, this.#kept + this.#madeSince(main));
    this.#run = run;
    this.#meter.begin(options?.deadlineMs);
    let outcome: Outcome<unknown> | null;
    try {
      outcome = this.#advance(run, thread, push(thread));
    } catch (error) {
      outcome = this.#crashed(run, error);
    }
    if (outcome !== null && !this.#mayKeepTooMuch(main, outcome)) return outcome as Outcome<T>;
    if (outcome !== null) this.#measure(run, main, outcome);
    if (options?.deadlineMs !== undefined) this.#armDeadline(run);
    return new Promise((resolve) => {
      run.settle = resolve as (outcome: Outcome<unknown>) => void;
    });
  }

  /** CPU time of the callback that has just ended, in milliseconds; `now` is performance.now(). */
  cpuMs(now: number): number {
    return this.#meter.cpuMs(now);
  }

  /**
   * Ends the running callback, if any: at once when it is suspended, else at its next step. Its outcome is `cancelled`;
   * the context stays usable. `reason` is for what is waited for: the reason of its AbortSignal.
   */
  cancel(reason = 'the callback is not wanted any more'): void {
    const run = this.#run;
    if (run === null) return;
    run.end ??= { kind: 'cancelled' };
    if (run.asleep !== null) this.#finish(run, run.end, reason);
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

  print(L: LuaState, line: Uint8Array): void {
    this.#print(line, L);
  }

  now(): number {
    return this.#surroundings.now();
  }

  random(): number {
    return this.#surroundings.random?.() ?? Math.random();
  }

  env(name: string): string | undefined {
    return this.#surroundings.env(name);
  }

  locate(path: Buffer): Buffer {
    return this.#surroundings.locate(path);
  }

  get discards(): boolean {
    return this.#surroundings.discards ?? false;
  }

  held(path: string): LuaFile | null | undefined {
    return this.#surroundings.held?.(path);
  }

  loaded(source: Names, path: string, file: LuaFile): void {
    const began = performance.now();
    this.#surroundings.loaded?.(source, path, file);
    this.#meter.spend(began - performance.now()); // What is prepared for all sessions is not this callback's work.
  }

  abort(L: LuaState, reason: string, budget?: Budget): never {
    const run = this.#run;
    if (run !== null && run.end === null) {
      run.end = ENDING;
      const problem = problemAt(L, reason);
      run.end =
        budget === undefined
          ? { kind: 'failed', ...problem }
          : { kind: 'overBudget', what: budget, ...problem };
    }
    return throwUncatchable(L);
  }

  charge(L: LuaState, steps: number): void {
    this.#steps += steps;
    this.#work += steps;
    if (this.#steps < CHARGE_STEPS) return;
    this.#steps = 0;
    this.#check(L);
    if (this.sliceOver) L.hookcount = 1; // Others have their turn at the next instruction.
  }

  noteKept(bytes: number): void {
    this.#work += bytes / BYTES_PER_STEP;
  }

  spend(L: LuaState, ms: number): void {
    this.#meter.spend(ms);
    this.charge(L, ms * STEPS_PER_MS);
  }

  get sliceOver(): boolean {
    return this.#meter.sliceOver;
  }

  engineWorked(L: LuaState, steps: number): void {
    if (this.#run !== null && this.#run.end === null) this.charge(L, steps);
  }

  yieldToOthers(L: LuaState, context: unknown, resume: Continuation): void {
    const run = this.#run;
    if (run === null || !this.sliceOver || !lua.lua_isyieldable(L)) return;
    run.suspension = new Slice();
    lua.lua_yieldk(L, 0, context, resume);
  }

  wait<T>(
    L: LuaState,
    start: (cancelled: AbortSignal) => Promise<T>,
    push: (L: LuaState, value: T) => number,
  ): number {
    const run = this.#run;
    if (run === null || !lua.lua_isyieldable(L)) return lauxlib.luaL_error(L, CANNOT_WAIT);
    const wait = new Wait(L, start, push as (L: LuaState, value: unknown) => number);
    run.suspension = wait;
    return lua.lua_yieldk(L, 0, wait, finishWait);
  }

  get thread(): LuaState | null {
    return this.#run?.thread ?? null;
  }

  get suspension(): Suspension | null {
    return this.#run?.suspension ?? null;
  }

  dropSuspension(): void {
    if (this.#run !== null) this.#run.suspension = null;
  }

  stringMade(L: LuaState, bytes: number): void {
    const run = this.#run;
    if (run === null || run.end !== null) return;
    if (bytes > this.limits.stringBytes) throwMemoryError(L);
    const overrun = this.#meter.string(bytes) ?? this.#lookWhereHeld(L, run);
    if (overrun !== null) this.#overrun(L, overrun);
    if (this.sliceOver) L.hookcount = 1;
  }

  nativeError(_L: LuaState, error: unknown): void {
    this.#broken = true;
    if (this.#run !== null) this.#run.end = internalError(error);
  }

  /** For the count hook: the callback has run a thousand instructions more. */
  tick(L: LuaState): void {
    this.#work += HOOK_INSTRUCTIONS;
    this.#check(L);
    if (this.#run !== null && this.sliceOver && lua.lua_isyieldable(L)) {
      this.#run.suspension = new Slice();
      lua.lua_yield(L, 0);
    }
  }

  #check(L: LuaState): void {
    const run = this.#run;
    if (run === null) return; // Work to set the state up.
    if (run.end !== null) throwUncatchable(L);
    const overrun = this.#meter.check() ?? this.#lookWhereHeld(L, run);
    if (overrun !== null) this.#overrun(L, overrun);
  }

  /** What is done about memory between two slices, where there are none. */
  #lookWhereHeld(L: LuaState, run: Run): Overrun | null {
    if (lua.lua_isyieldable(L)) return null;
    if (this.#meter.collectionDue) this.#meter.collect();
    const walk = this.#walkOwn(run);
    if (walk === null) return null;
    const began = performance.now();
    let step = walk.next();
    while (step.done !== true) step = walk.next();
    this.#meter.found(step.value, performance.now() - began);
    return this.#meter.check();
  }

  /** Looks for what the running callback has of its own, where it is suspected to have too much. */
  #walkOwn(run: Run): Generator<undefined, number, undefined> | null {
    const most = this.#meter.suspectedOf;
    const main = this.#main;
    if (Number.isNaN(most) || main === null) return null;
    return this.#own(run, main, most);
  }

  *#own(run: Run, main: LuaState, most: number): Generator<undefined, number, undefined> {
    const before = run.keptBefore - this.keptBesides();
    const bytes = yield* liveSize(main, run.thread, before + most);
    return Math.max(0, bytes - before);
  }

  #overrun(L: LuaState, { budget, message }: Overrun): never {
    return this.abort(L, message, budget);
  }

  /** Runs the callback until it ends or is suspended; null when suspended. */
  #advance(run: Run, thread: LuaState, nargs: number): Outcome<unknown> | null {
    this.#meter.resume();
    const status = lua.lua_resume(thread, null, nargs);
    if (run.end !== null) return this.#ended(run, run.end);
    switch (status) {
      case lua.LUA_OK: {
        const value = run.read(thread, lua.lua_gettop(thread));
        run.thread = null;
        this.#run = null;
        if (thread.stack.length <= SPARE_STACK) {
          lua.lua_settop(thread, 0);
          this.#spare = thread;
        }
        return { kind: 'done', value };
      }
      case lua.LUA_YIELD:
        return this.#suspended(run);
      default:
        return this.#failed(run, thread);
    }
  }

  #suspended(run: Run): Outcome<unknown> | null {
    const { suspension } = run;
    run.suspension = null;
    if (suspension === null) return this.#crashed(run, new Error('a yield that nobody asked for'));
    run.asleep = suspension;
    if (suspension instanceof Slice) {
      this.#meter.suspend(false);
      const walk = this.#walkOwn(run);
      if (this.#meter.collectionDue) void this.#collect(run, suspension);
      else if (walk === null) this.#goOnAfterOthers(run, suspension);
      else {
        this.#walk(run, walk, (own, ms) => {
          this.#meter.found(own, ms);
          this.#goOnAfterOthers(run, suspension);
        });
      }
    } else {
      suspension.begin(() => {
        // What is known at once settles before the event loop looks at its sockets: a loop of such waits kept it from that,
        // as do many waits that settle together.
        const now = performance.now();
        if (now - this.#template.slices.roundStart(now) > SLICE_MS) this.#goOnAfterOthers(run, suspension);
        else this.#wake(run, suspension);
      });
      this.#meter.suspend(true); // What begin() has done is the callback's work.
      this.#meter.spend(WAIT_MS);
    }
    return null;
  }

  async #collect(run: Run, suspension: Slice): Promise<void> {
    await collectInSteps();
    if (run.asleep !== suspension) return; // Cancelled meanwhile.
    this.#meter.collected();
    this.#goOnAfterOthers(run, suspension);
  }

  #goOnAfterOthers(run: Run, suspension: Wait | Slice): void {
    this.#template.slices.add(() => this.#wake(run, suspension));
  }

  /** What the callback was suspended for is over. */
  #wake(run: Run, suspension: Wait | Slice): void {
    const { thread } = run;
    if (run.asleep !== suspension || thread === null) return; // Cancelled meanwhile.
    run.asleep = null;
    let outcome: Outcome<unknown> | null;
    try {
      outcome = this.#advance(run, thread, 0);
    } catch (error) {
      outcome = this.#crashed(run, error);
    }
    if (outcome === null) return;
    if (this.#main !== null && this.#mayKeepTooMuch(this.#main, outcome)) {
      this.#measure(run, this.#main, outcome);
    } else this.#finish(run, outcome);
  }

  /** At the end of a callback after which others may follow. */
  #mayKeepTooMuch(main: LuaState, { kind }: Outcome<unknown>): boolean {
    this.#work += SHORT_CALLBACK_STEPS;
    return this.#madeSince(main) > this.#measureAt && (kind === 'done' || kind === 'failed') && !this.#broken;
  }

  /** Bytes that may have been made at most since the session was last measured. */
  #madeSince({ l_G }: LuaState): number {
    return (l_G.made ?? 0) + this.#work * BYTES_PER_STEP;
  }

  /** Measures what the session keeps, in slices; the callback has ended with `outcome`, if that is within bounds. */
  #measure(run: Run, main: LuaState, outcome: Outcome<unknown>): void {
    this.#run = run;
    run.asleep = new Slice();
    const limit = this.limits.sessionBytes;
    this.#walk(run, liveSize(main), (live) => {
      const kept = live + this.keptBesides();
      this.#work = 0;
      main.l_G.made = 0;
      this.#kept = kept;
      this.#measureAt = Math.max(limit - kept, limit / 4);
      this.#finish(run, kept > limit ? keepsTooMuch(kept, limit, outcome) : outcome);
    });
  }

  /** Goes through a state in slices, in which nothing runs; tells of the bytes, and of the milliseconds that it took. */
  #walk(
    run: Run,
    walk: Generator<undefined, number, undefined>,
    tell: (bytes: number, ms: number) => void,
  ): void {
    const { asleep } = run;
    let ms = 0;
    const goOn = (): void => {
      if (run.asleep !== asleep) return; // Cancelled meanwhile.
      const began = performance.now();
      let step = walk.next();
      let now = performance.now();
      for (; step.done !== true && now - began < SLICE_MS; now = performance.now()) step = walk.next();
      ms += now - began;
      if (step.done === true) tell(step.value, ms);
      else this.#template.slices.add(goOn);
    };
    this.#template.slices.add(goOn);
  }

  #failed(run: Run, thread: LuaState): Outcome<unknown> {
    if (endedUncatchably(thread)) return this.#crashed(run, new Error('the engine lost its way'));
    run.end = ENDING;
    const where = positionOf(thread);
    const traceback = tracebackOf(thread);
    run.end = null;
    this.#meter.allowOnly(DESCRIBE_MS);
    const message = describeError(thread);
    this.#leave(run);
    return { kind: 'failed', message, where: /^(.+?:\d+): /.exec(message)?.[1] ?? where, traceback };
  }

  /** The callback is over, wherever it was. */
  #leave(run: Run): void {
    // A script may have kept the thread (coroutine.running) and must not go on with it.
    if (run.thread !== null) run.thread.status = lua.LUA_ERRRUN;
    run.thread = null;
    this.#run = null;
  }

  /** The end that abort() or cancel() prepared. */
  #ended(run: Run, end: Ended): Outcome<unknown> {
    this.#leave(run);
    if (end.kind === 'overBudget') this.#exhausted = true;
    return end;
  }

  /** An exception got out of the engine, or `push` or `read` threw. */
  #crashed(run: Run, error: unknown): Outcome<unknown> {
    this.#broken = true;
    return this.#ended(run, internalError(error));
  }

  /** Settles the promise that call() returned. */
  #finish(run: Run, outcome: Outcome<unknown>, reason = 'the callback is over'): void {
    const { asleep } = run;
    run.asleep = null;
    this.#leave(run);
    if (run.deadlineTimer !== null) clearTimeout(run.deadlineTimer);
    if (outcome.kind === 'overBudget') this.#exhausted = true;
    asleep?.cancel(reason);
    run.settle?.(outcome);
  }

  #armDeadline(run: Run): void {
    run.deadlineTimer = setTimeout(() => {
      const { thread, asleep } = run;
      if (asleep === null || thread === null) return;
      const L = asleep instanceof Wait ? asleep.thread : thread;
      this.#finish(run, { kind: 'overBudget', what: 'deadline', ...problemAt(L, DEADLINE.message) });
    }, this.#meter.remainingMs());
  }
}

function newThread(main: LuaState): LuaState {
  const thread = lua.lua_newthread(main);
  lua.lua_pop(main, 1);
  return thread;
}

function keepsTooMuch(bytes: number, limit: number, outcome: Outcome<unknown>): Ended {
  const kept = `the session keeps ${Math.round(bytes / 1048576)} MiB, more than the ${limit / 1048576} MiB of --session-mb`;
  const { message, where, traceback } =
    outcome.kind === 'failed' ? outcome : { message: '', where: '', traceback: '' };
  return {
    kind: 'overBudget',
    what: 'memory',
    message: message === '' ? kept : `${kept}; before that: ${message}`,
    where,
    traceback,
  };
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
