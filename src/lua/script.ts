/**
 * A policy script compiled once and shared by all sessions, and the file it comes from, read again when it changed.
 */
import { createHash } from 'node:crypto';
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readFileSync, statSync } from 'node:fs';
import type { LClosure, LuaState, Proto, TString } from 'fengari';
import { ascii, internals, latin1Of, lauxlib, lua, nativeErrorHandler } from './engine.ts';
import { isSame, isYoung } from './file-stamp.ts';
import { errnoOf, errorText } from './lib/errno.ts';

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

/**
 * Compiles Lua source.
 *
 * @param source the bytes of the file
 * @param path for messages: the file's name
 * @throws ScriptError `file:line: message`, as latin1 text
 */
export function compile(source: Uint8Array, path: string): Script {
  let text: Uint8Array;
  try {
    text = luaText(source);
  } catch (error) {
    throw error instanceof ScriptError ? new ScriptError(`${path}: ${error.message}`) : error;
  }
  const L = lauxlib.luaL_newstate();
  L.l_G.host = new Compiling();
  lua.lua_atnativeerror(L, nativeErrorHandler);
  const chunkName = new Uint8Array(Buffer.from(`@${path}`));
  const status = lauxlib.luaL_loadbufferx(L, text, text.length, chunkName, TEXT_ONLY);
  if (status !== lua.LUA_OK) {
    const message = lua.lua_tostring(L, -1);
    throw new ScriptError(message === null ? `${path}: cannot be compiled` : latin1Of(message));
  }
  const closure = lua.lua_topointer(L, -1) as LClosure;
  return new Script(closure.p, path, createHash('sha256').update(source).digest('hex').slice(0, 12));
}

const TEXT_ONLY: Uint8Array = new Uint8Array(Buffer.from('t'));

/** Why there is no script; the same object as long as the file stays as it is. */
export interface ScriptFailure {
  /** `file:line: message`, or what the system said of the file. Latin1 text. */
  readonly message: string;
  readonly version: string;
}

export type CurrentScript =
  | { readonly script: Script; readonly failure?: undefined }
  | { readonly script?: undefined; readonly failure: ScriptFailure };

/** A script file that may be edited at any time. One that was young when it was read is read again, until it has aged. */
export class ScriptFile {
  readonly path: string;
  #version = '';
  /** What the version was made of. */
  #stats: BigIntStats | undefined;
  #young = false;
  #source: Uint8Array | undefined;
  #current: CurrentScript | undefined;
  readonly #maxBytes: number;

  /** @param maxBytes a longer file is not read */
  constructor(path: string, maxBytes = MAX_BYTES) {
    this.path = path;
    this.#maxBytes = maxBytes;
  }

  /** Of the file as it was last found: another text for each edit. */
  get version(): string {
    return this.#version;
  }

  /** The bytes that were last read; undefined when the file cannot be read. */
  get source(): Uint8Array | undefined {
    return this.#source;
  }

  /**
   * The script as the file is now: compiled when the file is new or has changed, else the same objects as before. Costs
   * one stat.
   */
  current(): CurrentScript {
    try {
      const stats = statSync(this.path, { bigint: true });
      if (stats.size > this.#maxBytes) {
        throw new ScriptError(`cannot read ${this.path}: longer than ${this.#maxBytes / 1048576} MiB`);
      }
      if (this.#current !== undefined && !this.#young && this.#stats && isSame(stats, this.#stats)) {
        return this.#current;
      }
      requireFile(stats, this.path);
      return this.#read();
    } catch (error) {
      return this.#unreadable(error);
    }
  }

  #read(): CurrentScript {
    const descriptor = openSync(this.path, constants.O_RDONLY | constants.O_NONBLOCK);
    let source: Buffer;
    let stats: BigIntStats;
    try {
      stats = fstatSync(descriptor, { bigint: true });
      source = readFileSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    const version = versionOf(stats, this.path);
    this.#stats = stats;
    this.#young = isYoung(stats);
    const same =
      this.#source !== undefined && this.#source.length === source.length && source.equals(this.#source);
    if (this.#current !== undefined && version === this.#version && same) return this.#current;
    this.#version = version;
    this.#source = source;
    this.#current = compiled(source, this.path, version);
    return this.#current;
  }

  #unreadable(error: unknown): CurrentScript {
    const reason =
      error instanceof ScriptError ? error.message : `cannot read ${this.path}: ${errorText(errnoOf(error))}`;
    if (this.#current?.failure?.message === reason) return this.#current;
    this.#version = reason;
    this.#stats = undefined;
    this.#source = undefined;
    this.#young = false;
    this.#current = { failure: { message: reason, version: reason } };
    return this.#current;
  }
}

function compiled(source: Uint8Array, path: string, version: string): CurrentScript {
  try {
    return { script: compile(source, path) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { failure: { message: error instanceof ScriptError ? message : `${path}: ${message}`, version } };
  }
}

function requireFile(stats: BigIntStats, path: string): void {
  if (!stats.isFile()) throw new ScriptError(`cannot read ${path}: not a regular file`);
}

function versionOf(stats: BigIntStats, path: string): string {
  requireFile(stats, path);
  return `${stats.dev}-${stats.ino}-${stats.size}-${stats.mtimeNs}-${stats.ctimeNs}`;
}
