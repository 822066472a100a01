/** What is known of the script's versions: each is logged once, however many processes tell of it. */
import type { ScriptStatus } from '../control/status.ts';
import type { GoodVersion } from '../lua/script/script-versions.ts';
import type { Options } from '../options/option-table.ts';
import { consequenceOf } from '../policy/failure.ts';
import type { ScriptNotice } from '../policy/lua-policies.ts';
import type { OnError } from '../policy/policy-settings.ts';
import type { ScriptReport } from '../policy/policy-source.ts';
import type { Logger } from '../syslog/log.ts';
import { EXIT, OperatorError } from '../text/operator-error.ts';

/** Each worker tells of each version; those that lag may tell of one before the last. */
const REMEMBERED = 64;

/** Why a start with this script is refused, where it is: nobody is to find out by his mail that none is filtered. */
export function badStart(
  { path, problem, serving, isRefused }: ScriptReport,
  { onBadStart, onError }: Pick<Options, 'onBadStart' | 'onError'>,
): OperatorError | undefined {
  if (problem === undefined || onBadStart === 'serve') return undefined;
  const reason = problem.replace(/\s*\n\s*/g, ' / ');
  const [what, otherwise] =
    isRefused && serving !== undefined
      ? ['is refused (--on-reload)', 'starts with it all the same']
      : ['does not run', `starts without it; then ${consequenceOf(onError)}`];
  return new OperatorError(
    `--script ${path}: ${what}: ${reason} (--on-bad-start serve ${otherwise})`,
    EXIT.config,
  );
}

export class ScriptState {
  readonly #path: string;
  readonly #onError: OnError;
  readonly #log: Logger;
  readonly #told = new Set<string>();
  #hash: string | undefined;
  #since = new Date().toISOString();
  #problem: string | undefined;
  #isUnproven = false;
  /** Of the version that serves. */
  #callbacks: readonly string[] = [];
  /** The last version that could run, where that is kept. */
  lastGood: GoodVersion | undefined;

  constructor(path: string, onError: OnError, log: Logger) {
    this.#path = path;
    this.#onError = onError;
    this.#log = log;
  }

  /** A worker was asked, and its answer is shown to the operator elsewhere. */
  examined(report: ScriptReport): void {
    this.#isNew(report.key);
    this.#keep(report);
  }

  /** A worker has found a new version by itself. @returns whether it was the first. */
  noticed(notice: ScriptNotice): boolean {
    const isStart = notice.first && this.#told.size === 0;
    if (!this.#isNew(notice.key)) return false;
    // What the program begins with is said when it has started.
    if (!isStart) this.#log[notice.level](notice.text);
    this.#keep(notice);
    return true;
  }

  /** Another version serves, though the file of the script may be the same. */
  renewed(): void {
    this.#since = new Date().toISOString();
  }

  get status(): ScriptStatus {
    const problem = this.#problem === undefined ? {} : { problem: this.#problem };
    const unproven = this.#isUnproven ? { unproven: true as const } : {};
    return {
      path: this.#path,
      hash: this.#hash,
      since: this.#since,
      callbacks: this.#callbacks,
      onError: this.#onError,
      ...problem,
      ...unproven,
    };
  }

  #keep({
    serving,
    problem,
    callbacks,
    good,
    isUnproven = false,
  }: Pick<ScriptNotice, 'serving' | 'problem' | 'callbacks' | 'good'> &
    Pick<ScriptReport, 'isUnproven'>): void {
    if (serving !== this.#hash) this.#since = new Date().toISOString();
    this.#isUnproven = isUnproven;
    if (problem === undefined || this.#isUnproven) this.#callbacks = callbacks;
    else if (serving === undefined) this.#callbacks = [];
    this.#hash = serving;
    this.#problem = problem;
    if (good?.source) this.lastGood = good;
  }

  #isNew(key: string): boolean {
    if (this.#told.has(key)) return false;
    this.#told.add(key);
    const [oldest] = this.#told;
    if (this.#told.size > REMEMBERED && oldest !== undefined) this.#told.delete(oldest);
    return true;
  }
}
