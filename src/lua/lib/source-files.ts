/**
 * Lua files that scripts load by `require`, `dofile` and `loadfile`, compiled once for all sessions.
 *
 * Each session runs them anew; what is shared is the compiled code, in which nothing changes. A file is looked at each
 * time it is loaded, and compiled again when it was edited.
 */
import type { LuaState } from 'fengari';
import { hostOf } from '../host.ts';
import { type Script, ScriptFile } from '../script.ts';

/** Enough for any site's modules; scripts that make up names without end must not fill the memory. */
const MAX_FILES = 256;
/** What is parsed in the time of a slice or so: longer files go through the parser in pieces, in each session. */
const MAX_BYTES = 256 * 1024;
/** Parsing takes about 100 ns for a byte. */
const STEPS_PER_BYTE = 10;

interface SourceFile {
  readonly file: ScriptFile;
  script: Script | undefined;
}

/** By name. The first is the one that was loaded longest ago. */
const files = new Map<string, SourceFile>();

/**
 * Pushes the main function of a regular file that can be read and compiled, and has a name in printable ASCII.
 *
 * @param name latin1
 * @returns false for any other file, with nothing pushed: whoever loads it then will find out why.
 */
export function pushCompiledFile(L: LuaState, name: string): boolean {
  if (!/^[ -~]+$/.test(name)) return false;
  const known = files.get(name) ?? {
    file: new ScriptFile(name, MAX_BYTES),
    script: undefined,
  };
  const { script } = known.file.current();
  if (!script) {
    files.delete(name);
    return false;
  }
  files.delete(name);
  files.set(name, known);
  for (const oldest of files.keys()) {
    if (files.size <= MAX_FILES) break;
    files.delete(oldest);
  }
  if (script !== known.script) {
    known.script = script;
    hostOf(L).charge(L, (known.file.source?.length ?? 0) * STEPS_PER_BYTE);
  }
  script.push(L);
  return true;
}
