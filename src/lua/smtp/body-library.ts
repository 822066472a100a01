/** The global table `body`: the body of the message in progress. */
import type { LuaState } from 'fengari';
import { SMFIF } from '../../milter/constants.ts';
import { ascii, lauxlib, lua } from '../engine.ts';
import { edit, editsOf } from './edit-link.ts';

/**
 * body.replace(bytes): replaces the whole body, MIME structure and all; headers are left as they are. Lines end in CRLF;
 * both MTAs make CRLF of a lone LF. The last call counts.
 *
 * @returns true; nil and `refused: ...` where the MTA did not grant it at negotiation
 */
function replace(L: LuaState): number {
  const edits = editsOf(L);
  const bytes = lauxlib.luaL_checkstring(L, 1);
  // Not copied: the bytes of a Lua string never change.
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return edit(L, SMFIF.CHGBODY, () => edits.replaceBody(body));
}

/** Adds the table to the globals of a template state. */
export function openBody(L: LuaState): void {
  lua.lua_newtable(L);
  lauxlib.luaL_setfuncs(L, { replace }, 0);
  lua.lua_setglobal(L, ascii('body'));
}
