/**
 * The io library: files by synchronous system calls with a buffer, as C's stdio.
 *
 * Standard input is at its end (a milter has none); lines written to standard output and error go to the log.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, lauxlib, lua } from '../engine.ts';
import { hostOf } from '../host.ts';
import { argumentError, checkCString, optInteger, pushInteger, pushLibrary, raise } from './arguments.ts';
import { flushConsole, writeConsole } from './console.ts';
import { EmptyDevice, type OpenMode, openDevice, openTemporary } from './device.ts';
import { errnoOf, errorText, pushFailure } from './errno.ts';
import {
  checkHandle,
  checkStream,
  closeHandle,
  handleAt,
  isConsole,
  pushOpened,
  pushStandard,
  streamOf,
} from './file-handle.ts';
import { formatFloat } from './number-text.ts';
import { io_popen } from './popen.ts';
import { readFormats } from './read.ts';
import { type Buffering, Stream, type StreamMode } from './stream.ts';

const INPUT = ascii('_IO_input');
const OUTPUT = ascii('_IO_output');
const REGISTRY = lua.LUA_REGISTRYINDEX;
/** Most formats that io.lines and file:lines take (MAXARGLINE of liolib.c). */
const MAX_FORMATS = 250;

/** Mode text as `fopen` takes it: one of rwa, perhaps +, perhaps b. */
function parseMode(mode: Uint8Array): OpenMode | null {
  switch (Buffer.from(mode).toString('latin1').replace(/b*$/, '')) {
    case 'r':
      return 'r';
    case 'r+':
      return 'r+';
    case 'w':
      return 'w';
    case 'w+':
      return 'w+';
    case 'a':
      return 'a';
    case 'a+':
      return 'a+';
    default:
      return null;
  }
}

function streamMode(mode: OpenMode): StreamMode {
  return {
    readable: mode === 'r' || mode.endsWith('+'),
    writable: mode !== 'r',
    append: mode.startsWith('a'),
  };
}

function pushFile(L: LuaState, name: Buffer, mode: OpenMode): void {
  pushOpened(L, () => new Stream(openDevice(name, mode), streamMode(mode)));
}

/** Opens a file and pushes it, or raises an error. */
function pushFileOrRaise(L: LuaState, name: Buffer, mode: OpenMode): void {
  try {
    pushFile(L, name, mode);
  } catch (error) {
    raise(L, `cannot open file '${name.toString('latin1')}' (${errorText(errnoOf(error))})`);
  }
}

function io_open(L: LuaState): number {
  const name = checkCString(L, 1);
  const mode = parseMode(lauxlib.luaL_optstring(L, 2, ascii('r')));
  if (mode === null) return argumentError(L, 2, 'invalid mode');
  try {
    pushFile(L, name, mode);
    return 1;
  } catch (error) {
    return pushFailure(L, error, name);
  }
}

function io_tmpfile(L: LuaState): number {
  try {
    pushOpened(L, () => new Stream(openTemporary(), streamMode('w+')));
    return 1;
  } catch (error) {
    return pushFailure(L, error);
  }
}

function io_type(L: LuaState): number {
  lauxlib.luaL_checkany(L, 1);
  const handle = handleAt(L, 1);
  if (handle === null) lua.lua_pushnil(L);
  else lua.lua_pushstring(L, ascii(streamOf(handle) === null ? 'closed file' : 'file'));
  return 1;
}

function file_tostring(L: LuaState): number {
  const handle = checkHandle(L, 1);
  if (streamOf(handle) === null) lua.lua_pushstring(L, ascii('file (closed)'));
  else lua.lua_pushfstring(L, ascii('file (%p)'), lua.lua_topointer(L, 1));
  return 1;
}

function file_close(L: LuaState): number {
  checkStream(L, 1);
  try {
    return closeHandle(L, 1);
  } catch (error) {
    return pushFailure(L, error);
  }
}

function io_close(L: LuaState): number {
  if (lua.lua_isnone(L, 1)) lua.lua_getfield(L, REGISTRY, OUTPUT);
  return file_close(L);
}

/** Lua's finalizer, which fengari never calls by itself: scripts reach it through the metatable. */
function file_gc(L: LuaState): number {
  const handle = checkHandle(L, 1);
  if (streamOf(handle) === null) return 0;
  try {
    closeHandle(L, 1);
  } catch (error) {
    errnoOf(error); // What a finalizer cannot write is lost, as in C.
  }
  return 0;
}

/** Pushes the default file `key` and returns its open stream. */
function pushDefault(L: LuaState, key: LuaString, name: string): Stream {
  lua.lua_getfield(L, REGISTRY, key);
  const handle = handleAt(L, -1);
  const stream = handle === null ? null : streamOf(handle);
  return stream ?? raise(L, `standard ${name} file is closed`);
}

function chooseDefault(L: LuaState, key: LuaString, mode: OpenMode): number {
  if (!lua.lua_isnoneornil(L, 1)) {
    if (lua.lua_isstring(L, 1)) {
      pushFileOrRaise(L, checkCString(L, 1), mode);
    } else {
      checkStream(L, 1);
      lua.lua_pushvalue(L, 1);
    }
    flushReplaced(L, key);
    lua.lua_setfield(L, REGISTRY, key);
  }
  lua.lua_getfield(L, REGISTRY, key);
  return 1;
}

/** Writes what the default file `key` still holds: in C Lua the collector closes it when nothing refers to it any more. */
function flushReplaced(L: LuaState, key: LuaString): void {
  lua.lua_getfield(L, REGISTRY, key);
  const handle = handleAt(L, -1);
  try {
    if (handle !== null) streamOf(handle)?.flush();
  } catch (error) {
    errnoOf(error); // The collector has nobody to tell either.
  }
  lua.lua_pop(L, 1);
}

function io_input(L: LuaState): number {
  return chooseDefault(L, INPUT, 'r');
}

function io_output(L: LuaState): number {
  return chooseDefault(L, OUTPUT, 'w');
}

function io_read(L: LuaState): number {
  const stream = pushDefault(L, INPUT, 'input');
  lua.lua_pop(L, 1);
  return readFormats(L, stream, 1);
}

function file_read(L: LuaState): number {
  return readFormats(L, checkStream(L, 1), 2);
}

/** Pushes an iterator that reads by the formats at index 2 and above from the file at index 1. */
function pushLineIterator(L: LuaState, closeAtEnd: boolean): void {
  const formats = lua.lua_gettop(L) - 1;
  if (formats > MAX_FORMATS) argumentError(L, MAX_FORMATS + 2, 'too many arguments');
  lua.lua_pushboolean(L, closeAtEnd);
  lua.lua_insert(L, 2);
  lua.lua_pushinteger(L, formats);
  lua.lua_insert(L, 2);
  lua.lua_pushcclosure(L, nextLine, 3 + formats);
}

function nextLine(L: LuaState): number {
  const file = lua.lua_upvalueindex(1);
  const handle = handleAt(L, file);
  const stream = handle === null ? null : streamOf(handle);
  if (stream === null) return raise(L, 'file is already closed');
  const formats = lua.lua_tointeger(L, lua.lua_upvalueindex(2));
  lua.lua_settop(L, 1);
  lauxlib.luaL_checkstack(L, formats, ascii('too many arguments'));
  for (let i = 1; i <= formats; i++) lua.lua_pushvalue(L, lua.lua_upvalueindex(3 + i));
  const results = readFormats(L, stream, 2);
  if (lua.lua_toboolean(L, -results)) return results;
  if (results > 1) {
    const message = lua.lua_tostring(L, -results + 1);
    return raise(L, message === null ? '' : Buffer.from(message).toString('latin1'));
  }
  if (lua.lua_toboolean(L, lua.lua_upvalueindex(3))) {
    lua.lua_settop(L, 0);
    lua.lua_pushvalue(L, file);
    closeHandle(L, 1);
  }
  return 0;
}

function file_lines(L: LuaState): number {
  checkStream(L, 1);
  pushLineIterator(L, false);
  return 1;
}

function io_lines(L: LuaState): number {
  if (lua.lua_isnone(L, 1)) lua.lua_pushnil(L);
  const named = !lua.lua_isnil(L, 1);
  if (named) pushFileOrRaise(L, checkCString(L, 1), 'r');
  else lua.lua_getfield(L, REGISTRY, INPUT);
  lua.lua_replace(L, 1);
  checkStream(L, 1);
  pushLineIterator(L, named);
  return 1;
}

/** The bytes that argument `arg` is written as: a float without a fraction has no ".0" here, unlike in tostring. */
function writtenBytes(L: LuaState, arg: number): Uint8Array {
  if (lua.lua_type(L, arg) !== lua.LUA_TNUMBER || lua.lua_isinteger(L, arg)) {
    return lauxlib.luaL_checkstring(L, arg);
  }
  return Buffer.from(formatFloat(lua.lua_tonumber(L, arg), 'g', 14, false), 'latin1');
}

/** Writes the arguments from `first` on to the file whose handle is on top of the stack, and returns it or an error. */
function writeArguments(L: LuaState, first: number): number {
  const last = lua.lua_gettop(L) - 1;
  const stream = checkStream(L, -1);
  const toConsole = isConsole(checkHandle(L, -1));
  const host = hostOf(L);
  try {
    for (let arg = first; arg <= last; arg++) {
      const bytes = writtenBytes(L, arg);
      if (toConsole) {
        writeConsole(L, bytes);
        continue;
      }
      host.writtenBytes += bytes.length;
      if (host.writtenBytes > host.limits.writtenBytes) {
        host.abort(L, `wrote more than ${host.limits.writtenBytes} bytes to files`, 'written');
      }
      stream.write(bytes);
    }
    return 1;
  } catch (error) {
    return pushFailure(L, error);
  }
}

function io_write(L: LuaState): number {
  pushDefault(L, OUTPUT, 'output');
  return writeArguments(L, 1);
}

function file_write(L: LuaState): number {
  checkStream(L, 1);
  lua.lua_pushvalue(L, 1);
  return writeArguments(L, 2);
}

/** Flushes the file whose handle is on top of the stack. */
function flushTop(L: LuaState, stream: Stream): number {
  try {
    if (isConsole(checkHandle(L, -1))) flushConsole(L);
    else stream.flush();
  } catch (error) {
    return pushFailure(L, error);
  }
  lua.lua_pushboolean(L, true);
  return 1;
}

function io_flush(L: LuaState): number {
  return flushTop(L, pushDefault(L, OUTPUT, 'output'));
}

function file_flush(L: LuaState): number {
  const stream = checkStream(L, 1);
  lua.lua_settop(L, 1);
  return flushTop(L, stream);
}

const WHENCE = ['set', 'cur', 'end'] as const;
const WHENCE_NAMES = WHENCE.map((name) => ascii(name));

function file_seek(L: LuaState): number {
  const stream = checkStream(L, 1);
  const whence = WHENCE[lauxlib.luaL_checkoption(L, 2, ascii('cur'), WHENCE_NAMES)] ?? 'cur';
  const offset = optInteger(L, 3, 0);
  try {
    pushInteger(L, stream.seek(whence, offset));
    return 1;
  } catch (error) {
    return pushFailure(L, error);
  }
}

const BUFFERING = ['no', 'full', 'line'] as const;
const BUFFERING_NAMES = BUFFERING.map((name) => ascii(name));

function file_setvbuf(L: LuaState): number {
  const stream = checkStream(L, 1);
  const buffering: Buffering = BUFFERING[lauxlib.luaL_checkoption(L, 2, null, BUFFERING_NAMES)] ?? 'full';
  optInteger(L, 3, 0);
  try {
    if (!isConsole(checkHandle(L, 1))) stream.setBuffering(buffering);
  } catch (error) {
    return pushFailure(L, error);
  }
  lua.lua_pushboolean(L, true);
  return 1;
}

/** Sets the handle on top of the stack as field `name` of the library, and as default file `key`. */
function setStandard(L: LuaState, name: string, key: LuaString | null): void {
  if (key !== null) {
    lua.lua_pushvalue(L, -1);
    lua.lua_setfield(L, REGISTRY, key);
  }
  lua.lua_setfield(L, -2, ascii(name));
}

export function luaopen_io(L: LuaState): number {
  pushLibrary(L, {
    close: io_close,
    flush: io_flush,
    input: io_input,
    lines: io_lines,
    open: io_open,
    output: io_output,
    popen: io_popen,
    read: io_read,
    tmpfile: io_tmpfile,
    type: io_type,
    write: io_write,
  });
  lauxlib.luaL_newmetatable(L, lauxlib.LUA_FILEHANDLE);
  lua.lua_pushvalue(L, -1);
  lua.lua_setfield(L, -2, ascii('__index'));
  const methods = {
    close: file_close,
    flush: file_flush,
    lines: file_lines,
    read: file_read,
    seek: file_seek,
    setvbuf: file_setvbuf,
    write: file_write,
    __gc: file_gc,
    __tostring: file_tostring,
  };
  lauxlib.luaL_setfuncs(L, methods, 0);
  lua.lua_pop(L, 1);
  const input = new Stream(new EmptyDevice(), streamMode('r'));
  const output = new Stream(new EmptyDevice(), streamMode('w'));
  pushStandard(L, input, 'input');
  setStandard(L, 'stdin', INPUT);
  pushStandard(L, output, 'console');
  setStandard(L, 'stdout', OUTPUT);
  pushStandard(L, output, 'console');
  setStandard(L, 'stderr', null);
  return 1;
}
