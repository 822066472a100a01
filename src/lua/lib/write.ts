/**
 * Writing to a file or the console: `file:write` and `io.write`.
 */
import type { LuaState } from 'fengari';
import { pushFailure } from '../context/errno.ts';
import { lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { formatFloat } from '../engine/number-text.ts';
import { writeConsole } from './console.ts';
import { checkHandle, checkStream, isConsole } from './file-handle.ts';
import type { Steps } from './steps.ts';

/** The bytes that argument `arg` is written as: a float without a fraction has no ".0" here, unlike in tostring. */
function writtenBytes(L: LuaState, arg: number): Uint8Array {
  if (lua.lua_type(L, arg) !== lua.LUA_TNUMBER || lua.lua_isinteger(L, arg)) {
    return lauxlib.luaL_checkstring(L, arg);
  }
  return Buffer.from(formatFloat(lua.lua_tonumber(L, arg), 'g', 14, false), 'latin1');
}

/** Bytes handed to a file between two pauses. */
const LONGEST_WRITE = 256 * 1024;
/** Writing an argument, in steps of Host.charge(). */
const STEPS_PER_WRITE = 20;

/** Writes the arguments from `first` on to the file whose handle is on top of the stack, and returns it or an error. */
export function* writeArguments(L: LuaState, first: number): Steps {
  const last = lua.lua_gettop(L) - 1;
  const stream = checkStream(L, -1);
  const toConsole = isConsole(checkHandle(L, -1));
  const host = hostOf(L);
  try {
    for (let arg = first; arg <= last; arg++) {
      const bytes = writtenBytes(L, arg);
      if (toConsole) {
        yield* writeConsole(L, bytes);
        continue;
      }
      host.writtenBytes += bytes.length;
      if (host.writtenBytes > host.limits.writtenBytes) {
        host.abort(L, `wrote more than ${host.limits.writtenBytes} bytes to files`, 'written');
      }
      for (let start = 0; start < bytes.length; start += LONGEST_WRITE) {
        const piece = bytes.subarray(start, start + LONGEST_WRITE);
        stream.write(piece);
        host.charge(L, STEPS_PER_WRITE + (piece.length >> 3));
        yield 'pause';
      }
    }
    return 1;
  } catch (error) {
    return pushFailure(L, error);
  }
}
