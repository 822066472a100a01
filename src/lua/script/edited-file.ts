/** A file that may be edited at any time: read again when it was. */
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { EISDIR, EMFILE, ENFILE, ENOMEM, errnoOf, errorText } from '../context/errno.ts';
import { isSame, isYoung, versionOf } from './file-stamp.ts';

/** What was found; `version` is another text after each edit. */
export type Content =
  | { readonly version: string; readonly bytes: Buffer; readonly problem?: undefined }
  | { readonly version: string; readonly bytes?: undefined; readonly problem: Problem };

/** Why a file has no content: `reason` as C's library puts it where it is the system's. */
export interface Problem {
  readonly failed: 'open' | 'read';
  readonly reason: string;
}

const PASSING: ReadonlySet<number> = new Set([ENOMEM, ENFILE, EMFILE]);

/** What is read at once of a file that has no size, as those of /proc. */
const CHUNK_BYTES = 65_536;

/** How often a file is read that somebody writes to meanwhile. */
const MAX_READS = 4;

export class EditedFile {
  readonly #path: string | Buffer;
  readonly #maxBytes: number;
  #content: Content | undefined;
  /** What the version was made of; undefined when there is none. */
  #stats: BigIntStats | undefined;
  /** It was young when it was read, so it is read again until it has aged. */
  #young = false;

  /** @param maxBytes a longer file is not read */
  constructor(path: string | Buffer, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  /** The file as it is now: the same object as long as it stays so. Costs one stat. */
  content(): Content {
    try {
      const stats = statSync(this.#path, { bigint: true });
      if (this.#content !== undefined && !this.#young && this.#stats && isSame(stats, this.#stats)) {
        return this.#content;
      }
      // Opening a pipe or a terminal has effects.
      return stats.isFile() ? this.#read() : this.#unreadable(notRegular(stats));
    } catch (error) {
      // What passes by itself is no new version: the process, or the system, has no descriptor or memory left.
      if (this.#content !== undefined && PASSING.has(errnoOf(error))) return this.#content;
      return this.#unreadable({ failed: 'open', reason: errorText(errnoOf(error)) });
    }
  }

  #read(): Content {
    const descriptor = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      let stats = fstatSync(descriptor, { bigint: true });
      if (!stats.isFile()) return this.#unreadable(notRegular(stats));
      let bytes: Buffer | null = null;
      let isTorn = true;
      for (let reads = 0; isTorn && reads < MAX_READS; reads++) {
        if (stats.size > this.#maxBytes) return this.#unreadable(tooLong(this.#maxBytes));
        bytes = readUpTo(descriptor, Number(stats.size), this.#maxBytes);
        const after = fstatSync(descriptor, { bigint: true });
        isTorn = !isSame(stats, after);
        stats = after;
      }
      if (bytes === null) return this.#unreadable(tooLong(this.#maxBytes));
      const version = versionOf(stats);
      this.#stats = stats;
      this.#young = isTorn || isYoung(stats);
      const before = this.#content;
      if (before?.bytes !== undefined && before.version === version && before.bytes.equals(bytes))
        return before;
      return this.#keep({ version, bytes });
    } catch (error) {
      return this.#unreadable({ failed: 'read', reason: errorText(errnoOf(error)) });
    } finally {
      closeSync(descriptor);
    }
  }

  #unreadable(problem: Problem): Content {
    this.#stats = undefined;
    this.#young = false;
    const before = this.#content;
    if (before?.problem?.reason === problem.reason) return before;
    return this.#keep({ version: problem.reason, problem });
  }

  #keep(content: Content): Content {
    this.#content = content;
    return content;
  }
}

function tooLong(maxBytes: number): Problem {
  const kib = maxBytes / 1024;
  return { failed: 'read', reason: `longer than ${kib < 2048 ? `${kib} KiB` : `${kib / 1024} MiB`}` };
}

function notRegular(stats: BigIntStats): Problem {
  return { failed: 'read', reason: stats.isDirectory() ? errorText(EISDIR) : 'not a regular file' };
}

/** A file from its beginning, or null when there is more of it. */
function readUpTo(descriptor: number, expected: number, maxBytes: number): Buffer | null {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafeSlow(Math.max(expected - length, 0) + CHUNK_BYTES);
    const read = readSync(descriptor, chunk, 0, chunk.length, length);
    if (read === 0) return Buffer.concat(chunks, length);
    length += read;
    if (length > maxBytes) return null;
    chunks.push(chunk.subarray(0, read));
  }
}
