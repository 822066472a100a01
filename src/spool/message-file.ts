/**
 * The file that `smtp.do_dot` is given: one message, written as it arrives, removed after the callback.
 *
 * Files lie in one private directory, see spool-directory.ts, and have mode 0600. A file's name tells the process that made it, so that a
 * start can sweep away what a crash has left without touching the files of another instance.
 *
 * A short message stays in memory until its end and is then written at once: three system calls are cheaper than the
 * hops through the thread pool. A long one is written while it arrives, in the background.
 */

import { closeSync, openSync, readdirSync, unlinkSync, writevSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { processStart } from '../system/process-start.ts';
import { codeOf } from '../text/operator-error.ts';

const MEMORY_BYTES = 128 * 1024;
/** Bytes of a message that nobody needs in a file, and of all such messages of a process together. */
const KEPT_BYTES = 2 * 1024 * 1024;
const ALL_KEPT_BYTES = 32 * 1024 * 1024;
/** Unwritten bytes above which `append` asks its caller to wait. */
const BACKLOG_BYTES = 1024 * 1024;
const NAME = /^smtpf-(\d+)-(\d+)-\d+\.(eml|sock|lua)$/;

/** Whether a file in the spool directory has the name of one of this program's. */
export function isSpoolFile(name: string): boolean {
  return NAME.test(name);
}

/** What happens to message files, and what is done about it. */
export interface SpoolEvents {
  /** The directory has gone: makes it anew, or throws. */
  remake(): void;
  /** A message's file is complete. */
  written(): void;
  /** It could not be written, or not to its end. */
  failed(error: unknown): void;
}

const NOTHING: SpoolEvents = { remake: () => {}, written: () => {}, failed: () => {} };

export class Spool {
  readonly #directory: string;
  readonly #owner = `${process.pid}-${processStart(process.pid)?.ticks ?? 0}`;
  #count = 0;
  readonly #room = new Room();

  readonly #events: SpoolEvents;

  constructor(directory: string, events = NOTHING) {
    this.#directory = directory;
    this.#events = events;
  }

  /**
   * Removes the files of processes that are gone; several processes may do so at a time.
   * @returns how many messages were among those that this process has removed.
   * @throws when the directory cannot be read.
   */
  sweep(): number {
    let removed = 0;
    for (const name of readdirSync(this.#directory)) {
      const match = NAME.exec(name);
      if (!match || isOwnerAlive(Number(match[1]), Number(match[2]))) continue;
      try {
        unlinkSync(join(this.#directory, name));
      } catch (error) {
        if (codeOf(error) === 'ENOENT') continue;
        throw error;
      }
      if (match[3] === 'eml') removed += 1;
    }
    return removed;
  }

  create(): MessageFile {
    return new MessageFile(this.path('eml'), this.#events);
  }

  /** For a message that nobody needs in a file: it becomes one where it is too large for the memory. */
  keep(): MessageFile {
    return new MessageFile(this.path('eml'), this.#events, this.#room);
  }

  /** Path for a socket or a script that this process alone uses. */
  path(extension: 'eml' | 'sock' | 'lua'): string {
    this.#count += 1;
    return join(this.#directory, `smtpf-${this.#owner}-${this.#count}.${extension}`);
  }
}

/** A file of this process id is alive only if that process began when the file's name says; one that hides that may be it. */
function isOwnerAlive(pid: number, began: number): boolean {
  const start = processStart(pid)?.ticks;
  if (start !== undefined) return start === began;
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch {
    return false;
  }
}

/** What the messages of a process that are in no file have in memory, beyond what each may have. */
class Room {
  #bytes = 0;

  /** @returns whether there is room for so many more */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > ALL_KEPT_BYTES) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

export class MessageFile {
  readonly path: string;
  readonly #events: SpoolEvents;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** What is being written now. */
  #writingBytes = 0;
  #handle: FileHandle | undefined;
  #writing: Promise<void> | undefined;
  #failure: unknown;
  #made = false;
  #removed = false;
  /** Where nobody needs a file, and what was taken of it. */
  readonly #room: Room | undefined;
  #taken = 0;

  constructor(path: string, events = NOTHING, room?: Room) {
    this.path = path;
    this.#events = events;
    this.#room = room;
  }

  /** All of the message, when it is complete and in no file. */
  get pieces(): readonly Buffer[] | undefined {
    return this.#room === undefined || this.#made ? undefined : this.#waiting;
  }

  /** Bytes of the message that are in memory. */
  get heldBytes(): number {
    return this.#waitingBytes + this.#writingBytes;
  }

  /** Whether something of it is on the disk, or on its way there. */
  get isBegun(): boolean {
    return this.#made;
  }

  /** Takes bytes of the message, which must not change afterwards. A promise means: wait, the disk is behind. */
  append(pieces: readonly Buffer[]): void | Promise<void> {
    if (this.#failure !== undefined || this.#removed) return;
    for (const bytes of pieces) {
      this.#waiting.push(bytes);
      this.#waitingBytes += bytes.length;
    }
    if (!this.#made && this.#fitsMemory()) return;
    this.#giveRoom();
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    if (this.#waitingBytes > BACKLOG_BYTES) return this.#writing;
  }

  /**
   * Completes the file, where there has to be one.
   * @throws (or rejects) with the error of the file system that kept a part from being written.
   */
  finish(): void | Promise<void> {
    if (this.#made) return this.#finishLong();
    if (this.#room !== undefined) return;
    this.#made = true;
    try {
      this.#writeShort();
    } catch (error) {
      this.#events.failed(error);
      throw error;
    }
    this.#events.written();
  }

  #writeShort(): void {
    const fd = this.#open();
    try {
      for (let rest = this.#take(); rest.length > 0; ) rest = after(rest, writevSync(fd, rest));
    } finally {
      closeSync(fd);
    }
  }

  /** Removes the file, or stops making it. Harmless when repeated. */
  remove(): void {
    if (this.#removed) return;
    this.#removed = true;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#giveRoom();
    if (this.#writing) {
      this.#writing.finally(() => this.#discard()).catch(() => {});
    } else if (this.#made) {
      this.#discard();
    }
  }

  #fitsMemory(): boolean {
    if (this.#waitingBytes <= MEMORY_BYTES) return true;
    const more = this.#waitingBytes - MEMORY_BYTES - this.#taken;
    if (this.#waitingBytes > KEPT_BYTES || !this.#room?.take(more)) return false;
    this.#taken += more;
    return true;
  }

  #giveRoom(): void {
    this.#room?.give(this.#taken);
    this.#taken = 0;
  }

  #discard(): void {
    this.#handle?.close().catch(() => {});
    this.#handle = undefined;
    try {
      unlinkSync(this.path);
    } catch {
      // The script may have moved or removed it.
    }
  }

  async #finishLong(): Promise<void> {
    while (this.#writing) await this.#writing;
    if (this.#waiting.length > 0) await this.#write();
    await this.#handle?.close();
    this.#handle = undefined;
    if (this.#failure === undefined) return this.#events.written();
    this.#events.failed(this.#failure);
    throw this.#failure;
  }

  async #write(): Promise<void> {
    this.#made = true;
    try {
      this.#handle ??= await open(this.path, 'wx', 0o600).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error;
        this.#events.remake();
        return open(this.path, 'wx', 0o600);
      });
      while (this.#waiting.length > 0 && this.#failure === undefined) {
        this.#writingBytes = this.#waitingBytes;
        for (let rest = this.#take(); rest.length > 0; ) {
          rest = after(rest, (await this.#handle.writev(rest)).bytesWritten);
        }
      }
    } catch (error) {
      this.#failure ??= error;
      this.#take();
    } finally {
      this.#writingBytes = 0;
    }
  }

  #open(): number {
    try {
      return openSync(this.path, 'wx', 0o600);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      this.#events.remake();
      return openSync(this.path, 'wx', 0o600);
    }
  }

  #take(): Buffer[] {
    const parts = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return parts;
  }
}

/** What is left of the parts when the first `written` bytes of them are on the disk. */
function after(parts: Buffer[], written: number): Buffer[] {
  let done = written;
  const first = parts.findIndex((part) => {
    if (part.length > done) return true;
    done -= part.length;
    return false;
  });
  if (first < 0) return [];
  const [cut, ...others] = parts.slice(first);
  return cut === undefined ? [] : [cut.subarray(done), ...others];
}
