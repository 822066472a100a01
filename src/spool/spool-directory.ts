/** The private directory for message files: made if need be, and refused when others could meddle with it. */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  type Stats,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Account, actingAs } from '../system/privileges.ts';
import { firstDirectory } from '../system/service-directory.ts';
import { wayTo } from '../system/way-there.ts';
import { codeOf, EXIT, exitCodeOf, OperatorError, systemReason } from '../text/operator-error.ts';
import { isSpoolFile } from './message-file.ts';

const OF_ROOT = '/var/spool/smtpf-milter';
/** Of a disk, and not emptied at boot; /tmp may be memory. */
const TEMPORARY = '/var/tmp';

/**
 * Where message files are when --spool says nothing. They may be many and large, so that it is no place in memory, such as
 * /run is: the service's state directory, else /var/spool/smtpf-milter where it can be had, else one named for the owner,
 * so that users do not meet.
 */
function defaultSpoolDirectory(owner: Account): string {
  const ofService = firstDirectory('STATE_DIRECTORY');
  if (ofService !== undefined) return join(ofService, 'spool');
  if (canBeHad(OF_ROOT, owner)) return OF_ROOT;
  // Whoever sets TMPDIR has said where.
  const { TMPDIR: wanted } = process.env;
  const temporary = (wanted === undefined || wanted === '') && existsSync(TEMPORARY) ? TEMPORARY : tmpdir();
  return join(temporary, `smtpf-milter-${owner.uid}`);
}

/** Where the directory is of a server with this option. @param directory undefined: see `defaultSpoolDirectory` */
export function spoolDirectoryOf(directory: string | undefined, owner: Account): string {
  return directory ?? defaultSpoolDirectory(owner);
}

/** Whether a directory is the owner's, or root's to make. */
function canBeHad(path: string, owner: Account): boolean {
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    const isRoot = process.geteuid?.() === 0;
    if (found === undefined) return isRoot && existsSync(dirname(path));
    const isEmptyOfRoot = () => isRoot && found.uid === 0 && readdirSync(path).length === 0;
    return found.isDirectory() && (found.uid === owner.uid || isEmptyOfRoot());
  } catch {
    return false;
  }
}

/**
 * Makes the directory, or checks the one there is: afterwards it is `owner`'s alone, mode 0700.
 *
 * Root does so with the owner's rights, unless only root can change what the path leads to: what is given away is then what
 * was looked at.
 * @param directory undefined: see `defaultSpoolDirectory`
 * @param trusted who else may have a directory on the way there
 * @returns its path.
 * @throws OperatorError when it cannot be made so, belongs to somebody else, or is shared as /tmp is.
 */
export function prepareSpoolDirectory(
  directory: string | undefined,
  owner: Account,
  trusted: readonly number[] = [],
): string {
  const path = spoolDirectoryOf(directory, owner);
  preparePrivateDirectory({ option: '--spool', path, isOwnFile: isSpoolFile }, owner, trusted);
  return path;
}

/** A directory that is the server's alone, and the option that names it. */
export interface PrivateDirectory {
  readonly option: string;
  readonly path: string;
  /** Whether a name is one of the files that the program itself makes there. */
  readonly isOwnFile: (name: string) => boolean;
}

/** As `prepareSpoolDirectory` does with that for message files. @throws OperatorError */
export function preparePrivateDirectory(
  directory: PrivateDirectory,
  owner: Account,
  trusted: readonly number[],
): void {
  const { option, path } = directory;
  try {
    const isRoot = process.geteuid?.() === 0;
    const { objection, ofRoot } = isRoot
      ? wayTo(path, [owner.uid, ...trusted])
      : { objection: undefined, ofRoot: false };
    if (objection !== undefined) throw refused(directory, `${objection}: it is not safe there`);
    actingAs(ofRoot ? undefined : owner, () => prepare(directory, owner));
  } catch (error) {
    if (error instanceof OperatorError) throw error;
    throw new OperatorError(`${option} ${path}: ${systemReason(error)}`, exitCodeOf(error));
  }
}

function prepare(directory: PrivateDirectory, owner: Account): void {
  const isNew = make(directory.path);
  const descriptor = openDirectory(directory);
  try {
    const reason = isNew ? undefined : objectionTo(directory, fstatSync(descriptor), owner);
    if (reason !== undefined) throw refused(directory, reason);
    // Node's permission model forbids both, so that they are left out where nothing is to be changed.
    const { uid, gid, mode } = fstatSync(descriptor);
    if (process.geteuid?.() === 0 && (uid !== owner.uid || gid !== owner.gid)) {
      fchownSync(descriptor, owner.uid, owner.gid);
    }
    if ((mode & 0o7777) !== 0o700) fchmodSync(descriptor, 0o700);
  } finally {
    closeSync(descriptor);
  }
}

/** @throws OperatorError where the path is that of something else, a link included */
function openDirectory(directory: PrivateDirectory): number {
  try {
    return openSync(directory.path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (!['ENOTDIR', 'ELOOP'].includes(codeOf(error))) throw error;
    throw refused(directory, 'is not a directory');
  }
}

function refused({ option, path }: PrivateDirectory, reason: string): OperatorError {
  return new OperatorError(`${option} ${path}: ${reason}`, EXIT.config);
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
      exitCodeOf(error),
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

function objectionTo(
  { path, isOwnFile }: PrivateDirectory,
  status: Stats,
  owner: Account,
): string | undefined {
  if ((status.mode & 0o1000) !== 0) return 'is shared by all users: name a directory in it';
  if (status.uid !== owner.uid) {
    // Root may have made it for the user that the program is about to become.
    if (process.geteuid?.() === 0 && status.uid === 0 && readdirSync(path).length === 0) return undefined;
    return `belongs to uid ${status.uid}, and the milter runs as uid ${owner.uid}`;
  }
  if ((status.mode & 0o077) !== 0 && !readdirSync(path).every(isOwnFile)) {
    return 'is open to other users and holds other files: name a directory of its own';
  }
  return undefined;
}
