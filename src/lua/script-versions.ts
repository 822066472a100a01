/**
 * Which version of an edited script serves new sessions.
 *
 * Each version is tried once, in a scratch context, before it serves. One that cannot run is served all the same, as the
 * smtpf API has it (each session finds out anew, and its callbacks are skipped), or the last one that could goes on.
 */

import type { Script } from './script.ts';
import type { CurrentScript, ScriptFile } from './script-file.ts';

/** What came of running a version's main chunk in a scratch context. All texts are latin1. */
export interface Trial {
  /** As the script spells them, in the order of an SMTP session. */
  readonly callbacks: readonly string[];
  readonly warnings: readonly string[];
  /** `file:line: message` of what keeps the script from running. */
  readonly problem?: string;
  /** The same with a traceback, where there is one. */
  readonly account?: string;
  /** It may run another time although nothing was edited: a module that it requires may have been mended. */
  readonly mayRecover?: boolean;
  /** Names that exist when the main chunk has run: see definedNames(). Undefined when it did not run to its end. */
  readonly defined?: ReadonlySet<string>;
}

/** What a new session runs. `passed`: that version has run to its end once. */
export type Choice =
  | { readonly script: Script; readonly passed: boolean }
  | { readonly script?: undefined; readonly passed: false };

export interface Judgement {
  readonly current: CurrentScript;
  readonly trial: Trial;
  readonly choice: Choice;
  /** The same for the same version of the file with the same result, in every process. */
  readonly key: string;
}

export interface ScriptVersionsSettings {
  readonly keepLastGood: boolean;
  readonly tryOut: (script: Script) => Trial | Promise<Trial>;
  /** Is told of each version with its result, once; `first`: there was none before it. */
  readonly judged: (judgement: Judgement, first: boolean) => void;
  /** Source of a version that could run, known from an earlier process. */
  readonly lastGood: Uint8Array | undefined;
  readonly compile: (source: Uint8Array) => Script;
}

/** How long a version that could not run is left alone before it is tried again. */
const RETRIAL_MS = 5_000;

export class ScriptVersions {
  readonly #file: ScriptFile;
  readonly #settings: ScriptVersionsSettings;
  /** Source, where the version was tried by another process, until it is needed. */
  #lastGood: Script | Uint8Array | undefined;
  #judgement: Judgement | undefined;
  #judgedAt = 0;
  #pending: { readonly current: CurrentScript; readonly choice: Promise<Choice> } | undefined;
  #trusted: string | undefined;
  /** Version of the file when it could last be read. */
  #lastRead = '';

  constructor(file: ScriptFile, settings: ScriptVersionsSettings) {
    this.#file = file;
    this.#settings = settings;
    this.#lastGood = settings.lastGood;
  }

  /** The version for a new session: costs one stat as long as nothing was edited. */
  choose(): Choice | Promise<Choice> {
    const current = this.#file.latest();
    if (current instanceof Promise) return current.then(() => this.choose());
    const judgement = this.#judgement;
    if (judgement?.current === current) {
      if (this.#isRetrialDue(judgement)) this.#judge(current);
      return judgement.choice;
    }
    if (this.#pending?.current === current) return this.#pending.choice;
    return this.#judge(current);
  }

  /** Tries the file as it is now, whether it was edited or not. */
  async examine(): Promise<Judgement> {
    const current = await this.#file.latest();
    const trial = current.script ? await this.#settings.tryOut(current.script) : failureOf(current);
    const judgement = this.#judgementOf(current, trial);
    if (this.#file.latest() === current) this.#keep(judgement);
    return judgement;
  }

  /** Another process has tried a version with this hash: it can run. */
  trust(hash: string, source: Uint8Array | undefined): void {
    this.#trusted = hash;
    // This process knows that version too, then: when the file goes missing again, that is news here as well.
    const now = this.#file.latest();
    if (now instanceof Promise) {
      void now.then(() => this.trust(hash, source));
      return;
    }
    if (now.script?.hash === hash && now !== this.#judgement?.current) this.#judge(now);
    if (source === undefined || this.#judgement?.current.script?.hash === hash) return;
    this.#lastGood = source;
    const { current, trial, choice } = this.#judgement ?? {};
    if (current && trial && choice?.passed === false) this.#keep(this.#judgementOf(current, trial));
  }

  /** A session has run the main chunk of a version whose trial had failed. */
  recovered(script: Script, trial: Trial): void {
    const judgement = this.#judgement;
    if (judgement?.current.script !== script || judgement.choice.passed) return;
    const better = this.#judgementOf(judgement.current, trial);
    this.#keep(better);
    this.#settings.judged(better, false);
  }

  #judge(current: CurrentScript): Choice | Promise<Choice> {
    const conclude = (trial: Trial, silent = false): Choice => {
      const before = this.#judgement;
      const judgement = this.#judgementOf(current, trial);
      this.#keep(judgement);
      if (!silent && judgement.key !== before?.key) this.#settings.judged(judgement, before === undefined);
      return judgement.choice;
    };
    if (!current.script) return conclude(failureOf(current));
    if (current.script.hash === this.#trusted) return conclude({ callbacks: [], warnings: [] }, true);
    this.#judgedAt = performance.now();
    const trial = this.#settings.tryOut(current.script);
    if (!(trial instanceof Promise)) return conclude(trial);
    const choice = trial.then((result) => {
      // The file may have been edited meanwhile: then another trial is under way.
      if (this.#pending?.current !== current) return this.#judgementOf(current, result).choice;
      this.#pending = undefined;
      return conclude(result);
    });
    this.#pending = { current, choice };
    return choice;
  }

  #judgementOf(current: CurrentScript, trial: Trial): Judgement {
    const key = this.#keyOf(current, trial);
    const { script } = current;
    if (script && trial.problem === undefined) {
      return { current, trial, key, choice: { script, passed: true } };
    }
    if (this.#settings.keepLastGood && this.#lastGood) {
      if (this.#lastGood instanceof Uint8Array) this.#lastGood = this.#settings.compile(this.#lastGood);
      return { current, trial, key, choice: { script: this.#lastGood, passed: true } };
    }
    return { current, trial, key, choice: script ? { script, passed: false } : { passed: false } };
  }

  /** A file that cannot be read has no version of its own: what it was before tells one time from another. */
  #keyOf({ failure }: CurrentScript, { problem = '' }: Trial): string {
    if (failure && failure.version === failure.message) return `${failure.message} after ${this.#lastRead}`;
    this.#lastRead = this.#file.version;
    return `${this.#file.version} ${problem}`;
  }

  #keep(judgement: Judgement): void {
    this.#judgement = judgement;
    this.#judgedAt = performance.now();
    if (judgement.trial.problem === undefined) this.#lastGood = judgement.current.script;
  }

  /** Where the last good version serves, no session finds out by itself that the new one can run by now. */
  #isRetrialDue({ current, trial, choice }: Judgement): boolean {
    return (
      trial.mayRecover === true &&
      choice.script !== current.script &&
      this.#pending === undefined &&
      performance.now() - this.#judgedAt > RETRIAL_MS
    );
  }
}

function failureOf({ failure }: CurrentScript): Trial {
  return { callbacks: [], warnings: [], problem: failure?.message ?? 'no script' };
}
