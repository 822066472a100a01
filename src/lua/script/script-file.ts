/** The file that a policy script comes from, compiled again when it was edited. */
import { setImmediate } from 'node:timers/promises';
import type { Script } from '../context/script.ts';
import { SLICE_MS } from '../context/slice-queue.ts';
import { Compilation } from './compilation.ts';
import { type Content, EditedFile } from './edited-file.ts';

/** Longest policy script, in bytes. */
export const MAX_SCRIPT_BYTES = 16 * 1024 * 1024;

/** So long what was seen of the file holds, in milliseconds: with thousands of sessions a second a look is a tenth of one. */
export const SEEN_MS = 1;

/** Why there is no script; the same object as long as the file stays as it is. */
export interface ScriptFailure {
  /** `file:line: message`, or what the system said of the file. Latin1 text. */
  readonly message: string;
  /** `file:line`; '' where no line is to blame. */
  readonly where: string;
  readonly version: string;
}

export type CurrentScript =
  | { readonly script: Script; readonly source: Uint8Array; readonly failure?: undefined }
  | { readonly script?: undefined; readonly failure: ScriptFailure };

/** A script file that may be edited at any time. */
export class ScriptFile {
  readonly path: string;
  readonly #file: Pick<EditedFile, 'content'>;
  #content: Content | undefined;
  /** Of the content; undefined when there is no text. */
  #compilation: Compilation | undefined;
  /** What the content is; undefined while it is being compiled. */
  #current: CurrentScript | undefined;
  #awaited: Promise<CurrentScript> | undefined;
  #seenAt = Number.NEGATIVE_INFINITY;

  /** @param file what is read; the file at the path without it */
  constructor(path: string, file: Pick<EditedFile, 'content'> = new EditedFile(path, MAX_SCRIPT_BYTES)) {
    this.path = path;
    this.#file = file;
  }

  /** Of the file as it was last found: another text for each edit. */
  get version(): string {
    return this.#content?.version ?? '';
  }

  /**
   * The script as the file is now: compiled when the file is new or has changed, else the same object as before. Costs
   * one stat.
   */
  current(): CurrentScript {
    this.#poll();
    for (;;) {
      const current = this.#compile(SLICE_MS);
      if (current !== undefined) return current;
    }
  }

  /**
   * The same, as the file was within the last millisecond; a promise where compiling takes longer than a few: others have
   * their turn meanwhile.
   */
  latest(): CurrentScript | Promise<CurrentScript> {
    if (performance.now() - this.#seenAt >= SEEN_MS) this.#poll();
    return this.#compiled();
  }

  /** The same, as the file is now: what was written before this is called counts. */
  anew(): CurrentScript | Promise<CurrentScript> {
    this.#poll();
    return this.#compiled();
  }

  #compiled(): CurrentScript | Promise<CurrentScript> {
    if (this.#current === undefined && this.#awaited !== undefined) return this.#awaited;
    const current = this.#compile(SLICE_MS);
    if (current !== undefined) return current;
    this.#awaited = this.#compileInTurns();
    return this.#awaited;
  }

  #poll(): void {
    const content = this.#file.content();
    this.#seenAt = performance.now();
    if (content === this.#content) return;
    this.#content = content;
    this.#current = undefined;
    this.#awaited = undefined;
    if (content.bytes !== undefined) {
      this.#compilation = new Compilation(content.bytes, this.path);
      return;
    }
    const message = `cannot read ${this.path}: ${content.problem.reason}`;
    this.#compilation = undefined;
    this.#current = { failure: { message, where: '', version: message } };
  }

  /** Compiles for so long at most; undefined when more is to be done. */
  #compile(ms: number): CurrentScript | undefined {
    const end = performance.now() + ms;
    while (this.#current === undefined) {
      const result = this.#compilation?.advance();
      const source = this.#content?.bytes;
      if (result?.script && source) this.#current = { script: result.script, source };
      else if (result?.problem !== undefined) {
        const [, where = ''] = /^(.+?:\d+): /.exec(result.problem) ?? [];
        this.#current = { failure: { message: result.problem, where, version: this.version } };
      } else if (performance.now() > end) break;
    }
    return this.#current;
  }

  async #compileInTurns(): Promise<CurrentScript> {
    for (;;) {
      await setImmediate();
      const current = this.#compile(SLICE_MS);
      if (current !== undefined) return current;
    }
  }
}
