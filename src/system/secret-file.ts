/**
 * Files with secrets: what is made of one is kept, and made anew when the file has changed. What cannot be read, or is wrong,
 * leaves what was there before in its place. Nothing of what is in a file is ever said.
 *
 * A server reads the files that its options name while it has the rights it was started with, and hands the bytes on to
 * those who serve, who may not be able to.
 */
import { closeSync, fstatSync, readSync, type Stats, statSync } from 'node:fs';
import { codeOf, systemReason } from '../text/operator-error.ts';
import { openRegular } from './regular-file.ts';

/** A file as it was read at the start. */
export interface ReadSecret {
  readonly path: string;
  readonly bytes: Buffer;
}

/** What is made of the bytes of a file, or why nothing can be made of them: in words that show nothing of them. */
export type Made<Content> = { readonly content: Content } | { readonly wrong: string };

/** What is there; `isWrong`: the file can be read, and is none of its kind. */
export type Found<Content> =
  | { readonly content: Content }
  | { readonly problem: string; readonly isWrong: boolean };

const LOOK_MS = 1000;
const MAX_BYTES = 64 * 1024;
/** Who reads it now has fewer rights than who read it at the start. */
const FORBIDDEN: readonly string[] = ['EACCES', 'EPERM', 'ERR_ACCESS_DENIED'];

export class SecretFile<Content> {
  readonly #path: string | Buffer;
  readonly #name: string;
  readonly #make: (bytes: Buffer) => Made<Content>;
  readonly #warn: (message: string) => void;
  #found: Found<Content> | undefined;
  #stamp = '';
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** The bytes are those of the start, which we may not be able to read. */
  readonly #isGiven: boolean;
  /** What was last said of it. */
  #said = '';
  #hasLookedAtMode = false;

  /**
   * @param name as it is called in what is said of it
   * @param warn takes what the operator should know of a file that served before
   * @param given what was read at the start
   */
  constructor(
    name: string,
    path: string | Buffer,
    make: (bytes: Buffer) => Made<Content>,
    warn: (message: string) => void,
    given?: Buffer,
  ) {
    this.#name = name;
    this.#path = path;
    this.#make = make;
    this.#warn = warn;
    this.#isGiven = given !== undefined;
    this.#hasLookedAtMode = this.#isGiven;
    if (given !== undefined) this.#found = foundOf(make(given));
  }

  /** What is made of the file as it is now; it is looked at once a second. */
  get(): Found<Content> {
    const now = performance.now();
    if (this.#found === undefined || now - this.#lookedAt >= LOOK_MS) {
      this.#lookedAt = now;
      this.#look();
    }
    return this.#found ?? { problem: 'cannot be read', isWrong: false };
  }

  #look(): void {
    let found: Found<Content>;
    try {
      const stats = statSync(this.#path);
      const stamp = `${stats.mtimeMs} ${stats.ctimeMs} ${stats.size} ${stats.ino}`;
      if (stamp === this.#stamp) return;
      const bytes = readSecret(this.#path);
      this.#stamp = stamp;
      if (!this.#hasLookedAtMode && isOpenToOthers(stats)) this.#warn(openToOthers(this.#name));
      this.#hasLookedAtMode = true;
      found = foundOf(this.#make(bytes));
    } catch (error) {
      if (this.#isGiven && FORBIDDEN.includes(codeOf(error))) return;
      this.#stamp = '';
      found = { problem: systemReason(error), isWrong: false };
    }
    this.#take(found);
  }

  #take(found: Found<Content>): void {
    if ('content' in found || this.#found === undefined || 'problem' in this.#found) {
      this.#found = found;
      this.#said = '';
      return;
    }
    if (this.#said === found.problem) return;
    this.#said = found.problem;
    this.#warn(`${this.#name}: ${found.problem}: what it held before goes on`);
  }
}

function foundOf<Content>(made: Made<Content>): Found<Content> {
  return 'content' in made ? made : { problem: made.wrong, isWrong: true };
}

/** All of a small regular file, which nothing waits for. @throws what the system says */
export function readSecret(path: string | Buffer): Buffer {
  const descriptor = openRegular(path);
  try {
    const { size } = fstatSync(descriptor);
    if (size > MAX_BYTES) throw new Error(`is larger than ${MAX_BYTES} bytes`);
    const bytes = Buffer.alloc(size);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, size, 0));
  } finally {
    closeSync(descriptor);
  }
}

/** Whether more than its owner and its group can read it. */
export function isOpenToOthers({ mode }: Pick<Stats, 'mode'>): boolean {
  return (mode & 0o007) !== 0;
}

export function openToOthers(name: string): string {
  return `${name}: others can read this secret: chmod o= ${name}`;
}
