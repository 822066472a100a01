/**
 * The userdata that a script holds for an open file (C's luaL_Stream), and how a library function gets at it.
 */
import type { LuaState } from 'fengari';
import { EMFILE, SystemError } from '../context/errno.ts';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { hostOf, unchanging } from '../engine/host.ts';
import { raise } from './arguments.ts';
import { Stream } from './stream.ts';

const FILE_HANDLE = lauxlib.LUA_FILEHANDLE;

/** Which files cannot be closed, and which of those is written to the log. */
export type Standard = 'input' | 'console';

/** Field of the userdata: the Stream, or null once it is closed. */
const STREAM = 'stream';
/** Field of the userdata: a Standard, absent for the files that a script opened. */
const STANDARD = 'standard';
/** Field of the userdata: closes in place of Stream.close and returns the number of results (io.popen). */
const CLOSER = 'closer';

export type Closer = (L: LuaState, stream: Stream) => number;

type Handle = Record<string, unknown>;

/** Pushes a handle of a standard file. All states made from a template share its stream, in which nothing ever changes. */
export function pushStandard(L: LuaState, stream: Stream, standard: Standard): void {
  const handle = lua.lua_newuserdata(L);
  handle[STREAM] = unchanging(stream);
  handle[STANDARD] = standard;
  lauxlib.luaL_setmetatable(L, FILE_HANDLE);
}

/**
 * Opens a stream by `open` and pushes its handle; the script's host closes it with the context if the script does not.
 * @throws SystemError EMFILE when the script has too many files open; what `open` throws.
 */
export function pushOpened(L: LuaState, open: () => Stream, closer?: Closer): void {
  const host = hostOf(L);
  if (host.openFiles.size >= host.limits.openFiles) throw new SystemError(EMFILE);
  const stream = open();
  host.openFiles.add(stream);
  const handle = lua.lua_newuserdata(L);
  handle[STREAM] = stream;
  if (closer !== undefined) handle[CLOSER] = closer;
  lauxlib.luaL_setmetatable(L, FILE_HANDLE);
}

/** The handle at `arg`, open or closed; raises Lua's type error for anything else. */
export function checkHandle(L: LuaState, arg: number): Handle {
  return lauxlib.luaL_checkudata(L, arg, FILE_HANDLE);
}

/** The handle at `index`, or null when the value is no file. */
export function handleAt(L: LuaState, index: number): Handle | null {
  return lauxlib.luaL_testudata(L, index, FILE_HANDLE);
}

export function streamOf(handle: Handle): Stream | null {
  const stream = handle[STREAM];
  return stream instanceof Stream ? stream : null;
}

export function isStandard(handle: Handle): boolean {
  return handle[STANDARD] !== undefined;
}

export function isConsole(handle: Handle): boolean {
  return handle[STANDARD] === 'console';
}

/** The open stream at `arg`; raises an error when it is closed. */
export function checkStream(L: LuaState, arg: number): Stream {
  return streamOf(checkHandle(L, arg)) ?? raise(L, 'attempt to use a closed file');
}

/** Closes the file at `arg`, which is open; returns the number of results pushed. @throws what the system call throws. */
export function closeHandle(L: LuaState, arg: number): number {
  const handle = checkHandle(L, arg);
  const stream = streamOf(handle);
  if (stream === null) return 0;
  if (isStandard(handle)) {
    lua.lua_pushnil(L);
    lua.lua_pushstring(L, ascii('cannot close standard file'));
    return 2;
  }
  handle[STREAM] = null;
  hostOf(L).openFiles.delete(stream);
  const closer = handle[CLOSER];
  if (isCloser(closer)) return closer(L, stream);
  stream.close();
  lua.lua_pushboolean(L, true);
  return 1;
}

function isCloser(value: unknown): value is Closer {
  return typeof value === 'function';
}
