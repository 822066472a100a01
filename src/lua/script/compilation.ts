/** From the bytes of a Lua file to a script. */
import { createHash } from 'node:crypto';
import type { LClosure, LuaState, LuaString } from 'fengari';
import { Script } from '../context/script.ts';
import { ascii, latin1Of, lauxlib, lua, nativeErrorHandler } from '../engine/engine.ts';
import { ESCAPE, type LuaInput, Pieces, parse } from './parsing.ts';

export class ScriptError extends Error {
  override name = 'ScriptError';
}

const HASH_SIGN = 0x23;
const LINE_FEED = 0x0a;

/**
 * The Lua text in a file: without a byte order mark, and with a first line that starts with `#` emptied (its line end
 * stays, so that lines keep their numbers), as luaL_loadfilex has it.
 *
 * @throws ScriptError for a precompiled chunk: the VM does not check it, so it could do anything.
 */
export function luaText(file: Uint8Array): Uint8Array {
  let text = file;
  if (text[0] === 0xef && text[1] === 0xbb && text[2] === 0xbf) text = text.subarray(3);
  if (text[0] === HASH_SIGN) {
    const end = text.indexOf(LINE_FEED);
    text = end < 0 ? text.subarray(text.length) : text.subarray(end);
  }
  // A precompiled chunk may follow a first line, and loadfile would accept it.
  const start = text[0] === LINE_FEED ? 1 : 0;
  if (text[start] === ESCAPE || text[0] === ESCAPE) {
    throw new ScriptError('precompiled chunks are not accepted, only Lua source');
  }
  return text;
}

/** Steps of Host.charge(): some 100 ms, or an `if` with 5000 branches. */
const MAX_WORK = 1e8;

/** Stands in for a session's host: ends the compiling of a file whose jumps and labels take time without bound. */
class Compiling {
  #work = 0;

  engineWorked(L: LuaState, steps: number): void {
    this.#work += steps;
    if (this.#work <= MAX_WORK) return;
    this.#work = 0; // To raise an error is work too.
    lauxlib.luaL_error(L, ascii('function has too many jumps or labels'));
  }

  stringMade(): void {}
  nativeError(): void {}
}

/** A text of which a piece is compiled at a time, which takes some 0.1 to 1 ms. */
class DuePieces implements LuaInput {
  static readonly BYTES = 1024;
  readonly #pieces: Pieces;
  due = false;

  constructor(text: LuaString) {
    this.#pieces = new Pieces(text, DuePieces.BYTES);
  }

  read(): LuaString | null {
    const piece = this.#pieces.next();
    this.due = piece !== null;
    return piece;
  }
}

/** What came of compiling: `problem` is `file:line: message`, as latin1 text. */
export type Compiled =
  | { readonly script: Script; readonly problem?: undefined }
  | { readonly script?: undefined; readonly problem: string };

/** Lua source on its way to a script. */
export class Compilation {
  /** Bytes compiled by one call of advance(), about. */
  static readonly STEP_BYTES = DuePieces.BYTES;
  readonly #work: Generator<undefined, Compiled, undefined>;
  #result: Compiled | undefined;

  /**
   * @param source the bytes of the file
   * @param path for messages: the file's name
   * @param name the same in the file system's bytes
   */
  constructor(source: Uint8Array, path: string, name: Uint8Array = Buffer.from(path)) {
    this.#work = compiling(source, path, name);
  }

  /** What came of it; undefined before its end. */
  get result(): Compiled | undefined {
    return this.#result;
  }

  /** Goes on for a piece of the text. */
  advance(): Compiled | undefined {
    if (this.#result === undefined) this.#result = this.#work.next().value;
    return this.#result;
  }
}

function* compiling(
  source: Uint8Array,
  path: string,
  name: Uint8Array,
): Generator<undefined, Compiled, undefined> {
  try {
    const input = new DuePieces(luaText(source));
    const L = lauxlib.luaL_newstate();
    L.l_G.host = new Compiling();
    lua.lua_atnativeerror(L, nativeErrorHandler);
    const steps = parse(L, input, new Uint8Array(Buffer.concat([Buffer.from('@'), name])));
    for (;;) {
      const { value: status, done } = steps.next();
      if (done) {
        if (status === lua.LUA_OK) break;
        const message = lua.lua_tostring(L, -1);
        return { problem: message === null ? `${path}: cannot be compiled` : latin1Of(message) };
      }
      input.due = false;
      yield;
    }
    const { p: proto } = lua.lua_topointer(L, -1) as LClosure;
    const hash = createHash('sha256').update(source).digest('hex').slice(0, 12);
    return { script: new Script(proto, path, hash) };
  } catch (error) {
    return { problem: `${path}: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/**
 * Compiles Lua source in one go.
 *
 * @param source the bytes of the file
 * @param path for messages: the file's name
 * @throws ScriptError `file:line: message`, as latin1 text
 */
export function compile(source: Uint8Array, path: string): Script {
  const { script, problem } = finish(new Compilation(source, path));
  if (!script) throw new ScriptError(problem);
  return script;
}

function finish(compilation: Compilation): Compiled {
  for (;;) {
    const result = compilation.advance();
    if (result !== undefined) return result;
  }
}
