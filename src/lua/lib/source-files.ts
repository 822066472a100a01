/**
 * Lua files that scripts load by `require`, `dofile` and `loadfile`, compiled once for all sessions.
 *
 * Each session runs them anew; what is shared is the compiled code, in which nothing changes. A file is looked at each
 * time it is loaded, and compiled again when it was edited. The sessions that wait for it compile it together, and where
 * one is ended meanwhile the next goes on: so a long file is compiled at last however small the CPU budget is.
 */
import type { LuaState, LuaString } from 'fengari';
import { ENOENT, errorText, failureText } from '../context/errno.ts';
import { latin1Of, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { Compilation } from '../script/compilation.ts';
import { type Content, EditedFile } from '../script/edited-file.ts';
import { cString, LONGEST_PATH } from './arguments.ts';
import { HELD_CHUNK_TOO_LONG, LONGEST_HELD_CHUNK, STEPS_PER_BYTE } from './load-text.ts';
import { requireReadable } from './open-checked.ts';

/** Enough for any site's modules; scripts that make up names without end must not fill the memory. */
const MAX_FILES = 256;
const MAX_BYTES = 1024 * 1024;

interface SourceFile {
  readonly file: EditedFile;
  content?: Content;
  compilation?: Compilation;
}

/** By name, as latin1 text, and place where that is another. The first is the one that was loaded longest ago. */
const files = new Map<string, SourceFile>();

/**
 * Pushes the main function of a Lua file.
 *
 * @param name the bytes of its path
 * @returns null, or with nothing pushed why there is none, as latin1 text
 */
export function* pushFile(L: LuaState, name: LuaString): Generator<'pause', string | null, void> {
  const host = hostOf(L);
  const path = cString(name.subarray(0, LONGEST_PATH));
  const shown = latin1Of(path);
  const place = host.locate(path);
  const key = place === path ? shown : `${shown}\0${place.toString('latin1')}`;
  const held = host.held(shown);
  if (held === null) return `cannot open ${shown}: ${errorText(ENOENT)}`;
  try {
    if (held === undefined) requireReadable(host, Buffer.from(place));
  } catch (error) {
    return `cannot open ${shown}: ${failureText(error)}`;
  }
  const known = files.get(key) ?? { file: new EditedFile(Buffer.from(place), MAX_BYTES) };
  files.delete(key);
  const content: Content = held ?? known.file.content();
  if (content.problem) return `cannot ${content.problem.failed} ${shown}: ${content.problem.reason}`;
  files.set(key, known);
  for (const oldest of files.keys()) {
    if (files.size <= MAX_FILES) break;
    files.delete(oldest);
  }
  if (known.content !== content || known.compilation === undefined) {
    known.content = content;
    known.compilation = new Compilation(content.bytes, shown, path);
  }
  const { compilation } = known;
  if (!compilation.result && content.bytes.length > LONGEST_HELD_CHUNK && !lua.lua_isyieldable(L)) {
    return `cannot load ${shown}: ${HELD_CHUNK_TOO_LONG}`;
  }
  for (;;) {
    const { result } = compilation;
    if (result === undefined) {
      compilation.advance();
      host.charge(L, Compilation.STEP_BYTES * STEPS_PER_BYTE);
      yield 'pause';
    } else if (result.script) {
      host.loaded(result.script, shown, content);
      result.script.push(L);
      return null;
    } else {
      return result.problem;
    }
  }
}
