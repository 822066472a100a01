/** The private directory for message files: made if need be, and refused when others could meddle with it. */
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  type Stats,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isSpoolFile } from './message-file.ts';
import { EXIT, OperatorError, systemReason } from './operator-error.ts';

export interface SpoolOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Where a user's message files are when --spool says nothing. */
export function defaultSpoolDirectory(uid: number): string {
  return join(tmpdir(), `smtpf-milter-${uid}`);
}

/**
 * Makes the directory, or checks the one there is: afterwards it is `owner`'s alone, mode 0700.
 * @param directory undefined: one in the directory for temporary files, named for the owner so that users do not meet.
 * @returns its path.
 * @throws OperatorError when it cannot be made so, belongs to somebody else, or is shared as /tmp is.
 */
export function prepareSpoolDirectory(directory: string | undefined, owner: SpoolOwner): string {
  const path = directory ?? defaultSpoolDirectory(owner.uid);
  try {
    const reason = make(path) ? undefined : objection(path, lstatSync(path), owner);
    if (reason !== undefined) throw new OperatorError(`--spool ${path}: ${reason}`, EXIT.config);
    if (process.getuid?.() === 0) chownSync(path, owner.uid, owner.gid);
    chmodSync(path, 0o700);
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(`--spool ${path}: ${systemReason(error)}`, EXIT.config);
  }
  return path;
}

/**
 * Makes sure that the program, as the user it is by now, can work in the directory.
 * @throws OperatorError when it cannot: a directory on the way there may be closed to that user.
 */
export function requireSpoolAccess(path: string): void {
  try {
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const user = `uid ${process.getuid?.()}`;
    throw new OperatorError(
      `--spool ${path}: cannot be used by ${user}: ${systemReason(error)}`,
      EXIT.config,
    );
  }
}

/**
 * Makes the directory, and those above it; false when there is something of that name. Not by `recursive`, with which
 * Node 20 tries for ever where nothing can be made, as below /proc.
 */
function make(path: string): boolean {
  const parent = dirname(path);
  if (!existsSync(parent)) make(parent);
  try {
    mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function objection(path: string, status: Stats, owner: SpoolOwner): string | undefined {
  if (!status.isDirectory()) return 'is not a directory';
  if ((status.mode & 0o1000) !== 0) return 'is shared by all users: name a directory in it';
  if (status.uid !== owner.uid) {
    // Root may have made it for the user that the program is about to become.
    if (process.getuid?.() === 0 && status.uid === 0 && readdirSync(path).length === 0) return undefined;
    return `belongs to uid ${status.uid}, and the milter runs as uid ${owner.uid}`;
  }
  if ((status.mode & 0o077) !== 0 && !readdirSync(path).every(isSpoolFile)) {
    return 'is open to other users and holds other files: name a directory of its own';
  }
  return undefined;
}
