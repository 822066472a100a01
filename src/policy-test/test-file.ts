/** Runs one test file: its main chunk, then its cases in order, each in a world of its own. */
import { readFileSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import type { LuaState } from 'fengari';
import { LuaContext, type Outcome } from '../lua/context/context.ts';
import type { Script } from '../lua/context/script.ts';
import { Template } from '../lua/context/template.ts';
import { lua } from '../lua/engine/engine.ts';
import { defaultLimits } from '../lua/engine/host.ts';
import { libraries } from '../lua/lib/libraries.ts';
import { withPackagePath } from '../lua/lib/package.ts';
import { ScriptFile } from '../lua/script/script-file.ts';
import type { Options } from '../options/option-table.ts';
import { packagePathOf } from '../options/options.ts';
import { servicesOf } from '../policy/policy-source.ts';
import { Logger } from '../syslog/log.ts';
import { StderrSink } from '../syslog/stderr-sink.ts';
import { replyLines } from '../workbench/client-reply.ts';
import { Coverage, type FileCoverage } from './coverage.ts';
import { type Failure, failureOf } from './failure.ts';
import { Recording, type RecordingReport } from './recording.ts';
import { TestHarness } from './test-harness.ts';
import { installCodes, testLibrary } from './test-library.ts';
import type { StepResult } from './test-session.ts';

export interface CaseReport {
  readonly name: string;
  readonly milliseconds: number;
  /** Lines that the test has printed. */
  readonly printed: readonly string[];
  readonly failure?: Failure;
}

/** All text is for people. */
export interface FileReport {
  readonly file: string;
  readonly policy: string;
  readonly cases: readonly CaseReport[];
  /** Why there are no cases, or no more of them. */
  readonly broken?: string;
  readonly milliseconds: number;
  /** Absolute paths of what was read besides the file. */
  readonly dependencies: readonly string[];
  readonly coverage: readonly FileCoverage[];
  /** What was recorded. */
  readonly recording?: RecordingReport | undefined;
}

export interface RunSettings {
  readonly options: Options;
  /** Whether real services are asked where a test has said nothing, and their answers kept. */
  readonly record?: boolean;
  readonly coverage: boolean;
  /** Cases whose name does not match are left out. */
  readonly filter?: string | undefined;
  /** Whether the first case of a file that fails is its last. */
  readonly bail?: boolean;
  /** Real paths of the policies whose tests are run; of a file that tests another there are no cases. */
  readonly policies?: ReadonlySet<string>;
}

/** CPU time of a case without what its sessions take, and time in all. */
const CPU_MS = 10_000;
const DEADLINE_MS = 60_000;

interface Case {
  readonly name: string;
  /** Index of its function in the thread that holds those of all cases. */
  readonly place: number;
}

/** @param path as the operator named it */
export async function runTestFile(path: string, settings: RunSettings): Promise<FileReport> {
  const began = performance.now();
  const coverage = settings.coverage ? new Coverage() : undefined;
  const recording = openRecording(path, settings);
  if (typeof recording === 'string') {
    const milliseconds = performance.now() - began;
    return {
      file: path,
      policy: '',
      cases: [],
      broken: recording,
      milliseconds,
      dependencies: [],
      coverage: [],
    };
  }
  const harness = new TestHarness(path, settings.options, coverage?.watch, recording);
  const cases: CaseReport[] = [];
  const report = (broken: string | undefined): FileReport => ({
    file: path,
    policy: harness.policy,
    cases,
    ...(broken === undefined ? {} : { broken: readable(broken) }),
    milliseconds: performance.now() - began,
    dependencies: [...harness.dependencies],
    coverage: coverage?.report() ?? [],
    recording: recording.finish(),
  });
  const { script, failure } = new ScriptFile(path).current();
  if (!script) return report(failure.message);
  const file = new RunningFile(script, harness, settings.options);
  try {
    const wanted = new RegExp(settings.filter ?? '', 'iu');
    const unloaded = await file.load();
    if (settings.policies?.has(realPathOf(harness.policy)) === false) return report(undefined);
    const broken = unloaded ?? harness.script().failure?.message;
    if (broken !== undefined) return report(broken);
    const policy = harness.script().script;
    if (policy) coverage?.include(policy.proto);
    if (file.cases.length === 0) return report(`${path}: no test.case in it`);
    for (let i = 0; i < file.cases.length; i++) {
      if (settings.bail && cases.at(-1)?.failure) break;
      if (!wanted.test(readable(file.cases[i]?.name ?? ''))) continue;
      // A case that was over a budget has taken the context with it.
      const lost = file.usable ? undefined : await file.load();
      if (lost !== undefined) return report(lost);
      const found = file.cases[i];
      if (found) cases.push(await file.run(found));
    }
    return report(undefined);
  } finally {
    file.close();
    harness.world.end();
  }
}

/** Where a file really is, whether or not it is there. */
export function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return resolve(path);
  }
}

/** @returns what is wrong with the one that is there */
function openRecording(path: string, { options, record, filter, bail }: RunSettings): Recording | string {
  try {
    // What a policy remembers is the test's own in any case.
    const real = record
      ? servicesOf(
          { ...options, store: undefined },
          new StderrSink(),
          new Logger(new StderrSink(), 'warning'),
        )
      : undefined;
    return new Recording(path, real, filter !== undefined || bail === true);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Latin1 text that stands for bytes, as the UTF-8 text that most files are in; other bytes stay latin1. */
function readable(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(latin1, 'latin1'));
  } catch {
    return latin1;
  }
}

/** The Lua side of a test file. */
class RunningFile {
  cases: Case[] = [];
  readonly #script: Script;
  readonly #harness: TestHarness;
  readonly #options: Options;
  readonly #template: Template;
  readonly #source: readonly string[];
  #context: LuaContext | undefined;
  /** A thread that runs nothing and holds the functions of the cases. */
  #caseFunctions: LuaState | undefined;

  constructor(script: Script, harness: TestHarness, options: Options) {
    this.#script = script;
    this.#harness = harness;
    this.#options = options;
    this.#source = readFileSync(script.path, 'latin1').split(/\r?\n/);
    this.#template = new Template([
      ...libraries,
      { install: installCodes },
      {
        name: 'test',
        open: testLibrary(
          () => harness,
          (L, name) => this.#addCase(L, name),
        ),
      },
    ]);
  }

  get usable(): boolean {
    return this.#context?.usable ?? false;
  }

  /** Runs the main chunk in a new context. @returns what is wrong with it, if anything */
  async load(): Promise<string | undefined> {
    this.close();
    this.cases = [];
    const options = { ...this.#options, script: resolve(this.#script.path) };
    const context = new LuaContext({
      template: withPackagePath(this.#template, packagePathOf(options)),
      script: this.#script,
      limits: { ...defaultLimits, cpuMs: CPU_MS },
      allowExecute: this.#options.allowExecute,
      surroundings: this.#harness.surroundingsIn(() => this.#harness.world),
      print: (line) =>
        this.#harness.printed.push(Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1')),
    });
    if (context.state === null) throw new Error('a new Lua context has no state');
    this.#context = context;
    this.#caseFunctions = lua.lua_newthread(context.state);
    lua.lua_pop(context.state, 1);
    const outcome = await context.run({ deadlineMs: DEADLINE_MS });
    return outcome.kind === 'done' ? undefined : outcome.kind === 'cancelled' ? 'cancelled' : outcome.message;
  }

  async run({ name, place }: Case): Promise<CaseReport> {
    const harness = this.#harness;
    const began = performance.now();
    harness.beginCase();
    const outcome = await this.#call(place);
    let atEnd: unknown;
    try {
      await harness.endCase();
    } catch (error) {
      atEnd = error;
    }
    const failure = failureOf(outcome, atEnd, this.#script.path, this.#source);
    return {
      name: readable(name),
      milliseconds: performance.now() - began,
      printed: harness.printed.map(readable),
      ...(failure && {
        failure: {
          message: readable(failure.message),
          where: readable(failure.where),
          source: readable(failure.source),
          callers: failure.callers.map(readable),
          transcripts: harness.sessions.map(({ steps }) => steps.map(shown)),
        },
      }),
    };
  }

  close(): void {
    this.#context?.dispose();
    this.#context = undefined;
    this.#caseFunctions = undefined;
  }

  #addCase(L: LuaState, name: string): void {
    const functions = this.#caseFunctions;
    if (!functions) throw new Error('no file is being loaded');
    lua.lua_checkstack(functions, 1);
    lua.lua_xmove(L, functions, 1);
    this.cases.push({ name, place: lua.lua_gettop(functions) });
  }

  async #call(place: number): Promise<Outcome<void>> {
    const context = this.#context;
    const functions = this.#caseFunctions;
    if (!context || !functions) throw new Error('no file is loaded');
    return context.call<void>(
      (L) => {
        lua.lua_checkstack(functions, 1);
        lua.lua_pushvalue(functions, place);
        lua.lua_xmove(functions, L, 1);
        return 0;
      },
      () => undefined,
      { deadlineMs: DEADLINE_MS },
    );
  }
}

function shown({ command, reply, call, action, failed }: StepResult): {
  readonly command: string;
  readonly reply: string;
  readonly where: string;
} {
  const isPlain = action === 'continue' || action === 'reject' || action === 'tempfail';
  return {
    command: readable(command),
    reply: readable(`${replyLines(reply).at(-1) ?? ''}${isPlain ? '' : ` (${action})`}`),
    where: readable([call?.where ?? '', ...failed.map((name) => `(${name} failed)`)].join(' ').trim()),
  };
}
