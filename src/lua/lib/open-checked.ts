/**
 * Which files are a policy's: those of the file system that are not this program's own.
 *
 * Not a policy's are the kernel's file systems (through /proc/self/mem one session would read and write the others, and
 * /proc/self/fd leads to whatever the process has open), devices but for /dev/null and its like, files without a name, and
 * the places that the program keeps to itself (Host.closedPlaces). What counts is the file that a path leads to, by
 * whatever links: it is looked at when it is open, before a byte of it is read, written or cut off.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  type Stats,
  statfsSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EACCES, EEXIST, ENOENT, errnoOf, SystemError } from '../context/errno.ts';
import type { Host } from '../engine/host.ts';

/** File systems that are the kernel's face, by statfs(2)'s f_type. */
const KERNEL: ReadonlyMap<number, string> = new Map([
  [0x9fa0, 'procfs'],
  [0x62656572, 'sysfs'],
  [0x64626720, 'debugfs'],
  [0x74726163, 'tracefs'],
  [0x73636673, 'securityfs'],
  [0x0027e0eb, 'cgroup'],
  [0x63677270, 'cgroup2'],
  [0xcafe4a11, 'bpf'],
  [0xde5e81e4, 'efivarfs'],
  [0x62656570, 'configfs'],
  [0x6165676c, 'pstore'],
  [0x65735543, 'fusectl'],
  [0x42494e4d, 'binfmt_misc'],
  [0xf97cff8c, 'selinuxfs'],
  [0x6e736673, 'nsfs'],
  [0x1cd1, 'devpts'],
  [0x50495045, 'a pipe of the process'],
  [0x534f434b, 'a socket of the process'],
  [0x09041934, 'a handle of the process'],
]);

/** Minor numbers of the character devices with major number 1 that are a policy's: null, zero, full, random, urandom. */
const DEVICES: ReadonlySet<number> = new Set([3, 5, 7, 8, 9]);

const KEPT = 'this program keeps its files there';
const CREATING = constants.O_CREAT | constants.O_TRUNC;
const SELF = '/proc/self/fd';

function refused(why: string): SystemError {
  return new SystemError(EACCES, `Permission denied (${why})`);
}

/**
 * Opens a file if it is a policy's.
 * @param name the bytes of its path
 * @param flags of open(2); O_CREAT and O_TRUNC take effect only on files that are a policy's
 * @returns its descriptor
 * @throws SystemError EACCES where it is not; what the system calls throw
 */
export function openChecked(host: Host, name: Buffer, flags: number, mode: number): number {
  const given = flags & ~CREATING;
  for (;;) {
    const there = statSync(name, { throwIfNoEntry: false });
    if (there !== undefined) {
      requireUsable(there);
      const descriptor = openSync(name, given);
      try {
        requireOurs(host, descriptor);
        if ((flags & constants.O_TRUNC) !== 0 && there.isFile()) ftruncateSync(descriptor);
        return descriptor;
      } catch (error) {
        closeSync(descriptor);
        throw error;
      }
    }
    if ((flags & constants.O_CREAT) === 0) return openSync(name, given); // Says why it cannot.
    requireNameOurs(host, name);
    // O_EXCL follows no link: where one leads to what is not there, nothing is made.
    if (isLink(name)) throw new SystemError(ENOENT);
    try {
      return openSync(name, given | constants.O_CREAT | constants.O_EXCL, mode);
    } catch (error) {
      if (errnoOf(error) !== EEXIST) throw error; // Else somebody was faster.
    }
  }
}

/**
 * Makes sure that a file with this name may be made, removed or renamed by a policy.
 * @throws SystemError EACCES where it may not; ENOENT where its directory is not there
 */
export function requireNameOurs(host: Host, name: Buffer): void {
  const text = name.toString('latin1');
  const place = join(realPath(dirname(text)), basename(text));
  requirePlaceOurs(host, place);
  // With a directory goes what is in it.
  if (host.closedPlaces.some((closed) => closed.startsWith(`${place}/`))) throw refused(KEPT);
}

/**
 * Makes sure that a file may be read by a policy, without opening it; one that is not there may.
 * @throws SystemError EACCES where it may not
 */
export function requireReadable(host: Host, name: Buffer): void {
  let place: string;
  try {
    place = realPath(name.toString('latin1'));
  } catch {
    return;
  }
  requirePlaceOurs(host, place);
  requireFileSystemOurs(place);
}

function requireUsable(file: Stats): void {
  const isNamedDevice = file.isCharacterDevice() && file.rdev >> 8 === 1 && DEVICES.has(file.rdev & 0xff);
  if ((file.isCharacterDevice() && !isNamedDevice) || file.isBlockDevice()) throw refused('a device');
}

/** Looks at what has been opened, whichever way led to it. */
function requireOurs(host: Host, descriptor: number): void {
  const file = fstatSync(descriptor);
  requireUsable(file);
  const link = `${SELF}/${descriptor}`;
  if (file.nlink === 0) throw refused('a file without a name');
  let place: string;
  try {
    place = readlinkSync(link, 'latin1');
  } catch (error) {
    // Where /proc is not mounted nothing leads through it.
    if (existsSync(SELF)) throw error;
    return;
  }
  requireFileSystemOurs(link);
  requirePlaceOurs(host, place);
}

function requireFileSystemOurs(path: string): void {
  const kind = KERNEL.get(statfsSync(Buffer.from(path, 'latin1')).type);
  if (kind !== undefined) throw refused(kind);
}

function requirePlaceOurs(host: Host, place: string): void {
  const { ownFile } = host;
  const isOwn = ownFile !== '' && basename(place) === basename(ownFile);
  if (isOwn && host.closedPlaces.includes(dirname(place))) return;
  for (const closed of host.closedPlaces) {
    if (place === closed || place.startsWith(`${closed}/`)) throw refused(KEPT);
  }
}

function isLink(name: Buffer): boolean {
  return lstatSync(name, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

/** Text is latin1. */
function realPath(path: string): string {
  return realpathSync.native(Buffer.from(path, 'latin1'), 'latin1');
}
