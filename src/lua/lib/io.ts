/**
 * The io library: files by synchronous system calls with a buffer, as C's stdio.
 *
 * Standard input is at its end (a milter has none); lines written to standard output and error go to the log.
 */
import type { LuaState, LuaString } from 'fengari';
import { errnoOf, failureText, pushFailure } from '../context/errno.ts';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, checkFileName, optInteger, pushInteger, pushLibrary, raise } from './arguments.ts';
import { flushConsole } from './console.ts';
import { EmptyDevice, type OpenMode, openDevice, openTemporary } from './device.ts';
import {
  checkHandle,
  checkStream,
  closeHandle,
  handleAt,
  isConsole,
  isStandard,
  pushOpened,
  pushStandard,
  streamOf,
} from './file-handle.ts';
import { io_popen } from './popen.ts';
import { readBufferedLine, readFormats } from './read.ts';
import { runSteps, type Steps } from './steps.ts';
import { type Buffering, Stream, type StreamMode } from './stream.ts';
import { writeArguments } from './write.ts';

const INPUT = ascii('_IO_input');
const OUTPUT = ascii('_IO_output');
const REGISTRY = lua.LUA_REGISTRYINDEX;
/** Most formats that io.lines and file:lines take (MAXARGLINE of liolib.c). */
const MAX_FORMATS = 250;

/** Mode text as `fopen` takes it: one of rwa, perhaps +, perhaps b. */
/** In bytes; C reads on over any number of `b`. */
const LONGEST_MODE = 100;

function parseMode(mode: Uint8Array): OpenMode | null {
  if (mode.length > LONGEST_MODE) return null;
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

/** A system call or two, in steps of Host.charge(). */
const STEPS_PER_CALL = 2000;

function pushFile(L: LuaState, name: Buffer, mode: OpenMode): void {
  hostOf(L).charge(L, STEPS_PER_CALL);
  pushOpened(L, () => new Stream(openDevice(hostOf(L), name, mode), streamMode(mode)));
}

/** Opens a file and pushes it, or raises an error. */
function pushFileOrRaise(L: LuaState, name: Buffer, mode: OpenMode): void {
  try {
    pushFile(L, name, mode);
  } catch (error) {
    raise(L, `cannot open file '${name.toString('latin1')}' (${failureText(error)})`);
  }
}

function io_open(L: LuaState): number {
  const name = checkFileName(L, 1);
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
  hostOf(L).charge(L, STEPS_PER_CALL);
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
      pushFileOrRaise(L, checkFileName(L, 1), mode);
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
  return read(L, stream, 1);
}

function file_read(L: LuaState): number {
  return read(L, checkStream(L, 1), 2);
}

/** Reads by the formats at stack index `first` and above. */
function read(L: LuaState, stream: Stream, first: number): number {
  if (lua.lua_gettop(L) < first && readBufferedLine(L, stream)) return 1;
  return runSteps(L, readFormats(L, stream, first));
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
  if (formats === 0 && readBufferedLine(L, stream)) return 1;
  return runSteps(L, nextFormats(L, stream, formats));
}

/** Reads by the formats of an iterator, which are among its upvalues; closes the file at its end where it should. */
function* nextFormats(L: LuaState, stream: Stream, formats: number): Steps {
  lauxlib.luaL_checkstack(L, formats, ascii('too many arguments'));
  for (let i = 1; i <= formats; i++) lua.lua_pushvalue(L, lua.lua_upvalueindex(3 + i));
  const results = yield* readFormats(L, stream, 2);
  if (lua.lua_toboolean(L, -results)) return results;
  if (results > 1) {
    const message = lua.lua_tostring(L, -results + 1);
    return raise(L, message === null ? '' : Buffer.from(message).toString('latin1'));
  }
  if (lua.lua_toboolean(L, lua.lua_upvalueindex(3))) {
    lua.lua_settop(L, 0);
    lua.lua_pushvalue(L, lua.lua_upvalueindex(1));
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
  if (named) pushFileOrRaise(L, checkFileName(L, 1), 'r');
  else lua.lua_getfield(L, REGISTRY, INPUT);
  lua.lua_replace(L, 1);
  checkStream(L, 1);
  pushLineIterator(L, named);
  return 1;
}

function io_write(L: LuaState): number {
  pushDefault(L, OUTPUT, 'output');
  return runSteps(L, writeArguments(L, 1));
}

function file_write(L: LuaState): number {
  checkStream(L, 1);
  lua.lua_pushvalue(L, 1);
  return runSteps(L, writeArguments(L, 2));
}

/** Flushes the file whose handle is on top of the stack. */
function flushTop(L: LuaState, stream: Stream): number {
  hostOf(L).charge(L, STEPS_PER_CALL);
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
  hostOf(L).charge(L, STEPS_PER_CALL);
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
    if (!isStandard(checkHandle(L, 1))) stream.setBuffering(buffering);
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
