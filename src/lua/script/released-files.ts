/**
 * The version of a policy that serves where edits wait for a release: its script and the Lua files that it loads, as they
 * were when they were looked at. What is in the file system counts no more.
 */
import type { LuaFile, Surroundings } from '../engine/surroundings.ts';
import type { Content } from './edited-file.ts';
import type { GoodVersion } from './script-versions.ts';

/** A version, as one process hands it to others. */
export interface Release {
  /** Another number for each. */
  readonly id: number;
  readonly script: Content;
  /** By name, as latin1 text; null where there is none. */
  readonly files: ReadonlyMap<string, LuaFile | null>;
  /** Undefined where it cannot run, and serves all the same as there is no other. */
  readonly good: GoodVersion | undefined;
}

export class ReleasedFiles {
  #release: Release | undefined;

  /** Counts for what is compiled from now on. */
  take({ script, files, ...release }: Release): void {
    const plain = new Map([...files].map(([path, file]) => [path, file && ownBytes(file)]));
    this.#release = {
      ...release,
      files: plain,
      // Another object each time: the same script loads other files.
      script: script.bytes === undefined ? script : ownBytes(script),
    };
  }

  /** The script. */
  content(): Content {
    return this.#release?.script ?? NOTHING;
  }

  /** The same surroundings, but for the Lua files. */
  in(surroundings: Surroundings): Surroundings {
    return { ...surroundings, held: (path) => this.#release?.files.get(path) };
  }
}

const NOTHING: Content = { version: '', problem: { failed: 'read', reason: 'no version is released' } };

/** What comes from another process may be no Buffer. */
function ownBytes({ version, bytes }: LuaFile): LuaFile {
  return { version, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) };
}
