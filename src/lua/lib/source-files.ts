/**
 * Lua files that scripts load by `require`, `dofile` and `loadfile`, compiled once for all sessions.
 *
 * Each session runs them anew; what is shared is the compiled code, in which nothing changes. A file is looked at each
 * time it is loaded, and compiled again when it was edited.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import type { LuaState, LuaString } from 'fengari';
import { bytesOf, latin1Of, lua } from '../engine.ts';
import { hostOf } from '../host.ts';
import { luaText, type Script, ScriptError, ScriptFile } from '../script.ts';
import { cString } from './arguments.ts';
import { errnoOf, errorText } from './errno.ts';
import { LONGEST_CHUNK, loadText, TOO_LONG } from './load-text.ts';

/** Enough for any site's modules; scripts that make up names without end must not fill the memory. */
const MAX_FILES = 256;
/** Compiling takes some 100 ms for so many bytes, in which others have no turn: once for each edit of the file. */
const MAX_BYTES = 1024 * 1024;
/** Compiling takes about 100 ns for a byte. */
const STEPS_PER_BYTE = 10;

interface SourceFile {
  readonly file: ScriptFile;
  script: Script | undefined;
}

/** By name. The first is the one that was loaded longest ago. */
const files = new Map<string, SourceFile>();

/** Why a file could not be loaded, as latin1 text. */
class Problem extends Error {}

/**
 * Pushes the main function of a Lua file.
 *
 * @param name the bytes of its path
 * @returns null, or with nothing pushed why there is none, as latin1 text
 */
export function pushFile(L: LuaState, name: LuaString): string | null {
  const path = cString(name);
  const shown = latin1Of(path);
  if (/^[ -~]+$/.test(shown)) {
    const compiled = pushCompiledFile(L, shown);
    if (compiled !== undefined) return compiled;
  }
  let text: Uint8Array;
  try {
    text = luaText(readFile(path));
  } catch (error) {
    if (error instanceof Problem) return `cannot read ${shown}: ${error.message}`;
    if (error instanceof ScriptError) return `cannot load ${shown}: ${error.message}`;
    return `cannot open ${shown}: ${errorText(errnoOf(error))}`;
  }
  if (loadText(L, text, bytesOf(`@${shown}`)) === lua.LUA_OK) return null;
  const message = lua.lua_tostring(L, -1);
  lua.lua_pop(L, 1);
  return message === null ? `${shown}: cannot be compiled` : latin1Of(message);
}

/**
 * Pushes the main function of a file that many sessions share: a regular one that can be read, with a name in ASCII.
 *
 * @returns null; why it cannot be compiled, as latin1 text; or undefined when it is no such file
 */
export function pushCompiledFile(L: LuaState, name: string): string | null | undefined {
  const known = files.get(name) ?? {
    file: new ScriptFile(name, MAX_BYTES),
    script: undefined,
  };
  const { script, failure } = known.file.current();
  files.delete(name);
  if (known.file.source === undefined) return undefined;
  files.set(name, known);
  for (const oldest of files.keys()) {
    if (files.size <= MAX_FILES) break;
    files.delete(oldest);
  }
  if (script !== known.script || !script) {
    known.script = script;
    hostOf(L).chargeBounded(L, known.file.source.length * STEPS_PER_BYTE, true);
  }
  if (!script) return failure.message;
  script.push(L);
  return null;
}

/** The bytes of a regular file; some of /proc would stop the whole process until there is something to read. */
function readFile(path: Buffer): Buffer {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = fstatSync(descriptor);
    if (stats.isDirectory()) throw new Problem('Is a directory');
    if (!stats.isFile()) throw new Problem('Not a regular file');
    if (stats.size > MAX_BYTES) throw new Problem(`longer than ${MAX_BYTES / 1024} KiB`);
    // Files of /proc have no size.
    const bytes = Buffer.alloc(LONGEST_CHUNK + 1);
    let length = 0;
    for (;;) {
      const read = readSync(descriptor, bytes, length, bytes.length - length, null);
      length += read;
      if (length > LONGEST_CHUNK) throw new Problem(TOO_LONG);
      if (read === 0) return bytes.subarray(0, length);
    }
  } finally {
    closeSync(descriptor);
  }
}
