/** What is known of the script's versions: each is logged once, however many processes tell of it. */
import type { ScriptStatus } from '../control/status.ts';
import type { Logger } from '../log.ts';
import type { ScriptNotice } from '../lua/lua-policies.ts';
import type { ScriptReport } from '../policy-source.ts';

/** Each worker tells of each version; those that lag may tell of one before the last. */
const REMEMBERED = 64;

export class ScriptState {
  readonly #path: string;
  readonly #log: Logger;
  readonly #told = new Set<string>();
  #hash: string | undefined;
  #since = new Date().toISOString();
  #problem: string | undefined;
  /** Source of the last version that could run, where that is kept. */
  lastGood: Uint8Array | undefined;

  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
  }

  /** A worker was asked, and its answer is shown to the operator elsewhere. */
  examined({ key, problem, serving }: ScriptReport, source?: Uint8Array): void {
    this.#isNew(key);
    this.#keep(serving, problem, source);
  }

  /** A worker has found a new version by itself. @returns whether it was the first. */
  noticed({ key, level, text, passed, serving }: ScriptNotice, source?: Uint8Array): boolean {
    if (!this.#isNew(key)) return false;
    this.#log[level](text);
    this.#keep(serving, passed ? undefined : text, source);
    return true;
  }

  get status(): ScriptStatus {
    const problem = this.#problem === undefined ? {} : { problem: this.#problem };
    return { path: this.#path, hash: this.#hash, since: this.#since, ...problem };
  }

  #keep(hash: string | undefined, problem: string | undefined, source: Uint8Array | undefined): void {
    if (hash !== this.#hash) this.#since = new Date().toISOString();
    this.#hash = hash;
    this.#problem = problem;
    if (source) this.lastGood = source;
  }

  #isNew(key: string): boolean {
    if (this.#told.has(key)) return false;
    this.#told.add(key);
    const [oldest] = this.#told;
    if (this.#told.size > REMEMBERED && oldest !== undefined) this.#told.delete(oldest);
    return true;
  }
}
