/**
 * A file that is read again when it changes, aside, in slices: who asks is given what was read last.
 *
 * It is looked at once a second. A new version is read when it has stayed the same from one look to the next: so an editor's
 * or a program's half-written file is not taken. One that cannot be read leaves the one before in its place.
 */
import type { Stats } from 'node:fs';
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { TableError } from './table.ts';

const POLL_MS = 1000;
/** Work between two turns of the event loop. */
const SLICE_MS = 4;
/** Bytes that are read at a time. */
const PIECE = 1024 * 1024;
/** Bytes of the largest file. */
const MAX_BYTES = 512 * 1024 * 1024;

/** What became of a file. `problem`: why it is not taken; `at` is `PATH` or `PATH:LINE`. */
export interface FileNews {
  readonly at: string;
  readonly problem: string | undefined;
}

/** Makes something of the bytes of a file. @throws TableError */
export type FileReader<Content> = (bytes: Buffer) => Generator<void, Content, void>;

export class WatchedFile<Content> {
  /** As it is named in what is said of it, latin1. */
  readonly path: string;
  /** Where it is. */
  readonly #place: Buffer;
  readonly #read: FileReader<Content>;
  readonly #tell: (news: FileNews) => void;
  #content: Content | undefined;
  #readAt: number | undefined;
  #stamp = '';
  /** Whether a later change shows in the stamp: where not, the file is read once more. */
  #isSettled = true;
  /** The stamp of the last look, where that is not the one that was read. */
  #seen = '';
  #problem: string | undefined;
  #loading: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param path latin1 @param tell is told of each new version, and of each that is not taken, once */
  constructor(path: string, place: Buffer, read: FileReader<Content>, tell: (news: FileNews) => void) {
    this.path = path;
    this.#place = place;
    this.#read = read;
    this.#tell = tell;
  }

  /** What was read last; undefined before `load` has succeeded. */
  get content(): Content | undefined {
    return this.#content;
  }

  /** When that was, in milliseconds since 1970. */
  get readAt(): number | undefined {
    return this.#readAt;
  }

  /** Why the file as it is now is not what serves; undefined where it is. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Reads the file for the first time. @throws an error whose message begins with `PATH:LINE: ` or `PATH: ` */
  async load(): Promise<void> {
    const stats = await this.#stats();
    await this.#take(stats);
    this.#timer = setInterval(() => void this.look(), POLL_MS).unref();
  }

  /** Looks at it no more. */
  close(): void {
    clearInterval(this.#timer);
  }

  /** Looks whether the file has changed, and reads it then. */
  look(): Promise<void> {
    this.#loading ??= this.#look().finally(() => {
      this.#loading = undefined;
    });
    return this.#loading;
  }

  async #look(): Promise<void> {
    let stamp = '';
    try {
      const stats = await this.#stats();
      stamp = stampOf(stats);
      const isKnown = stamp === this.#stamp;
      if (isKnown && this.#isSettled) {
        this.#unchanged();
        return;
      }
      const isAtRest = stamp === this.#seen;
      this.#seen = stamp;
      if (!isAtRest) return;
      if ((await this.#take(stats)) && !isKnown) this.#tell({ at: this.path, problem: undefined });
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      // What is wrong in it stays so until it changes; what the system says may pass.
      if (error instanceof WrongContent) {
        this.#stamp = stamp;
        this.#isSettled = true;
      }
      if (problem === this.#problem) return;
      this.#problem = problem;
      this.#tell({ at: this.path, problem });
    }
  }

  /** The file that is there is the one that was read, perhaps again. */
  #unchanged(): void {
    this.#seen = '';
    if (this.#problem !== undefined && this.#missing) {
      this.#missing = false;
      this.#problem = undefined;
      this.#tell({ at: this.path, problem: undefined });
    }
  }

  /** The problem is that the file was not there. */
  #missing = false;

  async #stats(): Promise<Stats> {
    try {
      return await stat(this.#place);
    } catch (error) {
      this.#missing = true;
      throw new Error(`${this.path}: ${reasonOf(error)}`);
    }
  }

  /** @returns whether it was taken: not one that changed while it was read, which is looked at again */
  async #take(stats: Stats): Promise<boolean> {
    const began = Date.now();
    let content: Content;
    try {
      const { bytes, after } = await readFile(this.#place);
      if (this.#content !== undefined && stampOf(after) !== stampOf(stats)) return false;
      content = await inTurns(this.#read(bytes));
    } catch (error) {
      this.#missing = false;
      if (!(error instanceof TableError)) throw new Error(`${this.path}: ${reasonOf(error)}`);
      throw new WrongContent(`${this.path}${error.line > 0 ? `:${error.line}` : ''}: ${error.message}`);
    }
    this.#content = content;
    this.#readAt = began;
    this.#stamp = stampOf(stats);
    this.#isSettled = isSettled(stats, began);
    this.#problem = undefined;
    this.#missing = false;
    return true;
  }
}

/** The bytes were read, and are no such file. */
class WrongContent extends Error {}

/** Time stamps go in steps of some milliseconds; on some file systems of one or two seconds. */
function isSettled({ mtimeMs }: Stats, readAt: number): boolean {
  return readAt - mtimeMs > (mtimeMs % 1000 === 0 ? 2100 : 20);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  return code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : error.message;
}

const stampOf = ({ mtimeMs, ctimeMs, size, ino }: Stats) => `${mtimeMs} ${ctimeMs} ${size} ${ino}`;

/** All of a regular file, without holding the event loop. A FIFO would be waited for without end. */
async function readFile(path: Buffer): Promise<{ bytes: Buffer; after: Stats }> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) throw new Error('is no regular file');
    if (stats.size > MAX_BYTES) throw new Error(`is larger than ${MAX_BYTES / 1024 / 1024} MB`);
    return { bytes: await readAll(handle, stats.size), after: await handle.stat() };
  } finally {
    await handle.close();
  }
}

async function readAll(handle: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(size);
  let got = 0;
  while (got < size) {
    const { bytesRead } = await handle.read(bytes, got, Math.min(PIECE, size - got), got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return bytes.subarray(0, got);
}

/** Runs work in slices, between which others have their turn. */
export async function inTurns<Result>(work: Generator<void, Result, void>): Promise<Result> {
  for (;;) {
    const end = performance.now() + SLICE_MS;
    while (performance.now() < end) {
      const { value, done } = work.next();
      if (done) return value as Result;
    }
    await nextTurn();
  }
}
