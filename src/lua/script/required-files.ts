/** The files that a main chunk has looked for modules in: while they stay as they are, so does what the chunk leaves. */
import type { BigIntStats } from 'node:fs';
import type { LuaState } from 'fengari';
import { type Host, hostOf, PerState } from '../engine/host.ts';
import { isSame, isYoung, stampOf } from './file-stamp.ts';

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

  /** A file is about to be looked for. */
  note(path: Buffer): void {
    const name = path.toString('latin1');
    if (!this.#files.has(name)) this.#files.set(name, { path, was: stampOf(path) });
  }

  /** Whether an edit from now on would be seen. */
  get isSettled(): boolean {
    return [...this.#files.values()].every(({ was }) => was === undefined || !isYoung(was));
  }

  /** Whether every file is as it was, and none is where none was. Costs a stat for each. */
  get isUnchanged(): boolean {
    for (const { path, was } of this.#files.values()) {
      const is = stampOf(path);
      if (is === undefined || was === undefined ? is !== was : !isSame(is, was)) return false;
    }
    return true;
  }
}
