/**
 * Where recorded sessions go: files in a directory, all together of bounded size, of which the oldest is removed.
 *
 * Nobody waits for it. What cannot be written is lost, and is said once; it is tried again after a while.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemReason } from '../text/operator-error.ts';
import { HEAD, isSessionFile, sessionFileName } from './session-file.ts';

export interface SessionStoreSettings {
  readonly directory: string;
  /** Of all files there together. */
  readonly maxBytes: number;
  /** Processes that write there. */
  readonly writers: number;
  /** Of this process: what its files are named by. */
  readonly instance: string;
  readonly log: { warning(text: string): void; notice(text: string): void };
  /** After which a disk that could not be written is tried again. */
  readonly retryMs?: number;
}

/** Files that each writer may have: the more, the less is removed at a time. */
const FILES_PER_WRITER = 8;
/** Blocks that wait for a slow disk; more is lost. */
const MAX_WAITING_BYTES = 32 << 20;
const RETRY_MS = 10_000;
const NEW_FILE =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;

export class SessionStore {
  readonly #settings: SessionStoreSettings;
  /** Size of a file at which another is begun, and of the largest session. */
  readonly fileBytes: number;
  #file: FileHandle | undefined;
  #bytes = 0;
  /** When it was begun, by its name; milliseconds since the epoch. */
  #begunAt = 0;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  /** When it is tried again after a failure, as performance.now() tells; 0 where there was none. */
  #retryAt = 0;
  /** Since then. */
  #lost = 0;
  /** Why nothing is written; undefined where all is well. */
  problem: string | undefined;
  /** Sessions that are in a file, and those that came and are in none. */
  readonly counts = { kept: 0, lost: 0 };

  constructor(settings: SessionStoreSettings) {
    this.#settings = settings;
    this.fileBytes = Math.floor(settings.maxBytes / (FILES_PER_WRITER * settings.writers + settings.writers));
  }

  /** Whether it is worth while to bring one. */
  get takes(): boolean {
    return this.#waitingBytes < MAX_WAITING_BYTES && performance.now() >= this.#retryAt;
  }

  add(block: Buffer): void {
    if (!this.takes || block.length + HEAD.length > this.fileBytes) {
      this.#lose(1);
      return;
    }
    this.#waiting.push(block);
    this.#waitingBytes += block.length;
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Writes what has come. Never rejects. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file?.close().catch(() => {});
    this.#file = undefined;
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const blocks = this.#waiting;
      this.#waiting = [];
      this.#waitingBytes = 0;
      for (const [index, block] of blocks.entries()) {
        try {
          await this.#append(block);
          this.counts.kept += 1;
          this.#succeeded();
        } catch (error) {
          await this.#failed(error, blocks.length - index);
          break;
        }
      }
    }
  }

  async #append(block: Buffer): Promise<void> {
    const isGone = async (file: FileHandle) => (await file.stat()).nlink === 0;
    if (this.#file && (this.#bytes + block.length > this.fileBytes || (await isGone(this.#file)))) {
      const full = this.#file;
      this.#file = undefined;
      await full.close();
    }
    this.#file ??= await this.#begin();
    let written = 0;
    try {
      while (written < block.length) {
        written += (await this.#file.write(block, written, block.length - written)).bytesWritten;
      }
    } catch (error) {
      // Half a block at the end would hide those that come behind it.
      await this.#file.truncate(this.#bytes).catch(() => {});
      throw error;
    }
    this.#bytes += block.length;
  }

  async #begin(): Promise<FileHandle> {
    const { directory, instance } = this.#settings;
    await this.#makeRoom();
    // Two of the same millisecond would have one name.
    this.#begunAt = Math.max(Date.now(), this.#begunAt + 1);
    const name = sessionFileName(new Date(this.#begunAt), instance);
    const file = await open(join(directory, name), NEW_FILE, 0o600);
    try {
      await file.write(HEAD);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.#bytes = HEAD.length;
    return file;
  }

  /** Each writer may fill the file that it has begun, until it comes here itself. */
  async #makeRoom(): Promise<void> {
    const { directory, maxBytes, writers } = this.#settings;
    const names = (await readdir(directory)).filter(isSessionFile).sort();
    const files: { path: string; bytes: number }[] = [];
    for (const name of names) {
      const path = join(directory, name);
      const found = await stat(path).catch(() => undefined);
      if (found) files.push({ path, bytes: found.size });
    }
    let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    for (const file of files) {
      if (bytes <= maxBytes - writers * this.fileBytes) break;
      await rm(file.path, { force: true });
      bytes -= file.bytes;
    }
  }

  #lose(sessions: number): void {
    this.#lost += sessions;
    this.counts.lost += sessions;
  }

  #succeeded(): void {
    if (this.#retryAt === 0) return;
    this.#retryAt = 0;
    this.problem = undefined;
    const { log, directory } = this.#settings;
    log.notice(`--record ${directory}: sessions are recorded again; ${this.#lost} were not`);
    this.#lost = 0;
  }

  async #failed(error: unknown, lost: number): Promise<void> {
    const { log, directory, retryMs = RETRY_MS } = this.#settings;
    if (this.#retryAt === 0) {
      log.warning(`--record ${directory}: ${systemReason(error)}: no session is recorded until it can be`);
    }
    this.#lose(lost);
    this.problem = systemReason(error);
    this.#retryAt = performance.now() + retryMs;
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {});
  }
}
