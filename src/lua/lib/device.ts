/**
 * What is behind an open file: the unbuffered part, made of system calls. Every failure is thrown with its errno.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { EBADF, SystemError } from '../context/errno.ts';
import type { Host } from '../engine/host.ts';
import { openChecked } from './open-checked.ts';

/** Offsets and sizes are bytes. */
export interface Device {
  /** Whether it has positions; a pipe or a terminal has none, and `position` is ignored. */
  readonly seekable: boolean;
  /** Nothing can ever be read from it. */
  readonly empty: boolean;
  /** Reads up to `length` bytes to `into` at `offset`; returns how many, 0 at the end. */
  read(into: Buffer, offset: number, length: number, position: number): number;
  /** Writes all of `bytes`. */
  write(bytes: Uint8Array, position: number): void;
  size(): number;
  close(): void;
}

/** An open file descriptor. */
export class DescriptorDevice implements Device {
  readonly seekable: boolean;
  readonly empty = false;
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
    const kind = fstatSync(descriptor);
    this.seekable = kind.isFile() || kind.isBlockDevice();
  }

  read(into: Buffer, offset: number, length: number, position: number): number {
    return readSync(this.#descriptor, into, offset, length, this.seekable ? position : null);
  }

  write(bytes: Uint8Array, position: number): void {
    let written = 0;
    while (written < bytes.length) {
      const at = this.seekable ? position + written : null;
      written += writeSync(this.#descriptor, bytes, written, bytes.length - written, at);
    }
  }

  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Standard input of a daemon: at its end from the beginning. */
export class EmptyDevice implements Device {
  readonly seekable = false;
  readonly empty = true;

  read(): number {
    return 0;
  }

  write(): never {
    throw new SystemError(EBADF);
  }

  size(): number {
    return 0;
  }

  close(): void {}
}

/** The modes of `fopen`; `b` has no meaning on POSIX. */
export type OpenMode = 'r' | 'r+' | 'w' | 'w+' | 'a' | 'a+';

const FLAGS: Record<OpenMode, number> = {
  r: constants.O_RDONLY,
  'r+': constants.O_RDWR,
  w: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
  'w+': constants.O_RDWR | constants.O_CREAT | constants.O_TRUNC,
  a: constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND,
  'a+': constants.O_RDWR | constants.O_CREAT | constants.O_APPEND,
};

/**
 * Opens the file with the bytes `name` as its path, if it is one that a policy may open.
 *
 * O_NONBLOCK changes nothing for files, but opening a FIFO would otherwise stop the whole process until somebody opens
 * its other end; with it a FIFO without a reader cannot be opened for writing (ENXIO), and one without data says EAGAIN.
 */
export function openDevice(host: Host, name: Buffer, mode: OpenMode): Device {
  if (host.discards && mode !== 'r') return fromDescriptor(openSync('/dev/null', constants.O_RDWR));
  return fromDescriptor(openChecked(host, host.locate(name), FLAGS[mode] | constants.O_NONBLOCK, 0o666));
}

/** Opens a new file without a name, which is gone when it is closed. */
export function openTemporary(): Device {
  const { name, descriptor } = createTemporary();
  unlinkSync(name);
  return fromDescriptor(descriptor);
}

/** Creates a new empty file that only this user may read; the caller closes the descriptor. */
export function createTemporary(): { name: string; descriptor: number } {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL;
  const name = temporaryName();
  return { name, descriptor: openSync(name, flags, 0o600) };
}

/** Of a file that is not there. */
export function temporaryName(): string {
  return `${tmpdir()}/lua_${randomBytes(9).toString('hex')}`;
}

function fromDescriptor(descriptor: number): Device {
  try {
    return new DescriptorDevice(descriptor);
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}
