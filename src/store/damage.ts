/**
 * What is done for the file of a store before it is opened.
 *
 * A damaged one is set aside: it keeps what it holds, for those who look into it, and a new one takes its place. One that
 * was written before the machine was started may lack what the system had not brought to the disk when the power went: it
 * is replaced by a copy of all that can be reached in it, in which no page is used twice.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, type Stats, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Account, actingAs } from '../system/privileges.ts';
import { DATA_FILE, LOCK_FILE } from './lmdb-table.ts';

/** Two pages of head: a file that has less has lost it. One without a byte is being made by another process, or will be. */
const HEAD_BYTES = 8192;
/** A file so large that reading it takes longer is not read to its end. */
const READ_MS = 30_000;
/** It holds the name of the start of the machine since which the file has been written. */
const BOOT_FILE = 'boot';
const BOOT_ID = '/proc/sys/kernel/random/boot_id';
const COPY = 'copy';

export interface Looking {
  /** Whose files they become that are made; undefined: this process's user's. */
  readonly account?: Account;
  /** Whether only what was written before the machine was started is looked at. */
  readonly isBrief?: boolean;
}

/**
 * Looks at the file of a store, and replaces one that was written before the machine was started. While it does, nobody else
 * may open the store: where a reader of a damaged file is the first to use its locks, lmdb takes them from who comes next.
 * @returns the file, if it is there and damaged @throws what the system says
 */
export async function damagedFile(
  directory: string,
  { account, isBrief }: Looking = {},
): Promise<Stats | undefined> {
  const found = statSync(join(directory, DATA_FILE), { throwIfNoEntry: false });
  const boot = bootId();
  const note = join(directory, BOOT_FILE);
  const isFirst = boot !== undefined && boot !== textOf(note);
  if (!isFirst && isBrief === true) return undefined;
  const isDamaged =
    found !== undefined &&
    found.size > 0 &&
    (found.size < HEAD_BYTES ||
      !(await (isFirst ? isRenewed(directory, account) : isWhole(account, directory))));
  if (isFirst) actingAs(account, () => writeFileSync(note, boot));
  return isDamaged ? found : undefined;
}

/** Reads all of it in a process of its own, and copies it where a directory for that is given. */
function isWhole(account: Account | undefined, ...directories: readonly string[]): Promise<boolean> {
  const here = fileURLToPath(import.meta.url);
  const program = here.replace(/damage(\.[jt]s)$/, 'inspect-main$1');
  const isRoot = process.geteuid?.() === 0;
  const owner = isRoot && account !== undefined ? { uid: account.uid, gid: account.gid } : {};
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...process.execArgv, program, ...directories],
      { timeout: READ_MS, ...owner },
      // Damaged is what its reader says is so, or dies of: one that cannot be started says nothing.
      (error) =>
        resolve(error === null || error.killed === true || !(error.code === 3 || isCrash(error.signal))),
    );
  });
}

const isCrash = (signal: NodeJS.Signals | undefined | null) =>
  signal === 'SIGSEGV' || signal === 'SIGBUS' || signal === 'SIGABRT';

/**
 * Sets a damaged file aside, unless another process has done so. While it does, nobody else may open the store.
 * @returns its new path, where this process has moved it
 * @throws what the system says
 */
export function setAside(directory: string, damaged: Stats): string | undefined {
  const path = join(directory, DATA_FILE);
  if (statSync(path, { throwIfNoEntry: false })?.ino !== damaged.ino) return undefined;
  const aside = join(directory, `damaged-${damaged.ino}-${DATA_FILE}`);
  renameSync(path, aside);
  rmSync(join(directory, LOCK_FILE), { force: true });
  return aside;
}

/** Replaces the file by its copy: nobody has it open, for this is the first opening since the start. False where it is damaged. */
async function isRenewed(directory: string, account: Account | undefined): Promise<boolean> {
  const copy = join(directory, COPY);
  actingAs(account, () => {
    rmSync(copy, { recursive: true, force: true });
    mkdirSync(copy, { mode: 0o700 });
  });
  const isGood = await isWhole(account, directory, copy);
  actingAs(account, () => {
    if (isGood && textOf(join(copy, 'done')) !== undefined) {
      renameSync(join(copy, DATA_FILE), join(directory, DATA_FILE));
      rmSync(join(directory, LOCK_FILE), { force: true });
    }
    rmSync(copy, { recursive: true, force: true });
  });
  return isGood;
}

/** Undefined where the system does not tell. */
function bootId(): string | undefined {
  return textOf(BOOT_ID)?.trim();
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
