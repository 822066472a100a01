/** The files that a main chunk has looked for modules in: while they stay as they are, so does what the chunk leaves. */
import type { BigIntStats } from 'node:fs';
import { dirname } from 'node:path';
import type { LuaState } from 'fengari';
import { type Host, hostOf, PerState } from '../engine/host.ts';
import { isSame, isYoung, stampOf } from './file-stamp.ts';
import { SEEN_MS } from './script-file.ts';

const watching = new PerState<RequiredFiles>();

/** @returns what is told from now on of the files that the scripts of `host` look for. */
export function watchFiles(host: Host): RequiredFiles {
  const files = new RequiredFiles();
  watching.set(host, files);
  return files;
}

/** A script is about to look for a file. */
export function noteFile(L: LuaState, path: Buffer): void {
  watching.get(hostOf(L))?.note(path);
}

interface File {
  readonly path: Buffer;
  readonly was: BigIntStats | undefined;
}

export class RequiredFiles {
  /** By path as latin1 text. */
  readonly #files = new Map<string, File>();
  /** When all were found to be as they were. */
  #seenAt = Number.NEGATIVE_INFINITY;

  /** A file is about to be looked for. */
  note(path: Buffer): void {
    const name = path.toString('latin1');
    if (this.#files.has(name)) return;
    const was = stampOf(path);
    if (was !== undefined) this.#files.set(name, { path, was });
    else {
      // Many files may be looked for in a directory that is not there: it alone is watched.
      const missing = outermostMissing(name);
      this.#files.set(missing, { path: Buffer.from(missing, 'latin1'), was });
    }
  }

  /** Whether an edit from now on would be seen. */
  get isSettled(): boolean {
    return [...this.#files.values()].every(({ was }) => was === undefined || !isYoung(was));
  }

  /** Whether every file was as it was within the last millisecond, and none where none was. Costs a stat for each. */
  get isUnchanged(): boolean {
    if (performance.now() - this.#seenAt < SEEN_MS) return true;
    for (const { path, was } of this.#files.values()) {
      const is = stampOf(path);
      if (is === undefined || was === undefined ? is !== was : !isSame(is, was)) return false;
    }
    this.#seenAt = performance.now();
    return true;
  }
}

/** Of a path at which nothing is: the first part of the way there that is missing. While it is, so is the rest. */
function outermostMissing(path: string): string {
  const above = dirname(path);
  return above === path || stampOf(Buffer.from(above, 'latin1')) ? path : outermostMissing(above);
}
