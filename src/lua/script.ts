/**
 * A policy script compiled once and shared by all sessions, and the file it comes from, read again when it changed.
 */
import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { LClosure, LuaState, LuaString, Proto, TString } from 'fengari';
import { type Content, EditedFile } from './edited-file.ts';
import { ascii, internals, latin1Of, lauxlib, lua, nativeErrorHandler } from './engine.ts';
import { type LuaInput, Pieces, parse } from './parsing.ts';

export class Script {
  /** Nothing in it changes after compiling, so any number of states may run it. */
  readonly proto: Proto;
  /** File name or other name of the source. */
  readonly path: string;
  /** First 12 hexadecimal digits of the source's SHA-256. */
  readonly hash: string;
  #names: ReadonlySet<string> | undefined;
  /** By their instructions. */
  #functions: ReadonlyMap<readonly unknown[], Proto> | undefined;

  constructor(proto: Proto, path: string, hash: string) {
    this.proto = proto;
    this.path = path;
    this.hash = hash;
  }

  /** All strings that stand in the source, as field names or literals, in latin1. */
  names(): ReadonlySet<string> {
    if (this.#names === undefined) {
      const names = new Set<string>();
      collectStrings(this.proto, names);
      this.#names = names;
    }
    return this.#names;
  }

  /**
   * Finds out, when it is called, `file:line` that the function which a thread began with has returned from; a function
   * called in a `return` statement has taken its place. '' when that one is not of this file.
   */
  returnPosition(thread: LuaState): () => string {
    const frame = thread.outermost;
    if (frame?.l_code === undefined || frame.l_code === null) return () => '';
    const { l_code, l_savedpc } = frame;
    return () => this.#position(l_code, l_savedpc - 1);
  }

  #position(code: readonly unknown[], index: number): string {
    this.#functions ??= new Map(functionsIn(this.proto).map((proto) => [proto.code, proto]));
    const line = this.#functions.get(code)?.lineinfo[index];
    return line === undefined ? '' : `${this.path}:${line}`;
  }

  /** Pushes the main chunk as a function with L's own globals. */
  push(L: LuaState): void {
    const { lobject } = internals;
    const closure = new lobject.LClosure(L, this.proto.upvalues.length);
    closure.p = this.proto;
    const globals = internals.ltable.luaH_getint(L.l_G.l_registry.value, lua.LUA_RIDX_GLOBALS);
    // A main chunk has one upvalue, _ENV.
    closure.upvals[0] = new lobject.TValue(globals.type, globals.value);
    lua.lua_checkstack(L, 1);
    L.stack[L.top++] = new lobject.TValue(internals.tags.LUA_TLCL, closure);
  }
}

function functionsIn(proto: Proto): Proto[] {
  return [proto, ...proto.p.flatMap(functionsIn)];
}

function collectStrings(proto: Proto, into: Set<string>): void {
  for (const { type, value } of proto.k) {
    if ((type & 0x0f) === lua.LUA_TSTRING) into.add(latin1Of((value as TString).realstring));
  }
  for (const inner of proto.p) collectStrings(inner, into);
}

export class ScriptError extends Error {
  override name = 'ScriptError';
}

const ESCAPE = 0x1b; // First byte of a precompiled chunk.
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

/** Longest policy script, in bytes. */
const MAX_BYTES = 16 * 1024 * 1024;

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

/** Why there is no script; the same object as long as the file stays as it is. */
export interface ScriptFailure {
  /** `file:line: message`, or what the system said of the file. Latin1 text. */
  readonly message: string;
  readonly version: string;
}

export type CurrentScript =
  | { readonly script: Script; readonly failure?: undefined }
  | { readonly script?: undefined; readonly failure: ScriptFailure };

/** How long a script is compiled before others have their turn, in milliseconds. */
const SLICE_MS = 5;

/** A script file that may be edited at any time. */
export class ScriptFile {
  readonly path: string;
  readonly #file: EditedFile;
  #content: Content | undefined;
  /** Of the content; undefined when there is no text. */
  #compilation: Compilation | undefined;
  /** What the content is; undefined while it is being compiled. */
  #current: CurrentScript | undefined;
  #awaited: Promise<CurrentScript> | undefined;

  constructor(path: string) {
    this.path = path;
    this.#file = new EditedFile(path, MAX_BYTES);
  }

  /** Of the file as it was last found: another text for each edit. */
  get version(): string {
    return this.#content?.version ?? '';
  }

  /** The bytes that were last read; undefined when the file cannot be read. */
  get source(): Uint8Array | undefined {
    return this.#content?.bytes;
  }

  /**
   * The script as the file is now: compiled when the file is new or has changed, else the same object as before. Costs
   * one stat.
   */
  current(): CurrentScript {
    this.#look();
    for (;;) {
      const current = this.#compile(SLICE_MS);
      if (current !== undefined) return current;
    }
  }

  /** The same; a promise where compiling takes longer than a few milliseconds: others have their turn meanwhile. */
  latest(): CurrentScript | Promise<CurrentScript> {
    this.#look();
    if (this.#current === undefined && this.#awaited !== undefined) return this.#awaited;
    const current = this.#compile(SLICE_MS);
    if (current !== undefined) return current;
    this.#awaited = this.#compileInTurns();
    return this.#awaited;
  }

  #look(): void {
    const content = this.#file.content();
    if (content === this.#content) return;
    this.#content = content;
    this.#current = undefined;
    this.#awaited = undefined;
    if (content.bytes !== undefined) {
      this.#compilation = new Compilation(content.bytes, this.path);
      return;
    }
    const message = `cannot read ${this.path}: ${content.problem.reason}`;
    this.#compilation = undefined;
    this.#current = { failure: { message, version: message } };
  }

  /** Compiles for so long at most; undefined when more is to be done. */
  #compile(ms: number): CurrentScript | undefined {
    const end = performance.now() + ms;
    while (this.#current === undefined) {
      const result = this.#compilation?.advance();
      if (result?.script) this.#current = result;
      else if (result) this.#current = { failure: { message: result.problem, version: this.version } };
      else if (performance.now() > end) break;
    }
    return this.#current;
  }

  async #compileInTurns(): Promise<CurrentScript> {
    for (;;) {
      await setImmediate();
      const current = this.#compile(SLICE_MS);
      if (current !== undefined) return current;
    }
  }
}
