/**
 * Reading from a file in the formats of `file:read` and `io.lines`: "n", "l", "L", "a" and a count of bytes.
 */
import type { LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../engine.ts';
import { argumentError, checkInteger } from './arguments.ts';
import { pushFailure } from './errno.ts';
import type { Stream } from './stream.ts';

/** Longest numeral that "n" takes (L_MAXLENNUM of liolib.c). */
const MAX_NUMERAL = 200;

/**
 * Reads by the formats at stack index `first` and above, or one line when there are none, and pushes the results; the
 * last one is nil when the file ended. Returns their number.
 */
export function readFormats(L: LuaState, stream: Stream, first: number): number {
  const count = lua.lua_gettop(L) - first + 1;
  try {
    if (count <= 0) {
      pushOrNil(L, stream.readLine(L, false));
      return 1;
    }
    lauxlib.luaL_checkstack(L, count + 20, ascii('too many arguments'));
    let done = 0;
    for (let success = true; done < count && success; done++) {
      success = readFormat(L, stream, first + done);
      if (!success) lua.lua_pushnil(L);
    }
    return done;
  } catch (error) {
    return pushFailure(L, error);
  }
}

/** Pushes one result; false, with nothing pushed, when the file ended first. */
function readFormat(L: LuaState, stream: Stream, arg: number): boolean {
  if (lua.lua_type(L, arg) === lua.LUA_TNUMBER) {
    const wanted = checkInteger(L, arg);
    if (wanted !== 0) return pushFound(L, stream.readBytes(L, wanted < 0 ? Number.MAX_SAFE_INTEGER : wanted));
    if (stream.peek(L) < 0) return false;
    lua.lua_pushstring(L, ascii(''));
    return true;
  }
  const format = lauxlib.luaL_checkstring(L, arg);
  switch (format[format[0] === 0x2a ? 1 : 0]) {
    case 0x6e: // n
      return readNumeral(L, stream);
    case 0x6c: // l
      return pushFound(L, stream.readLine(L, false));
    case 0x4c: // L
      return pushFound(L, stream.readLine(L, true));
    case 0x61: // a
      lua.lua_pushstring(L, stream.readAll(L));
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
function readNumeral(L: LuaState, stream: Stream): boolean {
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
  for (let byte = stream.peek(L); byte === 32 || (byte >= 9 && byte <= 13); byte = stream.peek(L))
    stream.skip();
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
