/**
 * Opens a policy for each SMTP session: a fresh Lua context in which the script, as it is now, has run.
 */
import type { LuaFunction } from 'fengari';
import type { Needs, Policy, PolicyFactory, SessionInfo } from '../milter/policy.ts';
import { BrokenPolicy } from './broken-policy.ts';
import { compile } from './compilation.ts';
import { LuaContext, type Outcome } from './context.ts';
import { definedNames } from './defined-names.ts';
import type { Limits } from './host.ts';
import { withPackagePath } from './lib/package.ts';
import type { LineWatcher } from './line-hook.ts';
import { accountOf, LuaPolicy } from './lua-policy.ts';
import { needsOf } from './needs.ts';
import type { CallWatcher, PolicySettings } from './policy-settings.ts';
import { type RequiredFiles, watchFiles } from './required-files.ts';
import type { Script } from './script.ts';
import type { ScriptFile } from './script-file.ts';
import { type Choice, type Judgement, ScriptVersions, type Trial } from './script-versions.ts';
import { symbolListsFor } from './smtp/macro.ts';
import { CALLBACK_NAMES, type CallbackName, SmtpTable } from './smtp/table.ts';
import { repeatableFunctions } from './start-state.ts';
import { Template } from './template.ts';

export interface LuaPoliciesSettings extends PolicySettings {
  readonly template: Template;
  readonly limits: Limits;
  readonly allowExecute: boolean;
  /** Value of package.path, in latin1. */
  readonly packagePath: string;
  /** SMFIF_ bits of the changes to messages that are asked for; all without it. */
  readonly actions?: number;
  /** Whether the MTA may be asked for macros by a list; some peers cannot read one. */
  readonly asksForMacros: boolean;
  readonly lineWatcher?: LineWatcher | undefined;
  /** Whether the last version that could run goes on serving when an edited one cannot. */
  readonly keepLastGood?: boolean;
  /** Source of such a version, known from an earlier process. */
  readonly lastGood?: Uint8Array | undefined;
  /** Takes what is to be said of a new version. */
  readonly announce: (notice: ScriptNotice) => void;
}

/** What the operator should read about a version of the script. Text is latin1. */
export interface ScriptNotice {
  readonly level: 'notice' | 'error';
  readonly text: string;
  /** The same for the same version and result in every process. */
  readonly key: string;
  readonly hash: string | undefined;
  /** The version has run in a scratch context. */
  readonly passed: boolean;
  /** Hash of the version that serves new sessions; undefined when none can run. */
  readonly serving: string | undefined;
}

/** How sessions of a script begin. */
interface Start {
  readonly script: Script;
  /** Of the state that the main chunk leaves; undefined where each session must run it. */
  readonly template?: Template;
  readonly needs?: Needs;
  /** What the chunk has required. */
  readonly files?: RequiredFiles;
}

export class LuaPolicies implements PolicyFactory {
  readonly #file: ScriptFile;
  readonly #settings: LuaPoliciesSettings;
  /** The libraries, as the settings have them configured. */
  readonly #template: Template;
  readonly #repeatable: ReadonlySet<LuaFunction>;
  #start: Start | undefined;
  readonly #versions: ScriptVersions;
  #lastNeeds: { readonly script: Script; readonly defined: string; readonly needs: Needs } | undefined;

  constructor(file: ScriptFile, settings: LuaPoliciesSettings) {
    this.#file = file;
    this.#settings = settings;
    this.#template = withPackagePath(settings.template, settings.packagePath);
    this.#repeatable = repeatableFunctions(this.#template);
    this.#versions = new ScriptVersions(file, {
      keepLastGood: settings.keepLastGood ?? false,
      tryOut: (script) => this.#tryOut(script),
      judged: (judgement, first) => this.#announce(judgement, first),
      lastGood: settings.lastGood,
      compile: (source) => compile(source, file.path),
    });
  }

  /** @param watcher is told of the session's callbacks */
  open(session: SessionInfo, watcher?: CallWatcher): Policy | Promise<Policy> {
    const choice = this.#versions.choose();
    return choice instanceof Promise
      ? choice.then((chosen) => this.#openWith(chosen, session, watcher))
      : this.#openWith(choice, session, watcher);
  }

  #openWith(choice: Choice, session: SessionInfo, watcher?: CallWatcher): Policy | Promise<Policy> {
    const { script, passed } = choice;
    if (!script) return new BrokenPolicy(this.#settings.onError);
    watcher?.began(script.hash);
    if (this.#start?.files?.isUnchanged === false) this.#start = undefined;
    const start = this.#start?.script === script ? this.#start : undefined;
    if (start?.template && start.needs) {
      const { context, table } = this.#prepare(script, session.id, start.template);
      return new LuaPolicy(context, table, start.needs, session, this.#settings, watcher);
    }
    const { context, table } = this.#prepare(script, session.id);
    const mayBeKept = start === undefined && passed && this.#settings.lineWatcher === undefined;
    const calls = new Calls(this.#repeatable);
    const opened = (outcome: Outcome<void>): Policy => {
      if (outcome.kind === 'done') {
        if (!passed) this.#versions.recovered(script, spellingsIn(table, this.#file.path));
        const needs = this.#needsOf(script, definedIn(table));
        if (start === undefined && passed) {
          this.#start = { script };
          if (mayBeKept && calls.areRepeatable && !table.sessionSeen) this.#keepStart(script, needs);
        }
        return new LuaPolicy(context, table, needs, session, this.#settings, watcher);
      }
      context.dispose();
      if (passed && outcome.kind !== 'cancelled') {
        watcher?.failed();
        this.#settings.log.error(`${session.id}: ${this.#consequence()}: ${accountOf(outcome)}`);
      }
      return new BrokenPolicy(this.#settings.onError);
    };
    const options = { deadlineMs: this.#settings.deadlineMs };
    const outcome = context.run(options, mayBeKept ? calls.note : undefined);
    return outcome instanceof Promise ? outcome.then(opened) : opened(outcome);
  }

  /** Runs a main chunk that does the same each time once more, and keeps what it leaves for the sessions to come. */
  #keepStart(script: Script, needs: Needs): void {
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
        this.#start?.script === script
      ) {
        try {
          const template = new Template({ state, like: this.#template });
          this.#start = files.isSettled ? { script, template, needs, files } : undefined;
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
  #needsOf(script: Script, defined: readonly CallbackName[]): Needs {
    const known = this.#lastNeeds;
    const key = defined.join();
    if (known?.script === script && known.defined === key) return known.needs;
    const { actions, asksForMacros } = this.#settings;
    const symbols = asksForMacros ? symbolListsFor(script.names()) : [];
    const needs = { ...needsOf(new Set(defined), script.names(), actions), symbols };
    this.#lastNeeds = { script, defined: key, needs };
    return needs;
  }

  /** Runs the script as it is now as a session would, and says what came of it. */
  examine(): Promise<Judgement> {
    return this.#versions.examine();
  }

  /** Another process has found that a version with this hash can run; `source` where it is kept as the last good one. */
  trust(hash: string, source?: Uint8Array): void {
    this.#versions.trust(hash, source);
  }

  #tryOut(script: Script): Trial | Promise<Trial> {
    const { context, table } = this.#prepare(script, '');
    const conclude = (outcome: Outcome<void>): Trial => {
      try {
        if (outcome.kind === 'done') {
          const defined = context.state ? definedNames(context.state) : new Set<string>();
          return { ...spellingsIn(table, this.#file.path), defined };
        }
        if (outcome.kind === 'cancelled') return { callbacks: [], warnings: [], problem: 'cancelled' };
        const account = accountOf(outcome);
        const mayRecover = outcome.kind === 'failed';
        return { callbacks: [], warnings: [], problem: outcome.message, account, mayRecover };
      } finally {
        context.dispose();
      }
    };
    const outcome = context.run({ deadlineMs: this.#settings.deadlineMs });
    return outcome instanceof Promise ? outcome.then(conclude) : conclude(outcome);
  }

  #announce({ current, trial, choice, key }: Judgement, first: boolean): void {
    const { announce } = this.#settings;
    const hash = current.script?.hash;
    if (trial.problem === undefined) {
      const callbacks = trial.callbacks.join(' ') || 'none';
      const text = `script changed: ${this.#file.path} (${hash}), callbacks: ${callbacks}`;
      if (!first) announce({ level: 'notice', text, key, hash, passed: true, serving: hash });
      return;
    }
    const consequence = choice.passed
      ? `script does not run, the last good version (${choice.script.hash}) serves`
      : this.#consequence();
    const text = `${consequence}: ${trial.account ?? trial.problem}`;
    const serving = choice.passed ? choice.script.hash : undefined;
    announce({ level: 'error', text, key, hash, passed: false, serving });
  }

  #consequence(): string {
    const { onError } = this.#settings;
    const action = onError === 'continue' ? 'its callbacks are skipped' : `--on-error ${onError} is applied`;
    return `script does not run, ${action}`;
  }

  #prepare(
    script: Script,
    sessionId: string,
    template = this.#template,
  ): { context: LuaContext; table: SmtpTable } {
    const { limits, allowExecute, lineWatcher, log, observer } = this.#settings;
    const print = (line: Uint8Array): void => {
      const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1');
      if (observer?.printed) observer.printed(text);
      else log.info(sessionId === '' ? text : `${sessionId}: ${text}`);
    };
    const context = new LuaContext({
      template,
      script,
      limits,
      allowExecute,
      sessionId,
      lineWatcher,
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

function definedIn(table: SmtpTable): CallbackName[] {
  return CALLBACK_NAMES.filter((name) => table.findCallback(name) !== undefined);
}

function spellingsIn(table: SmtpTable, path: string): { callbacks: string[]; warnings: string[] } {
  const callbacks: string[] = [];
  const warnings: string[] = [];
  for (const name of CALLBACK_NAMES) {
    for (const { name: misfit, type } of table.misfits(name)) {
      warnings.push(`${path}: smtp.${misfit} is a ${type} and no function: it is never called`);
    }
    const [used, unused] = table.spellings(name);
    if (used === undefined) continue;
    callbacks.push(used);
    if (unused !== undefined) {
      warnings.push(
        `${path}: both smtp.${used} and smtp.${unused} are defined: smtp.${unused} is never called`,
      );
    }
  }
  return { callbacks, warnings };
}
