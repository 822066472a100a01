/** The module `hash`: digests of bytes. */
import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import type { LuaState } from 'fengari';
import { latin1Of, lauxlib } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushLatin1 } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import type { FunctionsOf } from '../module.ts';
import type { hashApi } from './api.ts';

const ALGORITHMS = ['sha256', 'sha1', 'sha512', 'sha384', 'sha224', 'md5'];
/** Bytes that are digested before others get a turn, and what they cost in steps of Host.charge(). */
const PIECE = 1 << 20;
const STEPS_PER_PIECE = 200_000;
const STEPS_PER_CALL = 500;
const MAX_KEY = 65_536;

function checkAlgorithm(L: LuaState, arg: number): string {
  const name = latin1Of(lauxlib.luaL_checkstring(L, arg).subarray(0, 20)).toLowerCase();
  return ALGORITHMS.includes(name) ? name : argumentError(L, arg, `one of ${ALGORITHMS.join(', ')} expected`);
}

/** Pushes the digest of argument `arg`. */
function digest(L: LuaState, arg: number, start: () => Hash | Hmac): number {
  const bytes = lauxlib.luaL_checkstring(L, arg);
  hostOf(L).charge(L, STEPS_PER_CALL);
  return runSteps(L, inPieces(L, bytes, start()));
}

function* inPieces(L: LuaState, bytes: Uint8Array, hash: Hash | Hmac): Steps {
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (at > 0) yield 'pause';
    const piece = bytes.subarray(at, at + PIECE);
    hash.update(piece);
    hostOf(L).charge(L, Math.ceil((piece.length / PIECE) * STEPS_PER_PIECE));
  }
  pushLatin1(L, hash.digest('hex'));
  return 1;
}

export const openHash = (): FunctionsOf<typeof hashApi> => ({
  hex: (L) => {
    const algorithm = checkAlgorithm(L, 1);
    return digest(L, 2, () => createHash(algorithm));
  },
  hmac: (L) => {
    const algorithm = checkAlgorithm(L, 1);
    const key = lauxlib.luaL_checkstring(L, 2);
    if (key.length > MAX_KEY) return argumentError(L, 2, `key of at most ${MAX_KEY} bytes expected`);
    return digest(L, 3, () => createHmac(algorithm, key));
  },
});
