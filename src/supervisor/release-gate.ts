/**
 * `--on-reload`: an edited policy waits here until it has stood its trial; meanwhile the version before it serves. The trial
 * is run once, by a process of its own, however many processes serve.
 */
import { statSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { isYoung, stampOf, versionAt } from '../lua/script/file-stamp.ts';
import type { Release } from '../lua/script/released-files.ts';
import type { Options } from '../options/option-table.ts';
import { consequenceOf, NO_CALLBACKS } from '../policy/failure.ts';
import type { ScriptReport } from '../policy/policy-source.ts';
import type { Logger } from '../syslog/log.ts';
import type { ReadSecret } from '../system/secret-file.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';
import { latin1Of } from '../text/visible.ts';
import type { Loaded, TrialStart, Verdict } from '../trial/trial.ts';
import type { Launch } from './launch.ts';
import type { ScriptState } from './script-state.ts';
import { runTrial, type TrialEnd } from './trial-run.ts';

/** Between two looks at the files. An edit is tried when two looks have found the same. */
const LOOK_MS = 250;
/** How long a file may be so young that another edit could leave it looking the same. */
const YOUNG_MS = 3_000;
const SHORT_MS = 20;
/** How often a version is tried that is edited meanwhile. */
const MOST_TRIES = 5;

export interface GateSettings {
  readonly options: Options;
  readonly spool: string;
  readonly secrets: readonly ReadSecret[];
  readonly launch: Launch;
  readonly log: Logger;
  readonly script: ScriptState;
  readonly complain: (message: string) => void;
  /** Has all that serve take a version; settles when they have it. */
  readonly release: (release: Release) => Promise<void>;
}

/** What has become of the version that is in the file. */
export interface GateOutcome {
  readonly kind: 'live' | 'unchanged' | 'refused';
  readonly report: ScriptReport;
  /** Cases of its tests that have passed; undefined where none were run. */
  readonly passed: number | undefined;
  readonly warnings: readonly string[];
}

export class ReleaseGate {
  readonly #settings: GateSettings;
  readonly #stopping = new AbortController();
  #count = 0;
  #live:
    | { readonly release: Release; readonly found: Loaded | undefined; readonly isUnproven: boolean }
    | undefined;
  /** What came of the last trial. */
  #outcome: GateOutcome | undefined;
  /** Of the files that it was about, as they were then. */
  #versions: ReadonlyMap<string, string> = new Map();
  /** Files among them that this process may not look at. */
  #hidden: ReadonlySet<string> = new Set();
  #running: Promise<GateOutcome> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What the last look has found, where that is an edit. */
  #found = '';

  constructor(settings: GateSettings) {
    this.#settings = settings;
  }

  /** The version that serves. */
  get release(): Release | undefined {
    return this.#live?.release;
  }

  /**
   * Tries the version that the program begins with: it is to serve, whatever comes of it, if anything does.
   * @param stopped settles when the program is to end: it does not wait for the trial then
   * @throws OperatorError when it is
   */
  async begin(stopped: Promise<unknown>): Promise<GateOutcome> {
    void stopped.then(() => this.stop());
    const { found, verdict } = await this.#try();
    if (this.#stopping.signal.aborted)
      throw new OperatorError('the program is to end before it has started', EXIT.software);
    const release = found?.release ?? this.#nothing();
    const isUnproven = verdict.refusal !== undefined && release.good !== undefined;
    const report = this.#reportOf(found, verdict.refusal, release.good?.hash, isUnproven);
    this.#live = { release, found, isUnproven };
    this.#outcome = { kind: verdict.refusal === undefined ? 'live' : 'refused', report, ...told(verdict) };
    this.#settings.script.examined(report);
    return this.#outcome;
  }

  /** Looks for edits from now on, and logs what there is to say of the first version. */
  watch(): void {
    for (const warning of this.#outcome?.warnings ?? []) this.#settings.log.warning(warning);
    this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
    for (const path of this.#hidden) {
      const places = `${path}: this user may not look there: an edit is noticed by smtpf-milter reload and SIGHUP alone`;
      this.#settings.log.warning(places);
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#stopping.abort();
  }

  /** Tries the file as it is now, unless it is what was tried last and serves. Says nothing in the log. */
  async request(): Promise<GateOutcome> {
    const underWay = await this.#running;
    if (!this.#isEdited()) {
      if (underWay) return underWay;
      if (this.#outcome && this.#outcome.kind !== 'refused' && this.#hidden.size === 0)
        return { ...this.#outcome, kind: 'unchanged', passed: undefined, warnings: [] };
    }
    return this.#run();
  }

  #look(): void {
    if (this.#running) return;
    const found = this.#isEdited()
      ? ['', ...this.#seen().map((path) => versionAt(bytesOf(path)))].join()
      : '';
    const isSettled = found === this.#found && !this.#isYoung();
    this.#found = found;
    if (found === '' || !isSettled) return;
    void this.#run().then((outcome) => this.#say(outcome));
  }

  #run(): Promise<GateOutcome> {
    this.#running ??= this.#renew().finally(() => {
      this.#running = undefined;
      this.#found = '';
    });
    return this.#running;
  }

  async #renew(): Promise<GateOutcome> {
    const { script, release } = this.#settings;
    const before = this.#live;
    const { found, verdict } = await this.#try();
    const serving = before?.release.good?.hash;
    const isServing = serving !== undefined && found !== undefined && found.digest === before?.found?.digest;
    const end = (outcome: GateOutcome): GateOutcome => {
      this.#outcome = outcome;
      if (!this.#stopping.signal.aborted) script.examined(outcome.report);
      return outcome;
    };
    if (verdict.refusal !== undefined || found === undefined) {
      const isUnproven = isServing && before?.isUnproven === true;
      const report = this.#reportOf(found, verdict.refusal ?? '', serving, isUnproven);
      return end({ kind: 'refused', report, ...told(verdict) });
    }
    const report = this.#reportOf(found, undefined, found.report.hash);
    if (isServing && before) {
      this.#live = { ...before, isUnproven: false };
      return end({ kind: 'unchanged', report, ...told(verdict) });
    }
    this.#live = { release: found.release, found, isUnproven: false };
    await release(found.release);
    script.renewed();
    return end({ kind: 'live', report, ...told(verdict) });
  }

  /** Has the file tried, again where it is edited meanwhile. */
  async #try(): Promise<TrialEnd> {
    const { options, spool, secrets, launch, complain } = this.#settings;
    for (let tries = 1; ; tries++) {
      await this.#aged();
      this.#count += 1;
      const before = this.#live?.release.good;
      const start: TrialStart = { options, spool, secrets, before, id: this.#count };
      const path = latin1Of(options.script);
      const seen = new Map([[path, versionAt(bytesOf(path))]]);
      const end = await runTrial(start, { launch, complain, stop: this.#stopping.signal });
      const { found, verdict } = end;
      const tests = verdict.refusal === undefined ? [] : verdict.tests;
      this.#versions = new Map([...(found?.versions ?? seen), ...tests]);
      this.#hidden = new Set([...this.#versions.keys()].filter(isHidden));
      if (!verdict.isMoved || this.#stopping.signal.aborted) return end;
      if (tries === MOST_TRIES)
        return { found, verdict: { ...verdict, refusal: 'it is edited again before its trial has ended' } };
    }
  }

  /** Waits until no edit can leave a file looking as it does now. */
  async #aged(): Promise<void> {
    const end = performance.now() + YOUNG_MS;
    while (this.#isYoung() && performance.now() < end) await setTimeout(SHORT_MS);
  }

  #isYoung(): boolean {
    const paths = [latin1Of(this.#settings.options.script), ...this.#versions.keys()];
    return paths.some((path) => {
      const stats = stampOf(bytesOf(path));
      return stats !== undefined && isYoung(stats);
    });
  }

  #isEdited(): boolean {
    return this.#seen().some((path) => versionAt(bytesOf(path)) !== this.#versions.get(path));
  }

  /** Files that can be looked at. */
  #seen(): string[] {
    return [...this.#versions.keys()].filter((path) => !this.#hidden.has(path));
  }

  /** @param serving hash of the version that serves */
  #reportOf(
    found: Loaded | undefined,
    refusal: string | undefined,
    serving: string | undefined,
    isUnproven = false,
  ): ScriptReport {
    const path = latin1Of(this.#settings.options.script);
    const report = found?.report ?? { path, hash: undefined, callbacks: [], warnings: [] };
    const key = `${this.#count} ${refusal ?? ''}`;
    return {
      ...{ ...report, key, serving, defined: undefined, good: undefined },
      problem: refusal,
      ...{ isRefused: refusal !== undefined, isUnproven },
    };
  }

  /** In the place of a version that could not even be read. */
  #nothing(): Release {
    const problem = { failed: 'read', reason: 'its trial has not come to an end' } as const;
    return { id: this.#count, script: { version: '', problem }, files: new Map(), good: undefined };
  }

  /** One line of what has become of an edit that was noticed. */
  #say({ kind, report, warnings }: GateOutcome): void {
    if (this.#stopping.signal.aborted) return;
    const { log } = this.#settings;
    const { path, hash, callbacks, problem, serving, lost } = report;
    if (problem !== undefined) {
      const rest =
        serving === undefined
          ? consequenceOf(this.#settings.options.onError)
          : `the last good version (${serving}) serves`;
      log.error(`script is refused (--on-reload), ${rest}: ${problem}`);
      return;
    }
    const names = callbacks.join(' ') || `none, ${NO_CALLBACKS}`;
    const gone = kind === 'unchanged' || lost === undefined ? '' : `; no longer: ${lost.join(' ')}`;
    const what = kind === 'unchanged' ? 'script is again what serves' : 'script changed';
    const level = callbacks.length === 0 ? 'error' : gone === '' ? 'notice' : 'warning';
    log[level](`${what}: ${path} (${hash}), callbacks: ${names}${gone}`);
    for (const warning of warnings) log.warning(warning);
  }
}

function told({ passed, warnings }: Verdict): Pick<GateOutcome, 'passed' | 'warnings'> {
  return { passed, warnings };
}

function bytesOf(path: string): Buffer {
  return Buffer.from(path, 'latin1');
}

/** Whether this process may not look at a file: its directory is closed. */
function isHidden(path: string): boolean {
  try {
    statSync(bytesOf(path), { throwIfNoEntry: false });
    return false;
  } catch {
    return true;
  }
}
