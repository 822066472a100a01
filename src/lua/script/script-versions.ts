/**
 * Which version of an edited script serves new sessions.
 *
 * Each version is validated once, by a run in a scratch context, before it serves. One that cannot run is served all the
 * same, as the smtpf API has it (each session finds out anew, and its callbacks are skipped), or the last one that could
 * goes on. Where that goes on, a version that has lost all callbacks does not take its place either: so does an empty
 * file look, and one that is being written.
 */

import type { Problem } from '../context/diagnosis.ts';
import type { Script } from '../context/script.ts';
import type { CurrentScript, ScriptFile } from './script-file.ts';

/** What to do about a script without callbacks. */
export const IF_MEANT = 'if that is meant, define one that does nothing: function smtp.close() end';

/** What is allowed in a script, and hardly meant. */
export interface ScriptWarning {
  /** Tells kinds of warnings apart; `check` has rules of these names. */
  readonly code: string;
  /** The name in the script that it is about: `smtp.do_rcpt`. */
  readonly subject: string;
  /** For people, without the name of the file; latin1. */
  readonly text: string;
}

/** What came of running a version's main chunk in a scratch context. All texts are latin1. */
export interface ValidationResult {
  /** As the script spells them, in the order of an SMTP session. */
  readonly callbacks: readonly string[];
  readonly warnings: readonly ScriptWarning[];
  /** What keeps the script from running, or from being served. */
  readonly problem?: Problem;
  /** It can run, but is not to serve: all callbacks of the version before it are gone. */
  readonly isEmptied?: boolean;
  /** Callbacks that the version before it had, and that it does not have. */
  readonly lost?: readonly string[];
  /** It may run another time although nothing was edited: a module that it requires may have been mended. */
  readonly mayRecover?: boolean;
  /** Names that exist when the main chunk has run: see definedNames(). Undefined when it did not run to its end. */
  readonly defined?: ReadonlySet<string>;
}

/** What a new session runs. `passed`: that version has run to its end once. */
export type Choice =
  | { readonly script: Script; readonly passed: true }
  | { readonly script: Script; readonly passed: false }
  | { readonly script?: undefined; readonly passed: false; readonly problem: Problem };

/** A version that could run, as one process tells others of it. */
export interface GoodVersion {
  readonly hash: string;
  readonly callbacks: readonly string[];
  /** Undefined where no last good version is kept. */
  readonly source: Uint8Array | undefined;
}

export interface Validation {
  readonly current: CurrentScript;
  readonly result: ValidationResult;
  readonly choice: Choice;
  /** The same for the same version of the file with the same result, in every process. */
  readonly key: string;
}

export interface ScriptVersionsSettings {
  readonly keepLastGood: boolean;
  readonly validate: (script: Script) => ValidationResult | Promise<ValidationResult>;
  /** Is told of each version with its result, once; `first`: there was none before it. */
  readonly validated: (validation: Validation, first: boolean) => void;
  readonly lastGood: GoodVersion | undefined;
  readonly compile: (source: Uint8Array) => Script;
}

/** Callbacks whose results count for nothing: a version with these alone is no policy. */
const DECIDES_NOTHING: ReadonlySet<string> = new Set(['rset', 'close']);

/** How long a version that could not run is left alone before it is tried again. */
const REVALIDATION_MS = 5_000;

const NO_SCRIPT: Problem = { message: 'no script', traceback: '', where: '' };

export class ScriptVersions {
  readonly #file: ScriptFile;
  readonly #settings: ScriptVersionsSettings;
  /** Source, where the version was tried by another process, until it is needed. */
  #lastGood: Script | Uint8Array | undefined;
  #validation: Validation | undefined;
  #validatedAt = 0;
  #pending: { readonly current: CurrentScript; readonly choice: Promise<Choice> } | undefined;
  /** The version that is being compiled, as long as another serves. */
  #compiling: Promise<CurrentScript> | undefined;
  #trusted: GoodVersion | undefined;
  /** What the version last found good defines. */
  #before: Pick<GoodVersion, 'hash' | 'callbacks'> | undefined;
  /** Version of the file when it could last be read. */
  #lastRead = '';

  constructor(file: ScriptFile, settings: ScriptVersionsSettings) {
    this.#file = file;
    this.#settings = settings;
    this.#lastGood = settings.lastGood?.source;
    this.#before = settings.lastGood;
  }

  /**
   * The version for a new session: costs one stat as long as nothing was edited. Where the last good version goes on, no
   * session waits for another to be compiled and tried.
   */
  choose(): Choice | Promise<Choice> {
    const current = this.#file.latest();
    const validation = this.#validation;
    // One without callbacks is no policy to go on with.
    const mayServe = this.#settings.keepLastGood && (this.#before?.callbacks.length ?? 0) > 0;
    const serving = mayServe && validation?.choice.passed ? validation.choice : undefined;
    if (current instanceof Promise) {
      if (serving === undefined) return current.then(() => this.choose());
      if (this.#compiling !== current) void current.then(() => this.choose());
      this.#compiling = current;
      return serving;
    }
    this.#compiling = undefined;
    if (validation?.current === current) {
      if (this.#isRevalidationDue(validation)) this.#validateCurrent(current);
      return validation.choice;
    }
    const choice = this.#pending?.current === current ? this.#pending.choice : this.#validateCurrent(current);
    return choice instanceof Promise ? (serving ?? choice) : choice;
  }

  /** Tries the file as it is now, whether it was edited or not. */
  async examine(): Promise<Validation> {
    const current = await this.#file.anew();
    const result = current.script ? await this.#validate(current.script) : failureOf(current);
    const validation = this.#validationOf(current, result);
    if (this.#file.latest() === current) this.#keep(validation);
    return validation;
  }

  /** Takes the file as it is now, as a session would, and waits until it has been tried. */
  async take(): Promise<void> {
    const current = await this.#file.anew();
    if (this.#pending?.current === current) await this.#pending.choice;
    else if (this.#validation?.current !== current) await this.#validateCurrent(current);
  }

  /** Another process has tried a version: it can run. */
  trust(version: GoodVersion): void {
    this.#trusted = version;
    // This process knows that version too, then: when the file goes missing again, that is news here as well.
    const now = this.#file.latest();
    if (now instanceof Promise) {
      void now.then(() => this.trust(version));
      return;
    }
    if (now.script?.hash === version.hash && now !== this.#validation?.current) this.#validateCurrent(now);
    const validation = this.#validation;
    if (validation?.current.script?.hash === version.hash) return;
    const isUpToDate = validation?.current === now;
    // This process has gone on to another version, which may be a good one too.
    if (
      isUpToDate &&
      validation?.result.problem === undefined &&
      (validation?.result.callbacks.length ?? 0) > 0
    ) {
      return;
    }
    this.#before = version;
    this.#lastGood = version.source ?? this.#lastGood;
    // What this process knows is older than the file: it is compared with that version, with the next session.
    if (!validation || !isUpToDate) return;
    const { current, result, key } = validation;
    const again = this.#validationOf(
      current,
      current.script ? this.#compared(current.script, result) : result,
    );
    this.#keep(again);
    if (again.key !== key) this.#settings.validated(again, false);
  }

  /** A session has run the main chunk of a version whose validation had failed. */
  recovered(script: Script, result: ValidationResult): void {
    const validation = this.#validation;
    if (validation?.current.script !== script || validation.choice.passed) return;
    const better = this.#validationOf(validation.current, this.#compared(script, result));
    this.#keep(better);
    this.#settings.validated(better, false);
  }

  #validateCurrent(current: CurrentScript): Choice | Promise<Choice> {
    const conclude = (result: ValidationResult, silent = false): Choice => {
      const before = this.#validation;
      const validation = this.#validationOf(current, result);
      this.#keep(validation);
      if (!silent && validation.key !== before?.key)
        this.#settings.validated(validation, before === undefined);
      return validation.choice;
    };
    if (!current.script) return conclude(failureOf(current));
    if (current.script.hash === this.#trusted?.hash) {
      return conclude({ callbacks: this.#trusted.callbacks, warnings: [] }, true);
    }
    this.#validatedAt = performance.now();
    const result = this.#validate(current.script);
    if (!(result instanceof Promise)) return conclude(result);
    const choice = result.then((settled) => {
      // The file may have been edited meanwhile: then another validation is under way.
      if (this.#pending?.current !== current) return this.#validationOf(current, settled).choice;
      this.#pending = undefined;
      return conclude(settled);
    });
    this.#pending = { current, choice };
    return choice;
  }

  #validate(script: Script): ValidationResult | Promise<ValidationResult> {
    const result = this.#settings.validate(script);
    return result instanceof Promise
      ? result.then((settled) => this.#compared(script, settled))
      : this.#compared(script, result);
  }

  /** The validation of a version beside the one that was good before it. */
  #compared(script: Script, result: ValidationResult): ValidationResult {
    const before = this.#before;
    if (result.problem !== undefined || before === undefined || before.hash === script.hash) return result;
    const plain = (name: string): string => name.replace(/^do_/, '');
    const kept = new Set(result.callbacks.map(plain));
    const lost = before.callbacks.filter((name) => !kept.has(plain(name)));
    if (lost.length === 0) return result;
    const had = new Set(before.callbacks.map(plain));
    const isPolicy = before.callbacks.some((name) => !DECIDES_NOTHING.has(plain(name)));
    const keepsSome = [...had].some((name) => kept.has(name) && !DECIDES_NOTHING.has(name));
    const isMeant = kept.size === 1 && kept.has('close') && !had.has('close');
    if (!this.#settings.keepLastGood || !isPolicy || keepsSome || isMeant) return { ...result, lost };
    const message =
      kept.size === 0
        ? `${script.path} defines no callback any more (${lost.join(' ')}): ${IF_MEANT}`
        : `${script.path} has lost all callbacks of the version before (${lost.join(' ')}): if that is meant, restart the milter`;
    return { ...result, lost, isEmptied: true, problem: { message, traceback: '', where: '' } };
  }

  #validationOf(current: CurrentScript, result: ValidationResult): Validation {
    const key = this.#keyOf(current, result);
    const { script } = current;
    if (script && result.problem === undefined) {
      return { current, result, key, choice: { script, passed: true } };
    }
    if (this.#settings.keepLastGood && this.#lastGood) {
      if (this.#lastGood instanceof Uint8Array) this.#lastGood = this.#settings.compile(this.#lastGood);
      return { current, result, key, choice: { script: this.#lastGood, passed: true } };
    }
    if (script) return { current, result, key, choice: { script, passed: false } };
    return { current, result, key, choice: { passed: false, problem: result.problem ?? NO_SCRIPT } };
  }

  /** A file that cannot be read has no version of its own: what it was before tells one time from another. */
  #keyOf({ failure }: CurrentScript, { problem }: ValidationResult): string {
    if (failure && failure.version === failure.message) return `${failure.message} after ${this.#lastRead}`;
    this.#lastRead = this.#file.version;
    return `${this.#file.version} ${problem?.message ?? ''}`;
  }

  #keep(validation: Validation): void {
    this.#validation = validation;
    this.#validatedAt = performance.now();
    const { current, result } = validation;
    if (result.problem !== undefined || !current.script) return;
    this.#lastGood = current.script;
    this.#before = { hash: current.script.hash, callbacks: result.callbacks };
  }

  /** Where the last good version serves, no session finds out by itself that the new one can run by now. */
  #isRevalidationDue({ current, result, choice }: Validation): boolean {
    return (
      result.mayRecover === true &&
      choice.script !== current.script &&
      this.#pending === undefined &&
      performance.now() - this.#validatedAt > REVALIDATION_MS
    );
  }
}

function failureOf({ failure }: CurrentScript): ValidationResult {
  const problem = failure ? { message: failure.message, traceback: '', where: failure.where } : NO_SCRIPT;
  return { callbacks: [], warnings: [], problem };
}
