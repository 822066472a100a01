/** What Lua's own libraries ask of the system, or of what stands in its place. */

/** The strings that stand in a Lua file: all, and those in its functions. */
export interface Names {
  names(): ReadonlySet<string>;
  namesInFunctions(): ReadonlySet<string>;
}

/** A Lua file as it was read; `version` is another text after each edit. */
export interface LuaFile {
  readonly version: string;
  readonly bytes: Buffer;
}

export interface Surroundings {
  /** Milliseconds since the epoch. */
  now(): number;
  /** From 0 to below 1, where the script has seeded no generator; the system's without it. */
  random?(): number;
  /** A variable of the environment; latin1, as its name. */
  env(name: string): string | undefined;
  /** Where a file is that the script names, as bytes. */
  locate(path: Buffer): Buffer;
  /** Whether what the script writes to files is lost, and none is made, removed or renamed; false without it. */
  readonly discards?: boolean;
  /**
   * A Lua file that a script looks for, where another counts than the one that is there; null: none counts.
   * @param path as the script names it, latin1
   * @returns undefined where the one that is there counts
   */
  held?(path: string): LuaFile | null | undefined;
  /**
   * Is told of each Lua file that a script loads.
   * @param source what was compiled from it
   * @param path as the script names it, latin1
   */
  loaded?(source: Names, path: string, file: LuaFile): void;
}

export const SYSTEM: Surroundings = {
  now: () => Date.now(),
  env: (latin1) => {
    const name = Buffer.from(latin1, 'latin1').toString();
    // `process.env` has the properties of any object besides.
    const value = Object.hasOwn(process.env, name) ? process.env[name] : undefined;
    return value === undefined ? undefined : Buffer.from(value).toString('latin1');
  },
  locate: (path) => path,
};
