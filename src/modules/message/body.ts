/** The global table `body`: the body of the message in progress. api.ts describes its function. */
import type { LuaState } from 'fengari';
import { lauxlib } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { raise } from '../../lua/lib/arguments.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import { edit, editsOf } from '../../message/edit-link.ts';
import { SMFIF } from '../../milter/constants.ts';
import type { FunctionsOf } from '../module.ts';
import type { bodyApi } from './api.ts';

const CR = 13;
const LF = 10;
/** Bytes, or lines, that are looked at before others get a turn. */
const BYTES_AT_ONCE = 1 << 18;
const LINES_AT_ONCE = 10_000;
/** To find the end of one, in steps of Host.charge(). */
const STEPS_PER_LINE = 5;

/** body.replace(bytes). MTAs pass on a lone CR of a filter, which some servers take for the end of a message: it becomes CRLF. */
function replace(L: LuaState): number {
  if (editsOf(L).partsChanged)
    return raise(L, 'body.replace: parts of the message have been changed by mime');
  return runSteps(L, replaceBody(L, lauxlib.luaL_checkstring(L, 1)));
}

function* replaceBody(L: LuaState, bytes: Uint8Array): Steps {
  // Not copied where it can be helped: the bytes of a Lua string never change.
  const given = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const host = hostOf(L);
  host.charge(L, bytes.length >> 4);
  let lone = 0;
  let lines = 0;
  for (let at = given.indexOf(CR); at >= 0; at = given.indexOf(CR, at + 1)) {
    if (given[at + 1] !== LF) lone += 1;
    lines += 1;
    if (lines % LINES_AT_ONCE !== 0) continue;
    host.charge(L, LINES_AT_ONCE * STEPS_PER_LINE);
    yield 'pause';
  }
  let body = given;
  if (lone > 0) {
    body = Buffer.allocUnsafe(given.length + lone);
    let end = 0;
    for (let at = 0; at < given.length; at++) {
      const byte = given[at] as number;
      body[end++] = byte;
      if (byte === CR && given[at + 1] !== LF) body[end++] = LF;
      if (at % BYTES_AT_ONCE !== BYTES_AT_ONCE - 1) continue;
      host.charge(L, BYTES_AT_ONCE);
      yield 'pause';
    }
  }
  return edit(L, SMFIF.CHGBODY, () => editsOf(L).replaceBody(body));
}

export const openBody = (): FunctionsOf<typeof bodyApi> => ({ replace });
