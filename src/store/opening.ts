/**
 * Of the processes that share a store one opens it at a time: what is set aside or replaced meanwhile is two files, and
 * another that opened the old one of one and the new one of the other would write where others write.
 */
import { closeSync, openSync, readFileSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs';
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
  const isOurs = await make(path);
  const signs = setInterval(() => isOurs && sign(path), SIGN_MS);
  signs.unref();
  try {
    return await work();
  } finally {
    clearInterval(signs);
    if (isOurs) rmSync(path, { force: true });
  }
}

/** Whether the file was made. */
async function make(path: string): Promise<boolean> {
  for (;;) {
    try {
      const file = openSync(path, 'wx', 0o600);
      writeSync(file, String(process.pid));
      closeSync(file);
      return true;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') return false;
    }
    if (isLeft(path)) rmSync(path, { force: true });
    else await pause(RETRY_MS);
  }
}

function sign(path: string): void {
  const now = new Date();
  try {
    utimesSync(path, now, now);
  } catch {
    // Somebody has taken it for left behind.
  }
}

/** Whether the process that has made it was killed before it could take it away. */
function isLeft(path: string): boolean {
  try {
    if (Math.abs(Date.now() - statSync(path).mtimeMs) > LONGEST_MS) return true;
    const maker = Number(readFileSync(path, 'latin1'));
    if (maker > 0) process.kill(maker, 0);
    return false;
  } catch (error) {
    return codeOf(error) === 'ESRCH';
  }
}
