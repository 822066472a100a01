/** A file that may be edited at any time: read again when it was. */
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { isSame, isYoung } from './file-stamp.ts';
import { EISDIR, errnoOf, errorText } from './lib/errno.ts';

/** What was found; `version` is another text after each edit. */
export type Content =
  | { readonly version: string; readonly bytes: Buffer; readonly problem?: undefined }
  | { readonly version: string; readonly bytes?: undefined; readonly problem: Problem };

/** Why a file has no content: `reason` as C's library puts it where it is the system's. */
export interface Problem {
  readonly failed: 'open' | 'read';
  readonly reason: string;
}

/** What is read at once of a file that has no size, as those of /proc. */
const CHUNK_BYTES = 65_536;

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
      return this.#unreadable({ failed: 'open', reason: errorText(errnoOf(error)) });
    }
  }

  #read(): Content {
    const descriptor = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(descriptor, { bigint: true });
      if (!stats.isFile()) return this.#unreadable(notRegular(stats));
      const bytes =
        stats.size > this.#maxBytes ? null : readUpTo(descriptor, Number(stats.size), this.#maxBytes);
      if (bytes === null) {
        const kib = this.#maxBytes / 1024;
        return this.#unreadable({
          failed: 'read',
          reason: `longer than ${kib < 2048 ? `${kib} KiB` : `${kib / 1024} MiB`}`,
        });
      }
      const version = `${stats.dev}-${stats.ino}-${stats.size}-${stats.mtimeNs}-${stats.ctimeNs}`;
      this.#stats = stats;
      this.#young = isYoung(stats);
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

function notRegular(stats: BigIntStats): Problem {
  return { failed: 'read', reason: stats.isDirectory() ? errorText(EISDIR) : 'not a regular file' };
}

/** The rest of a file, or null when there is more of it. */
function readUpTo(descriptor: number, expected: number, maxBytes: number): Buffer | null {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafeSlow(Math.max(expected - length, 0) + CHUNK_BYTES);
    const read = readSync(descriptor, chunk, 0, chunk.length, null);
    if (read === 0) return Buffer.concat(chunks, length);
    length += read;
    if (length > maxBytes) return null;
    chunks.push(chunk.subarray(0, read));
  }
}
