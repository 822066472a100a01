/**
 * Events appended to a file, or written into a pipe.
 *
 * One write is under way at a time, in a thread of Node's, so that a slow disk holds nobody. A pipe is opened so that a full
 * one says so: then lines wait here, and beyond the bound they are dropped.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { codeOf, systemReason } from '../text/operator-error.ts';
import { CLOSE_MS, type EventWriter, MOST_WAITING, RETRY_MS } from './event-writer.ts';
import { WaitingLines } from './waiting-lines.ts';

const FLAGS =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;
const MODE = 0o640;
const WRITE_BYTES = 256 * 1024;
/** Between two looks whether a full pipe has room. */
const FULL_MS = 20;

export class EventFile implements EventWriter {
  readonly #path: string;
  readonly #warn: (message: string) => void;
  readonly #lines = new WaitingLines(MOST_WAITING);
  #file: FileHandle | undefined;
  /** What is left of a write that was done in part. */
  #rest: Buffer = Buffer.alloc(0);
  #restLines = 0;
  #reopens = false;
  #isWarned = false;
  #lost = 0;
  #work: Promise<void> | undefined;
  readonly #closing = new AbortController();

  constructor(path: string, warn: (message: string) => void) {
    this.#path = path;
    this.#warn = warn;
  }

  get dropped(): number {
    return this.#lines.dropped + this.#lost;
  }

  write(line: string): void {
    if (!this.#lines.add(line)) this.#tell('does not keep up: events are dropped');
    this.#begin();
  }

  reopen(): void {
    this.#reopens = true;
    this.#begin();
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#closing.abort(), CLOSE_MS);
    await this.#work;
    clearTimeout(timer);
    await this.#file?.close();
    this.#file = undefined;
  }

  #begin(): void {
    this.#work ??= this.#writeAll().finally(() => {
      this.#work = undefined;
      if (!this.#lines.isEmpty && !this.#closing.signal.aborted) this.#begin();
    });
  }

  async #writeAll(): Promise<void> {
    while (
      (this.#rest.length > 0 || !this.#lines.isEmpty || this.#reopens) &&
      !this.#closing.signal.aborted
    ) {
      try {
        await this.#open();
        if (this.#rest.length === 0) this.#takeSome();
        if (this.#rest.length === 0) continue;
        const { bytesWritten } = await (this.#file as FileHandle).write(this.#rest);
        this.#rest = this.#rest.subarray(bytesWritten);
        this.#isWarned = false;
      } catch (error) {
        await this.#failed(error);
      }
    }
  }

  #takeSome(): void {
    const { text, lines } = this.#lines.take(WRITE_BYTES);
    this.#rest = Buffer.from(text, 'latin1');
    this.#restLines = lines;
  }

  async #open(): Promise<void> {
    if (this.#reopens) {
      this.#reopens = false;
      // A line that was begun ends in the new file: better so than two halves.
      await this.#file?.close();
      this.#file = undefined;
    }
    this.#file ??= await open(this.#path, FLAGS, MODE);
  }

  async #failed(error: unknown): Promise<void> {
    const code = codeOf(error);
    if (code === 'EAGAIN') return this.#wait(FULL_MS);
    // Nobody has opened the pipe to read, or who had has gone.
    const why = code === 'ENXIO' || code === 'EPIPE' ? 'nobody reads the pipe' : systemReason(error);
    this.#tell(`${why}: events wait, and are dropped when they are too many`);
    if (code === 'EPIPE') {
      // What its reader has of the line that was begun is gone.
      this.#lost += this.#restLines;
      this.#rest = Buffer.alloc(0);
    }
    await this.#file?.close().catch(() => {});
    this.#file = undefined;
    return this.#wait(RETRY_MS);
  }

  async #wait(milliseconds: number): Promise<void> {
    await pause(milliseconds, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
  }

  #tell(problem: string): void {
    if (this.#isWarned) return;
    this.#isWarned = true;
    this.#warn(`--events file:${this.#path}: ${problem}`);
  }
}
