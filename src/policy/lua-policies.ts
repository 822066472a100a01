/**
 * Opens a policy for each SMTP session: a fresh Lua context in which the script, as it is now, has run.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { LuaContext, type Outcome } from '../lua/context/context.ts';
import type { Problem } from '../lua/context/diagnosis.ts';
import type { LineWatcher } from '../lua/context/line-hook.ts';
import type { Script } from '../lua/context/script.ts';
import { Template } from '../lua/context/template.ts';
import type { Limits } from '../lua/engine/host.ts';
import type { Surroundings } from '../lua/engine/surroundings.ts';
import { withPackagePath } from '../lua/lib/package.ts';
import { compile } from '../lua/script/compilation.ts';
import { definedNames } from '../lua/script/defined-names.ts';
import { type RequiredFiles, watchFiles } from '../lua/script/required-files.ts';
import type { ScriptFile } from '../lua/script/script-file.ts';
import {
  type Choice,
  type GoodVersion,
  ScriptVersions,
  type ScriptWarning,
  type Validation,
  type ValidationResult,
} from '../lua/script/script-versions.ts';
import { repeatableFunctions } from '../lua/script/start-state.ts';
import type { Interests, Policy, PolicyFactory, SessionInfo } from '../milter/policy.ts';
import type { CallbackName } from '../modules/smtp/callbacks.ts';
import { symbolListsFor } from '../modules/smtp/macro.ts';
import { CALLBACK_NAMES, SmtpTable } from '../modules/smtp/table.ts';
import { bothUses, loadPackages, type MessageUses, messageUsesOf, PURE_FUNCTIONS } from '../modules/uses.ts';
import { BrokenPolicy } from './broken-policy.ts';
import { failureFields, inOneLine, NO_CALLBACKS, scriptDoesNotRun } from './failure.ts';
import { interestsOf } from './interests.ts';
import { LuaPolicy, type LuaPolicySettings } from './lua-policy.ts';
import type { CallbackWatcher, PolicySettings } from './policy-settings.ts';

export interface LuaPoliciesSettings extends PolicySettings {
  readonly template: Template;
  readonly limits: Limits;
  readonly allowExecute: boolean;
  /** Real paths of files and directories that are no policy's; see Host. */
  readonly closedPlaces?: readonly string[];
  /** Value of package.path, in latin1. */
  readonly packagePath: string;
  /** SMFIF_ bits of the changes to messages that are asked for; all without it. */
  readonly actions?: number;
  /** Whether the MTA may be asked for macros by a list; some peers cannot read one. */
  readonly asksForMacros: boolean;
  readonly lineWatcher?: LineWatcher | undefined;
  /** Time, environment and files as the script sees them. */
  readonly surroundings: Surroundings;
  /** Whether the last version that could run goes on serving when an edited one cannot. */
  readonly keepLastGood?: boolean;
  /** What follows where the script does not run, other than --on-error. */
  readonly consequence?: string | undefined;
  /** Such a version, known from an earlier process. */
  readonly lastGood?: GoodVersion | undefined;
  /** Takes a line of the script's `print`, where no observer does; L is the thread that has written it. */
  readonly print: (L: LuaState, line: Uint8Array) => void;
  /** Takes what is to be said of a new version. */
  readonly announce: (notice: ScriptNotice) => void;
}

/** What the operator should read about a version of the script. Text is latin1. */
export interface ScriptNotice {
  readonly level: 'notice' | 'warning' | 'error';
  readonly text: string;
  /** It is the first version that this process has looked at: others may know it. */
  readonly first: boolean;
  /** The same for the same version and result in every process. */
  readonly key: string;
  readonly hash: string | undefined;
  /** What keeps the version from being served; undefined where it has run in a scratch context. */
  readonly problem: string | undefined;
  /** That it defines, as the script spells them. */
  readonly callbacks: readonly string[];
  /** The version, where it is to serve. */
  readonly good: GoodVersion | undefined;
  /** Hash of the version that serves new sessions; undefined when none can run. */
  readonly serving: string | undefined;
}

const NO_USES: MessageUses = { readsMessage: false, needsFile: false, listening: [] };

/** How sessions of a script begin. */
interface Start {
  readonly script: Script;
  /** Of the state that the main chunk leaves; undefined where each session must run it. */
  readonly template?: Template;
  readonly interests?: Interests;
  /** What the chunk has required. */
  readonly files?: RequiredFiles;
}

export class LuaPolicies implements PolicyFactory {
  readonly #file: ScriptFile;
  readonly #settings: LuaPoliciesSettings;
  readonly #policySettings: LuaPolicySettings;
  /** The libraries, as the settings have them configured. */
  readonly #template: Template;
  readonly #surroundings: Surroundings;
  readonly #repeatable: ReadonlySet<LuaFunction>;
  #start: Start | undefined;
  /** The last script whose packages were loaded. */
  #prepared: Script | undefined;
  /** What it needs of messages, what the files that were loaded do, and both. */
  #scriptUses = NO_USES;
  #filesUses = NO_USES;
  #uses = NO_USES;
  readonly #versions: ScriptVersions;
  #lastInterests:
    | { readonly script: Script; readonly defined: string; readonly interests: Interests }
    | undefined;

  constructor(file: ScriptFile, settings: LuaPoliciesSettings) {
    this.#file = file;
    this.#settings = settings;
    this.#policySettings = { ...settings, uses: () => this.#uses };
    const { surroundings } = settings;
    this.#surroundings = {
      now: () => surroundings.now(),
      random: () => surroundings.random?.() ?? Math.random(),
      env: (name) => surroundings.env(name),
      locate: (path) => surroundings.locate(path),
      discards: surroundings.discards ?? false,
      held: (path) => surroundings.held?.(path),
      loaded: (source, path, file) => {
        loadPackages(source.names());
        this.#filesUses = bothUses(this.#filesUses, messageUsesOf(source.names(), source.namesInFunctions()));
        this.#uses = bothUses(this.#scriptUses, this.#filesUses);
        surroundings.loaded?.(source, path, file);
      },
    };
    this.#template = withPackagePath(settings.template, settings.packagePath);
    this.#repeatable = repeatableFunctions(this.#template, PURE_FUNCTIONS);
    this.#versions = new ScriptVersions(file, {
      keepLastGood: settings.keepLastGood ?? false,
      validate: (script) => this.#validate(script),
      validated: (validation, first) => this.#announce(validation, first),
      lastGood: settings.lastGood,
      compile: (source) => compile(source, file.path),
    });
  }

  /** @param watcher is told of the session's callbacks */
  open(session: SessionInfo, watcher?: CallbackWatcher): Policy | Promise<Policy> {
    const choice = this.#versions.choose();
    return choice instanceof Promise
      ? choice.then((chosen) => this.#openWith(chosen, session, watcher))
      : this.#openWith(choice, session, watcher);
  }

  #openWith(choice: Choice, session: SessionInfo, watcher?: CallbackWatcher): Policy | Promise<Policy> {
    if (choice.script === undefined) return this.#withoutScript(choice.problem, watcher);
    const { script, passed } = choice;
    watcher?.began(script.hash);
    if (this.#start?.files?.isUnchanged === false) this.#start = undefined;
    const start = this.#start?.script === script ? this.#start : undefined;
    if (start?.template && start.interests) {
      const { context, table } = this.#prepare(script, session.id, start.template);
      return new LuaPolicy(context, table, start.interests, session, this.#policySettings, watcher);
    }
    const { context, table } = this.#prepare(script, session.id);
    const mayBeKept = start === undefined && passed && this.#settings.lineWatcher === undefined;
    const calls = new Calls(this.#repeatable);
    const opened = (outcome: Outcome<void>): Policy => {
      if (outcome.kind === 'done') {
        if (!passed) this.#versions.recovered(script, spellingsIn(table));
        const interests = this.#interestsOf(script, definedIn(table));
        if (start === undefined && passed) {
          this.#start = { script };
          if (mayBeKept && calls.areRepeatable && !table.sessionSeen && !context.addressSeen)
            this.#keepStart(script, interests);
        }
        return new LuaPolicy(context, table, interests, session, this.#policySettings, watcher);
      }
      context.dispose();
      const problem = problemOf(outcome);
      // What validation has found before was said then, once.
      if (passed && outcome.kind !== 'cancelled' && !this.#settings.observer) {
        const failure = { ...problem, action: this.#policySettings.onError };
        this.#settings.log.error(`${session.id}: ${this.#problemText(problem)}`, () =>
          failureFields('main chunk', failure, { session: session.id }),
        );
      }
      return this.#withoutScript(problem, watcher);
    };
    const options = { deadlineMs: this.#settings.deadlineMs };
    const outcome = context.run(options, mayBeKept ? calls.note : undefined);
    return outcome instanceof Promise ? outcome.then(opened) : opened(outcome);
  }

  /** The policy of a session in which the script does not run. */
  #withoutScript(problem: Problem, watcher: CallbackWatcher | undefined): Policy {
    const { onError: action, observer } = this.#settings;
    const failure = { ...problem, action, endsScript: true, droppedEdits: 0 };
    watcher?.failed(failure);
    observer?.scriptFailed?.(failure);
    return new BrokenPolicy(action);
  }

  /** Runs a main chunk that does the same each time once more, and keeps what it leaves for the sessions to come. */
  #keepStart(script: Script, interests: Interests): void {
    const { context, table } = this.#prepare(script, '');
    const calls = new Calls(this.#repeatable);
    const files = watchFiles(context);
    const keep = (outcome: Outcome<void>): void => {
      table.forgetSession();
      const { state } = context;
      if (
        outcome.kind === 'done' &&
        state !== null &&
        calls.areRepeatable &&
        !context.addressSeen &&
        this.#start?.script === script
      ) {
        try {
          const template = new Template({ state, like: this.#template });
          this.#start = files.isSettled ? { script, template, interests, files } : undefined;
        } catch {
          // A coroutine, or too much: each session runs the chunk.
        }
      }
      context.dispose();
    };
    const outcome = context.run({ deadlineMs: this.#settings.deadlineMs }, calls.note);
    if (outcome instanceof Promise) void outcome.then(keep);
    else keep(outcome);
  }

  /** What the MTA must send for these callbacks; nearly always the same as for the session before. */
  #interestsOf(script: Script, defined: readonly CallbackName[]): Interests {
    const known = this.#lastInterests;
    const key = defined.join();
    if (known?.script === script && known.defined === key) return known.interests;
    const { actions, asksForMacros } = this.#settings;
    const without = interestsOf(new Set(defined), script.names(), actions);
    const symbols = asksForMacros ? symbolListsFor(script.names(), without) : [];
    const interests = { ...without, symbols };
    this.#lastInterests = { script, defined: key, interests };
    return interests;
  }

  /** Runs the script as it is now as a session would, and says what came of it. */
  examine(): Promise<Validation> {
    return this.#versions.examine();
  }

  /** Takes the script as it is now, as a session would, and waits until it has been tried. */
  take(): Promise<void> {
    return this.#versions.take();
  }

  /** Another process has found that a version can run. */
  trust(version: GoodVersion): void {
    this.#versions.trust(version);
  }

  /** The version that was validated, for other processes; undefined where it is not to serve. */
  goodVersionOf({ current, result }: Validation): GoodVersion | undefined {
    if (!current.script || result.problem !== undefined) return undefined;
    const source = this.#settings.keepLastGood ? current.source : undefined;
    return { hash: current.script.hash, callbacks: result.callbacks, source };
  }

  #validate(script: Script): ValidationResult | Promise<ValidationResult> {
    const { context, table } = this.#prepare(script, '');
    const conclude = (outcome: Outcome<void>): ValidationResult => {
      try {
        if (outcome.kind === 'done') {
          const defined = context.state ? definedNames(context.state) : new Set<string>();
          return { ...spellingsIn(table), defined };
        }
        const mayRecover = outcome.kind === 'failed';
        return { callbacks: [], warnings: [], problem: problemOf(outcome), mayRecover };
      } finally {
        context.dispose();
      }
    };
    const outcome = context.run({ deadlineMs: this.#settings.deadlineMs });
    return outcome instanceof Promise ? outcome.then(conclude) : conclude(outcome);
  }

  #announce(validation: Validation, first: boolean): void {
    const { current, result, choice, key } = validation;
    const { callbacks, problem } = result;
    const good = this.goodVersionOf(validation);
    const { level, text } = this.#newsOf(validation);
    const serving = choice.passed ? choice.script.hash : undefined;
    const hash = current.script?.hash;
    this.#settings.announce({
      ...{ level, text, first, key, hash, callbacks, good, serving },
      problem: problem?.message,
    });
  }

  #newsOf({ current, result, choice }: Validation): Pick<ScriptNotice, 'level' | 'text'> {
    const { callbacks, problem, isEmptied, lost } = result;
    if (problem === undefined) {
      const text = `script changed: ${this.#file.path} (${current.script?.hash}), callbacks: `;
      if (callbacks.length === 0) return { level: 'error', text: `${text}none, ${NO_CALLBACKS}` };
      if (lost === undefined) return { level: 'notice', text: text + callbacks.join(' ') };
      return { level: 'warning', text: `${text}${callbacks.join(' ')}; no longer: ${lost.join(' ')}` };
    }
    if (!choice.passed) return { level: 'error', text: this.#problemText(problem) };
    const what = `script ${isEmptied ? 'is not taken' : 'does not run'}, the last good version`;
    return { level: 'error', text: `${what} (${choice.script.hash}) serves: ${inOneLine(problem)}` };
  }

  #problemText(problem: Problem): string {
    const { onError, consequence } = this.#settings;
    return scriptDoesNotRun(onError, inOneLine(problem), consequence);
  }

  #prepare(
    script: Script,
    sessionId: string,
    template = this.#template,
  ): { context: LuaContext; table: SmtpTable } {
    const { limits, allowExecute, closedPlaces, lineWatcher, print: log, observer } = this.#settings;
    if (script !== this.#prepared) {
      loadPackages(script.names());
      this.#scriptUses = messageUsesOf(script.names(), script.namesInFunctions());
      this.#uses = bothUses(this.#scriptUses, this.#filesUses);
    }
    this.#prepared = script;
    const print = (line: Uint8Array, L: LuaState): void => {
      if (!observer?.printed) log(L, line);
      else observer.printed(Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1'));
    };
    const context = new LuaContext({
      template,
      script,
      limits,
      allowExecute,
      ...(closedPlaces && { closedPlaces }),
      sessionId,
      lineWatcher,
      surroundings: this.#surroundings,
      print,
    });
    if (context.state === null) throw new Error('a new Lua context has no state');
    const table = new SmtpTable(context.state);
    table.setSession('id', sessionId);
    return { context, table };
  }
}

/** Whether a run calls only functions that do the same in every session. */
class Calls {
  readonly #repeatable: ReadonlySet<LuaFunction>;
  areRepeatable = true;

  constructor(repeatable: ReadonlySet<LuaFunction>) {
    this.#repeatable = repeatable;
  }

  /** Takes each function that is called and is not written in Lua. */
  readonly note = (called: LuaFunction): void => {
    if (!this.#repeatable.has(called)) this.areRepeatable = false;
  };
}

function problemOf(outcome: Exclude<Outcome<void>, { kind: 'done' }>): Problem {
  if (outcome.kind === 'cancelled') return { message: 'cancelled', traceback: '', where: '' };
  const { message, traceback, where } = outcome;
  return { message, traceback, where };
}

function definedIn(table: SmtpTable): CallbackName[] {
  return CALLBACK_NAMES.filter((name) => table.findCallback(name) !== undefined);
}

function spellingsIn(table: SmtpTable): Pick<ValidationResult, 'callbacks' | 'warnings'> {
  const callbacks: string[] = [];
  const warnings: ScriptWarning[] = [];
  for (const name of CALLBACK_NAMES) {
    for (const { name: misfit, type } of table.misfits(name)) {
      const subject = `smtp.${misfit}`;
      const text = `${subject} is a ${type} and no function: it is never called`;
      warnings.push({ code: 'uncallable-callback', subject, text });
    }
    const [used, unused] = table.spellings(name);
    if (used === undefined) continue;
    callbacks.push(used);
    if (unused !== undefined) {
      const subject = `smtp.${used}`;
      const text = `both ${subject} and smtp.${unused} are defined: smtp.${unused} is never called`;
      warnings.push({ code: 'double-callback', subject, text });
    }
  }
  return { callbacks, warnings };
}
