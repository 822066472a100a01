/**
 * The functions of the table `smtp` that change the envelope or the fate of the message in progress; api.ts describes
 * them. What is not exactly one address, and a call outside a message, is a Lua error.
 */
import type { LuaState } from 'fengari';
import { latin1Of, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { readArray, readLatin1 } from '../../lua/engine/values.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import { complain, edit, editsOf, isPostfix } from '../../message/edit-link.ts';
import type { Edits } from '../../message/edits.ts';
import { MAX_ADDRESS_BYTES, pathOf } from '../../message/mailbox.ts';
import { SMFIF } from '../../milter/constants.ts';
import { type EnvelopeCommand, joinParameters, MAX_PARAMS_BYTES } from './esmtp-parameters.ts';
import { sendmailComplaint } from './sendmail-address.ts';

/** Postfix keeps 100 bytes. */
const MAX_REASON_BYTES = 500;

/** smtp.add_rcpt(addr[, params]) */
function addRcpt(L: LuaState): number {
  const edits = editsOf(L);
  const path = checkNewPath(L, 1);
  if (path === '<>') complain(L, 1, 'empty address');
  const params = optParams(L, 2, 'RCPT');
  const action = params === undefined ? SMFIF.ADDRCPT : SMFIF.ADDRCPT_PAR;
  return edit(L, action, () => edits.addRecipient(path, params));
}

/** smtp.del_rcpt(addr) */
function delRcpt(L: LuaState): number {
  const edits = editsOf(L);
  const text = checkAddress(L, 1);
  if (!edits.hasPath(text) && checkPath(L, 1) === '<>') complain(L, 1, 'empty address');
  return runSteps(L, deleteRecipient(L, edits, text));
}

function* deleteRecipient(L: LuaState, edits: Edits, text: string): Steps {
  const plan = edits.planDeletion(text);
  for (;;) {
    const { value, done } = plan.next();
    if (done) return edit(L, SMFIF.DELRCPT, () => edits.deleteRecipient(value));
    hostOf(L).charge(L, value);
    yield 'pause';
  }
}

/** smtp.set_sender(addr[, params]) */
function setSender(L: LuaState): number {
  const edits = editsOf(L);
  const path = checkNewPath(L, 1);
  const params = optParams(L, 2, 'MAIL');
  return edit(L, SMFIF.CHGFROM, () => edits.setSender(path, params));
}

/** smtp.quarantine(reason) */
function quarantine(L: LuaState): number {
  const edits = editsOf(L);
  const given = latin1Of(lauxlib.luaL_checkstring(L, 1).subarray(0, MAX_REASON_BYTES));
  const reason = given.replace(/[^ -~\x80-\xff]/g, ' ').trim();
  if (reason === '') complain(L, 1, 'empty reason');
  return edit(L, SMFIF.QUARANTINE, () => edits.quarantine(reason));
}

/** By their names in the table `smtp`. */
export const ACTIONS = { add_rcpt: addRcpt, del_rcpt: delRcpt, set_sender: setSender, quarantine } as const;

/** Text of an address; of one that is too long, so much that this can be seen. */
function checkAddress(L: LuaState, arg: number): string {
  return latin1Of(lauxlib.luaL_checkstring(L, arg).subarray(0, MAX_ADDRESS_BYTES + 3));
}

function checkPath(L: LuaState, arg: number): string {
  const result = pathOf(checkAddress(L, arg));
  return 'complaint' in result ? complain(L, arg, result.complaint) : result.path;
}

/** An address that the MTA is to take into the envelope. */
function checkNewPath(L: LuaState, arg: number): string {
  const path = checkPath(L, arg);
  const complaint = isPostfix(L) ? undefined : sendmailComplaint(path);
  return complaint === undefined ? path : complain(L, arg, complaint);
}

function optParams(L: LuaState, arg: number, command: EnvelopeCommand): string | undefined {
  if (lua.lua_isnoneornil(L, arg)) return undefined;
  const text = readLatin1(L, arg, MAX_PARAMS_BYTES + 1);
  const list = text === undefined ? readArray(L, arg, MAX_PARAMS_BYTES, MAX_PARAMS_BYTES) : [text];
  if (list === undefined) {
    return complain(
      L,
      arg,
      `ESMTP parameters are a string or an array of strings, of at most ${MAX_PARAMS_BYTES} bytes`,
    );
  }
  const result = joinParameters(command, list);
  return 'complaint' in result ? complain(L, arg, result.complaint) : result.params;
}
