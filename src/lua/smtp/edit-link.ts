/**
 * How the edit functions, which all sessions share, find the message of the session that calls them.
 */
import type { LuaState } from 'fengari';
import { SMFIF } from '../../milter/constants.ts';
import { bytesOf, lauxlib, lua } from '../engine.ts';
import { type Host, hostOf, PerState } from '../host.ts';
import type { Edits } from './edits.ts';

/** The session behind a Lua state. */
export interface EditLink {
  /** Of the message in progress; undefined between two messages. */
  edits(): Edits | undefined;
  /** SMFIF_ bits. */
  grantedActions(): number;
}

const links = new PerState<EditLink>();

/** Lets the edit functions of a Lua state reach its session; without it they find no message. */
export function bindSession(host: Host, link: EditLink): void {
  links.set(host, link);
}

/** The edits of the message in progress. Raises a Lua error when there is none. */
export function editsOf(L: LuaState): Edits {
  const edits = links.get(hostOf(L))?.edits();
  return edits ?? lauxlib.luaL_error(L, NO_MESSAGE);
}

const NO_MESSAGE = bytesOf(
  'no message: only callbacks from smtp.do_mail to smtp.rset can look at one or change it',
);

const DOING: readonly (readonly [bit: number, what: string])[] = [
  [SMFIF.ADDHDRS, 'add headers'],
  [SMFIF.CHGHDRS, 'change headers'],
  [SMFIF.CHGBODY, 'replace the body'],
  [SMFIF.ADDRCPT, 'add recipients'],
  [SMFIF.ADDRCPT_PAR, 'add recipients with parameters'],
  [SMFIF.DELRCPT, 'delete recipients'],
  [SMFIF.CHGFROM, 'change the sender'],
  [SMFIF.QUARANTINE, 'quarantine messages'],
];

/**
 * Makes an edit if the MTA has granted all that it takes, and pushes the results of the Lua function.
 *
 * @param actions SMFIF_ bits
 * @returns the number of results: `false` when `make` returns that, else `true`; `nil, "refused: ..."` where an action is
 * not granted
 */
export function edit(L: LuaState, actions: number, make: () => unknown): number {
  const missing = actions & ~(links.get(hostOf(L))?.grantedActions() ?? 0);
  const refused = DOING.find(([bit]) => (missing & bit) !== 0);
  if (refused) {
    lua.lua_pushnil(L);
    lua.lua_pushstring(L, bytesOf(`refused: the MTA has not agreed to let this filter ${refused[1]}`));
    return 2;
  }
  lua.lua_pushboolean(L, make() !== false);
  return 1;
}

/** Raises Lua's "bad argument" error, in which the function is named too. */
export function complain(L: LuaState, arg: number, complaint: string): never {
  return lauxlib.luaL_argerror(L, arg, bytesOf(complaint));
}
