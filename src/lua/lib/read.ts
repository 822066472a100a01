/**
 * Reading from a file in the formats of `file:read` and `io.lines`: "n", "l", "L", "a" and a count of bytes.
 */
import type { LuaState } from 'fengari';
import { pushFailure } from '../context/errno.ts';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, checkInteger } from './arguments.ts';
import type { Request, Steps } from './steps.ts';
import type { Stream } from './stream.ts';

/** Longest numeral that "n" takes (L_MAXLENNUM of liolib.c). */
const MAX_NUMERAL = 200;

/** Reading from the device, and what is done with a byte and with a format, in steps of Host.charge(). */
const STEPS_PER_FILL = 5000;
const STEPS_PER_BYTE = 1;
const STEPS_PER_FORMAT = 20;
/** Formats, and blanks before a numeral, between two pauses. */
const BATCH = 512;

/**
 * Reads by the formats at stack index `first` and above, or one line when there are none, and pushes the results; the
 * last one is nil when the file ended. Returns their number. Others may have their turn in between.
 */
export function* readFormats(L: LuaState, stream: Stream, first: number): Steps {
  const count = lua.lua_gettop(L) - first + 1;
  try {
    if (count <= 0) {
      pushOrNil(L, yield* readLine(L, stream, false));
      return 1;
    }
    lauxlib.luaL_checkstack(L, count + 20, ascii('too many arguments'));
    let done = 0;
    for (let success = true; done < count && success; done++) {
      success = yield* readFormat(L, stream, first + done);
      if (!success) lua.lua_pushnil(L);
      if (done % BATCH === BATCH - 1) yield* pause(L, BATCH * STEPS_PER_FORMAT);
    }
    return done;
  } catch (error) {
    return pushFailure(L, error);
  }
}

/** Pushes the next line where it has been read from the device already; readFormats would do the same. */
export function readBufferedLine(L: LuaState, stream: Stream): boolean {
  const line = stream.readLine(false);
  if (line === undefined) return false;
  lua.lua_pushstring(L, line);
  return true;
}

function* pause(L: LuaState, steps: number): Generator<Request, void, void> {
  hostOf(L).charge(L, steps);
  yield 'pause';
}

/** Reads from the device until at least `wanted` bytes are there; false at the end of the file. */
function* fill(L: LuaState, stream: Stream, wanted: number): Generator<Request, boolean, void> {
  const before = stream.unread;
  const more = stream.fill(L, wanted);
  yield* pause(L, STEPS_PER_FILL + (stream.unread - before) * STEPS_PER_BYTE);
  return more;
}

/** Bytes of the next line, or null at the end of the file. */
function* readLine(
  L: LuaState,
  stream: Stream,
  keepEnd: boolean,
): Generator<Request, Uint8Array | null, void> {
  for (;;) {
    const line = stream.readLine(keepEnd);
    if (line !== undefined) return line;
    if (yield* fill(L, stream, stream.unread + 1)) continue;
    return stream.unread === 0 ? null : stream.take(stream.unread);
  }
}

/** Up to `count` bytes, fewer only at the end of the file. */
function* readBytes(L: LuaState, stream: Stream, count: number): Generator<Request, Uint8Array, void> {
  while (stream.unread < count && (yield* fill(L, stream, Math.min(count, stream.unread + 1))));
  return stream.take(count);
}

/** Pushes one result; false, with nothing pushed, when the file ended first. */
function* readFormat(L: LuaState, stream: Stream, arg: number): Generator<Request, boolean, void> {
  if (lua.lua_type(L, arg) === lua.LUA_TNUMBER) {
    const wanted = checkInteger(L, arg);
    if (wanted === 0) {
      if (stream.peek(L) < 0) return false;
      lua.lua_pushstring(L, ascii(''));
      return true;
    }
    const bytes = yield* readBytes(L, stream, wanted < 0 ? Number.MAX_SAFE_INTEGER : wanted);
    return pushFound(L, bytes.length === 0 ? null : bytes);
  }
  const format = lauxlib.luaL_checkstring(L, arg);
  switch (format[format[0] === 0x2a ? 1 : 0]) {
    case 0x6e: // n
      return yield* readNumeral(L, stream);
    case 0x6c: // l
      return pushFound(L, yield* readLine(L, stream, false));
    case 0x4c: // L
      return pushFound(L, yield* readLine(L, stream, true));
    case 0x61: // a
      lua.lua_pushstring(L, yield* readBytes(L, stream, Number.MAX_SAFE_INTEGER));
      return true;
    default:
      return argumentError(L, arg, 'invalid format');
  }
}

function pushFound(L: LuaState, bytes: Uint8Array | null): boolean {
  if (bytes === null) return false;
  lua.lua_pushstring(L, bytes);
  return true;
}

function pushOrNil(L: LuaState, bytes: Uint8Array | null): void {
  if (!pushFound(L, bytes)) lua.lua_pushnil(L);
}

/** Takes the longest prefix that looks like a numeral (l_read_number of liolib.c) and pushes its value. */
function* readNumeral(L: LuaState, stream: Stream): Generator<Request, boolean, void> {
  let text = '';
  const accept = (set: string): boolean => {
    const byte = stream.peek(L);
    if (byte < 0 || !set.includes(String.fromCharCode(byte))) return false;
    if (text.length >= MAX_NUMERAL) {
      text = '!'; // No numeral: the result is nil, as in C.
      return false;
    }
    text += String.fromCharCode(byte);
    stream.skip();
    return true;
  };
  const digits = (set: string): number => {
    let count = 0;
    while (accept(set)) count++;
    return count;
  };
  let blanks = 0;
  for (let byte = stream.peek(L); byte === 32 || (byte >= 9 && byte <= 13); byte = stream.peek(L)) {
    stream.skip();
    if (++blanks % BATCH === 0) yield* pause(L, BATCH);
  }
  accept('-+');
  let count = 0;
  let set = '0123456789';
  if (accept('0')) {
    if (accept('xX')) set = '0123456789abcdefABCDEF';
    else count = 1;
  }
  const hexadecimal = set.length > 10;
  count += digits(set);
  if (accept('.')) count += digits(set);
  if (count > 0 && accept(hexadecimal ? 'pP' : 'eE')) {
    accept('-+');
    digits('0123456789');
  }
  return text.length > 0 && lua.lua_stringtonumber(L, Buffer.from(text, 'latin1')) !== 0;
}
