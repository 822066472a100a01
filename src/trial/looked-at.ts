/** The Lua files of a policy, as they were when it was looked at: those that it loads, and those that are not there. */
import { type LuaFile, type Surroundings, SYSTEM } from '../lua/engine/surroundings.ts';
import { EditedFile } from '../lua/script/edited-file.ts';
import { versionAt } from '../lua/script/file-stamp.ts';

/** Longest Lua file that is loaded, in bytes. */
const MAX_BYTES = 1024 * 1024;

/** Names that are looked for in one place after another; a script may make up more. */
const MAX_FILES = 1024;

export class LookedAt {
  /** By name, as latin1 text; null where there is none. */
  readonly files = new Map<string, LuaFile | null>();
  /** What tells whether one has changed since: see versionAt(). */
  readonly versions = new Map<string, string>();
  /** Whether one has changed while it was looked at. */
  #moved = false;

  /** The system, of which is noted what a script looks for, and what it loads. */
  readonly surroundings: Surroundings = {
    ...SYSTEM,
    held: (path) => {
      this.#seek(path);
      return undefined;
    },
    loaded: (_, path, file) => this.#add(path, file),
  };

  /** @param paths where a file may be, in order, latin1 @returns the first that is there, with its name */
  find(paths: readonly string[]): { readonly path: string; readonly file: LuaFile } | undefined {
    for (const path of paths) {
      const known = this.files.get(path);
      if (known) return { path, file: known };
      const content = new EditedFile(Buffer.from(path, 'latin1'), MAX_BYTES).content();
      this.#seek(path);
      if (content.bytes === undefined) continue;
      this.#add(path, content);
      return { path, file: content };
    }
    return undefined;
  }

  /** Of a file that is no module. @param version as it was read; as it is now without it */
  note(path: string, version = versionAt(Buffer.from(path, 'latin1'))): void {
    if (!this.versions.has(path)) this.versions.set(path, version);
  }

  /** Whether what was looked at is not what is there. */
  get isMoved(): boolean {
    return (
      this.#moved ||
      [...this.versions].some(([path, version]) => versionAt(Buffer.from(path, 'latin1')) !== version)
    );
  }

  #seek(path: string): void {
    if (this.versions.has(path) || this.versions.size >= MAX_FILES) return;
    const version = versionAt(Buffer.from(path, 'latin1'));
    this.versions.set(path, version);
    if (version === '') this.files.set(path, null);
  }

  #add(path: string, file: LuaFile): void {
    const before = this.files.get(path);
    if (before && before.version !== file.version) this.#moved = true;
    this.files.set(path, { version: file.version, bytes: file.bytes });
    if (this.versions.get(path) !== file.version) {
      if (this.versions.has(path)) this.#moved = true;
      this.versions.set(path, file.version);
    }
  }
}
