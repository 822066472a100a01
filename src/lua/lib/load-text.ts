/**
 * Compiling a text for one session, in one stretch in which others have no turn: so its length is limited.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, lua } from '../engine.ts';
import { hostOf } from '../host.ts';

/** Longest text of `load`, in bytes: some 15 ms of work. */
export const LONGEST_CHUNK = 96 * 1024;
export const TOO_LONG = `longer than ${LONGEST_CHUNK / 1024} KiB`;

/** The parser is fed in pieces, each of them counted: the count hook does not see it. */
const PIECE = 4096;
/** Compiling takes about 100 ns for a byte. */
const STEPS_PER_BYTE = 10;
const TEXT = ascii('t');

/** Pushes `text` compiled to a function, or the parser's message; returns the status. `text` is no longer than LONGEST_CHUNK. */
export function loadText(L: LuaState, text: LuaString, chunkName: LuaString): number {
  let position = 0;
  const reader = (L: LuaState): LuaString | null => {
    if (position >= text.length) return null;
    const piece = text.subarray(position, position + PIECE);
    hostOf(L).chargeBounded(L, piece.length * STEPS_PER_BYTE, position === 0);
    position += PIECE;
    return piece;
  };
  return lua.lua_load(L, reader, null, chunkName.subarray(0, LONGEST_CHUNK), TEXT);
}
