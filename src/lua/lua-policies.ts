/**
 * Opens a policy for each SMTP session: a fresh Lua context in which the script, as it is now, has run.
 */
import type { Policy, PolicyFactory, SessionInfo } from '../milter/policy.ts';
import { BrokenPolicy } from './broken-policy.ts';
import { LuaContext, type Outcome } from './context.ts';
import type { Limits } from './host.ts';
import type { LineWatcher } from './line-hook.ts';
import { accountOf, LuaPolicy, type PolicySettings } from './lua-policy.ts';
import { needsOf } from './needs.ts';
import type { CurrentScript, Script, ScriptFailure, ScriptFile } from './script.ts';
import { symbolListsFor } from './smtp/macro.ts';
import { CALLBACK_NAMES, type CallbackName, SmtpTable } from './smtp/table.ts';
import type { Template } from './template.ts';

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
}

/** What a script is found to define. All texts are latin1. */
export interface Examination {
  /** As the script spells them, in the order of an SMTP session. */
  readonly callbacks: readonly string[];
  /** `file:line: message` of what keeps the script from running. */
  readonly problem?: string;
  readonly warnings: readonly string[];
}

export class LuaPolicies implements PolicyFactory {
  readonly #file: ScriptFile;
  readonly #settings: LuaPoliciesSettings;
  /** Failures that are in the log already: of a version of the file, each is said once. */
  #saidOf: Script | ScriptFailure | undefined;

  constructor(file: ScriptFile, settings: LuaPoliciesSettings) {
    this.#file = file;
    this.#settings = settings;
  }

  open(session: SessionInfo): Policy | Promise<Policy> {
    const current = this.#file.current();
    if (!current.script) return this.#broken(current.failure, current.failure.message);
    const { script } = current;
    const { context, table } = this.#prepare(script, session.id);
    const opened = (outcome: Outcome<void>): Policy => {
      if (outcome.kind === 'done') {
        const { actions, asksForMacros } = this.#settings;
        const symbols = asksForMacros ? symbolListsFor(script.names()) : [];
        const needs = { ...needsOf(definedIn(table), script.names(), actions), symbols };
        return new LuaPolicy(context, table, needs, session, this.#settings);
      }
      context.dispose();
      return this.#broken(script, outcome.kind === 'cancelled' ? 'cancelled' : accountOf(outcome));
    };
    const outcome = context.run({ deadlineMs: this.#settings.deadlineMs });
    return outcome instanceof Promise ? outcome.then(opened) : opened(outcome);
  }

  /** Runs the script as it is now as a session would, and says what came of it. */
  async examine(): Promise<Examination & { readonly current: CurrentScript }> {
    const current = this.#file.current();
    if (!current.script) return { current, callbacks: [], warnings: [], problem: current.failure.message };
    const { context, table } = this.#prepare(current.script, '');
    try {
      const outcome = await context.run({ deadlineMs: this.#settings.deadlineMs });
      if (outcome.kind !== 'done') {
        const problem = outcome.kind === 'cancelled' ? 'cancelled' : outcome.message;
        return { current, callbacks: [], warnings: [], problem };
      }
      return { current, ...spellingsIn(table, this.#file.path) };
    } finally {
      context.dispose();
    }
  }

  #prepare(script: Script, sessionId: string): { context: LuaContext; table: SmtpTable } {
    const { template, limits, allowExecute, packagePath, lineWatcher, log, observer } = this.#settings;
    const print = (line: Uint8Array): void => {
      const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1');
      if (observer?.printed) observer.printed(text);
      else log.info(`${sessionId}: ${text}`);
    };
    const context = new LuaContext({
      template,
      script,
      limits,
      allowExecute,
      packagePath,
      sessionId,
      lineWatcher,
      print,
    });
    if (context.state === null) throw new Error('a new Lua context has no state');
    const table = new SmtpTable(context.state);
    table.setSession('id', sessionId);
    return { context, table };
  }

  #broken(version: Script | ScriptFailure, account: string): Policy {
    if (this.#saidOf !== version) {
      this.#saidOf = version;
      const { log, onError } = this.#settings;
      const consequence =
        onError === 'continue' ? 'its callbacks are skipped' : `--on-error ${onError} is applied`;
      log.error(`script does not run, ${consequence}: ${account}`);
    }
    return new BrokenPolicy(this.#settings.onError);
  }
}

function definedIn(table: SmtpTable): Set<CallbackName> {
  return new Set(CALLBACK_NAMES.filter((name) => table.findCallback(name) !== undefined));
}

function spellingsIn(table: SmtpTable, path: string): { callbacks: string[]; warnings: string[] } {
  const callbacks: string[] = [];
  const warnings: string[] = [];
  for (const name of CALLBACK_NAMES) {
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
