/** The module `base64`. */
import type { LuaState } from 'fengari';
import { lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushLatin1 } from '../../lua/engine/values.ts';
import { ByteBuilder } from '../../lua/lib/budget.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import type { FunctionsOf } from '../module.ts';
import type { base64Api } from './api.ts';

/** Bytes that are handled before others get a turn: divisible by 3 and by 4. */
const PIECE = 3 * 4 * 16_384;
const STEPS_PER_PIECE = 50_000;

const bufferOf = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length);

function* encode(L: LuaState, bytes: Buffer): Steps {
  const out = new ByteBuilder(L, Math.ceil(bytes.length / 3) * 4);
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (at > 0) yield 'pause';
    const piece = bytes.subarray(at, at + PIECE);
    hostOf(L).charge(L, Math.ceil((piece.length / PIECE) * STEPS_PER_PIECE));
    out.addText(piece.toString('base64'));
  }
  out.push();
  return 1;
}

function* decode(L: LuaState, bytes: Buffer): Steps {
  const out = new ByteBuilder(L, Math.ceil(bytes.length / 4) * 3);
  let rest = '';
  let isPadded = false;
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (at > 0) yield 'pause';
    const piece = bytes.toString('latin1', at, Math.min(bytes.length, at + PIECE));
    hostOf(L).charge(L, Math.ceil((piece.length / PIECE) * STEPS_PER_PIECE));
    const letters = rest + piece.replace(/[\s=]+/g, '');
    const padding = piece.indexOf('=');
    const isWrong =
      /[^A-Za-z0-9+/_=\s-]/.test(piece) ||
      (isPadded && letters !== rest) ||
      (padding >= 0 && /[^=\s]/.test(piece.slice(padding)));
    if (isWrong) return noBase64(L);
    isPadded ||= padding >= 0;
    const whole = letters.length - (letters.length % 4);
    rest = letters.slice(whole);
    out.addBytes(Buffer.from(letters.slice(0, whole), 'base64'));
  }
  if (rest.length === 1) return noBase64(L);
  out.addBytes(Buffer.from(rest, 'base64'));
  out.push();
  return 1;
}

function noBase64(L: LuaState): number {
  lua.lua_pushnil(L);
  pushLatin1(L, 'protocol no base64');
  return 2;
}

export const openBase64 = (): FunctionsOf<typeof base64Api> => ({
  encode: (L) => runSteps(L, encode(L, bufferOf(lauxlib.luaL_checkstring(L, 1)))),
  decode: (L) => runSteps(L, decode(L, bufferOf(lauxlib.luaL_checkstring(L, 1)))),
});
