/**
 * The functions of the table `smtp` that change the envelope or the fate of the message in progress.
 *
 * Strings are bytes. Edits are sent to the MTA at the end of the message, when the last callback lets it through. They
 * return true, or nil and `refused: ...` where the MTA did not grant the action at negotiation. What is not exactly one
 * address, and a call outside a message, is a Lua error. Addresses may stand in angle brackets.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { SMFIF } from '../../milter/constants.ts';
import { ascii, latin1Of, lauxlib, lua } from '../engine.ts';
import { readArray, readLatin1 } from '../values.ts';
import { complain, edit, editsOf } from './edit-link.ts';
import { joinParams, pathOf } from './mailbox.ts';

/** Postfix keeps 100 bytes. */
const MAX_REASON_BYTES = 500;

/**
 * smtp.add_rcpt(addr[, params]): adds a recipient. `params` are ESMTP parameters of RCPT, as one string or an array;
 * Postfix makes use of NOTIFY and ORCPT.
 */
function addRcpt(L: LuaState): number {
  const edits = editsOf(L);
  const path = checkPath(L, 1);
  if (path === '<>') complain(L, 1, 'empty address');
  const params = optParams(L, 2);
  const action = params === undefined ? SMFIF.ADDRCPT : SMFIF.ADDRCPT_PAR;
  return edit(L, action, () => edits.addRecipient(path, params));
}

/**
 * smtp.del_rcpt(addr): takes a recipient off, however the client wrote its address (quotes, source route, case of the
 * domain); false when the message has no such recipient. A message without any is accepted and vanishes.
 */
function delRcpt(L: LuaState): number {
  const edits = editsOf(L);
  const path = checkPath(L, 1);
  if (path === '<>') complain(L, 1, 'empty address');
  return edit(L, SMFIF.DELRCPT, () => edits.deleteRecipient(path));
}

/**
 * smtp.set_sender(addr[, params]): replaces the envelope sender; '' and '<>' are the null sender. `params` are ESMTP
 * parameters of MAIL, as one string or an array; Postfix makes use of RET and ENVID. The last call counts.
 */
function setSender(L: LuaState): number {
  const edits = editsOf(L);
  const path = checkPath(L, 1);
  const params = optParams(L, 2);
  return edit(L, SMFIF.CHGFROM, () => edits.setSender(path, params));
}

/**
 * smtp.quarantine(reason): has the MTA hold the message in its queue (Postfix: hold queue; Sendmail: quarantined) under
 * this reason, in which controls become blanks. The last call counts.
 */
function quarantine(L: LuaState): number {
  const edits = editsOf(L);
  const given = latin1Of(lauxlib.luaL_checkstring(L, 1).subarray(0, MAX_REASON_BYTES));
  const reason = given.replace(/[^ -~\x80-\xff]/g, ' ').trim();
  if (reason === '') complain(L, 1, 'empty reason');
  return edit(L, SMFIF.QUARANTINE, () => edits.quarantine(reason));
}

const FUNCTIONS: Readonly<Record<string, LuaFunction>> = {
  add_rcpt: addRcpt,
  del_rcpt: delRcpt,
  set_sender: setSender,
  quarantine,
};

/** Adds the functions to the global table `smtp` of a template state: openSmtp() has run. */
export function openActions(L: LuaState): void {
  lua.lua_getglobal(L, ascii('smtp'));
  lauxlib.luaL_setfuncs(L, FUNCTIONS, 0);
  lua.lua_pop(L, 1);
}

function checkPath(L: LuaState, arg: number): string {
  const result = pathOf(latin1Of(lauxlib.luaL_checkstring(L, arg)));
  return 'complaint' in result ? complain(L, arg, result.complaint) : result.path;
}

function optParams(L: LuaState, arg: number): string | undefined {
  if (lua.lua_isnoneornil(L, arg)) return undefined;
  const text = readLatin1(L, arg);
  const list = text === undefined ? readArray(L, arg) : [text];
  if (list === undefined) return complain(L, arg, 'ESMTP parameters are a string or an array of strings');
  const result = joinParams(list);
  return 'complaint' in result ? complain(L, arg, result.complaint) : result.params;
}
