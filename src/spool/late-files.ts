/** Message files that are made when somebody looks for them: most candidates of a policy take the path, and read nothing. */
import { basename } from 'node:path';
import type { MessageFile } from './message-file.ts';

export class LateFiles {
  /** Those that are complete and were not looked for, by the names of their files; latin1. */
  readonly #unmade = new Map<string, MessageFile>();

  /** @returns the file, to be made when it is looked for */
  late(file: MessageFile): LateFile {
    return new LateFile(file, this.#unmade);
  }

  /** A file is looked for: one that was not made yet is made. @returns the path @throws what the file system says */
  locate(path: Buffer): Buffer {
    if (this.#unmade.size > 0) {
      const name = basename(path.toString('latin1'));
      const file = this.#unmade.get(name);
      this.#unmade.delete(name);
      file?.finish();
    }
    return path;
  }
}

class LateFile {
  readonly path: string;
  readonly pieces = undefined;
  readonly #file: MessageFile;
  readonly #name: string;
  readonly #unmade: Map<string, MessageFile>;

  constructor(file: MessageFile, unmade: Map<string, MessageFile>) {
    this.path = file.path;
    this.#file = file;
    this.#name = basename(file.path);
    this.#unmade = unmade;
  }

  get heldBytes(): number {
    return this.#file.heldBytes;
  }

  append(pieces: readonly Buffer[]): void | Promise<void> {
    return this.#file.append(pieces);
  }

  /** A long one is on the disk already. */
  finish(): void | Promise<void> {
    if (this.#file.isBegun) return this.#file.finish();
    this.#unmade.set(this.#name, this.#file);
  }

  remove(): void {
    this.#unmade.delete(this.#name);
    this.#file.remove();
  }
}
