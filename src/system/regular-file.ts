/**
 * Files that the operator names, opened without waiting: to open a FIFO waits until somebody opens its other end, to open a
 * device may do anything, and neither need have an end. Whatever is no regular file is refused.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats, statSync } from 'node:fs';
import { IRREGULAR } from '../text/operator-error.ts';

/**
 * Opens a regular file.
 * @param flags of open(2)
 * @param mode permission bits of a file that is made
 * @returns its descriptor
 * @throws an error with the code IRREGULAR that says what else is there; what the system says
 */
export function openRegular(path: string | Buffer, flags: number = constants.O_RDONLY, mode = 0o600): number {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there !== undefined) requireRegular(there);
  // Where a FIFO has come to be there since, the flag keeps us from waiting; to a regular file it means nothing.
  const descriptor = openSync(path, flags | constants.O_NONBLOCK, mode);
  try {
    requireRegular(fstatSync(descriptor));
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

/** The bytes of a regular file. @throws as `openRegular` */
export function readRegular(path: string): Buffer {
  const descriptor = openRegular(path);
  try {
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** What is there in the place of a regular file, in words; undefined where it is one. */
export function irregularity(file: Stats): string | undefined {
  if (file.isFile()) return undefined;
  if (file.isDirectory()) return 'is a directory';
  if (file.isFIFO()) return 'is a FIFO, not a regular file';
  if (file.isSocket()) return 'is a socket, not a regular file';
  return 'is a device, not a regular file';
}

function requireRegular(file: Stats): void {
  const reason = irregularity(file);
  if (reason !== undefined) throw Object.assign(new Error(reason), { code: IRREGULAR });
}
