/**
 * Of the processes that share a store one opens or closes it at a time: what is set aside or replaced meanwhile is two
 * files, and another that opened the old one of one and the new one of the other would write where others write. And who
 * closes it last destroys its locks, which who opens it meanwhile would take for those of others.
 */
import {
  closeSync,
  fstatSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { codeOf } from '../text/operator-error.ts';

const FILE = 'opening';
const RETRY_MS = 10;
/** Its maker says so often that it is at work. */
const SIGN_MS = 1000;
/** Without a sign for so long it is taken for left behind, whoever has made it. */
const LONGEST_MS = 20_000;

/** @param work runs without the others' knowledge where no file can be made @throws what it throws */
export async function alone<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  const path = join(directory, FILE);
  const ours = await make(path);
  const signs = setInterval(() => ours !== undefined && sign(path), SIGN_MS);
  signs.unref();
  try {
    return await work();
  } finally {
    clearInterval(signs);
    if (ours !== undefined) removeIf(path, ours);
  }
}

/** The number of the file that was made; undefined where none can be. */
async function make(path: string): Promise<number | undefined> {
  for (;;) {
    try {
      const file = openSync(path, 'wx', 0o600);
      writeSync(file, String(process.pid));
      const { ino } = fstatSync(file);
      closeSync(file);
      return ino;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') return undefined;
    }
    const left = leftBehind(path);
    if (left !== undefined) removeIf(path, left);
    else await pause(RETRY_MS);
  }
}

/** Removes the file, if it is that one still: others may find it left behind at the same time, and one makes the next. */
function removeIf(path: string, ino: number): void {
  const taken = `${path}-${process.pid}`;
  try {
    renameSync(path, taken);
    if (statSync(taken).ino !== ino) linkSync(taken, path);
  } catch {
    // Another has done so.
  }
  rmSync(taken, { force: true });
}

function sign(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // Somebody has taken it for left behind.
  }
}

/** The number of the file, where the process that has made it was killed before it could take it away. */
function leftBehind(path: string): number | undefined {
  try {
    const { mtimeMs, ino } = statSync(path);
    if (Math.abs(Date.now() - mtimeMs) > LONGEST_MS) return ino;
    const maker = Number(readFileSync(path, 'latin1'));
    return maker > 0 && !isThere(maker) ? ino : undefined;
  } catch {
    return undefined; // It has just been taken away.
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}
