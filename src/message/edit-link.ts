/**
 * How the edit functions, which all sessions share, find the message of the session that calls them.
 */
import type { LuaState } from 'fengari';
import { bytesOf, lauxlib, lua } from '../lua/engine/engine.ts';
import { type Host, hostOf, PerState } from '../lua/engine/host.ts';
import { SMFIF } from '../milter/constants.ts';
import { firstMissing } from '../milter/modifications.ts';
import type { Edits } from './edits.ts';

/** The session behind a Lua state. */
export interface EditLink {
  /** Of the message in progress; undefined between two messages. */
  edits(): Edits | undefined;
  /** SMFIF_ bits. */
  grantedActions(): number;
  /** Whether the MTA is known to be Postfix: it names itself in a macro, unless it was told not to. */
  isPostfix(): boolean;
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

/** The values of all headers of a name as they came; none where no message is in progress, or before they have come. */
export function arrivedValues(L: LuaState, name: string): string[] {
  const headers = links.get(hostOf(L))?.edits()?.headers.arrived() ?? [];
  return headers.filter((each) => each.name.toLowerCase() === name.toLowerCase()).map(({ value }) => value);
}

/** Whether the MTA of the session is known to be Postfix. */
export function isPostfix(L: LuaState): boolean {
  return links.get(hostOf(L))?.isPostfix() ?? false;
}

const NO_MESSAGE = bytesOf(
  'no message: only callbacks from smtp.do_mail to smtp.rset can look at one or change it',
);

const OF_HEADERS = SMFIF.ADDHDRS | SMFIF.CHGHDRS;
/** An edit goes through all headers, in steps of Host.charge(). */
const STEPS_PER_HEADER = 10;

/**
 * Makes an edit if the MTA has granted all that it takes, and pushes the results of the Lua function.
 *
 * @param actions SMFIF_ bits
 * @returns the number of results: `false` when `make` returns that, else `true`; `nil, "refused: ..."` where an action is
 * not granted
 */
export function edit(L: LuaState, actions: number, make: () => unknown): number {
  const host = hostOf(L);
  const link = links.get(host);
  if ((actions & OF_HEADERS) !== 0) host.charge(L, (link?.edits()?.headers.length ?? 0) * STEPS_PER_HEADER);
  const missing = actions & ~(link?.grantedActions() ?? 0);
  const refused = firstMissing(missing);
  if (refused !== undefined) {
    lua.lua_pushnil(L);
    lua.lua_pushstring(L, bytesOf(`refused: the MTA has not agreed to let this filter ${refused}`));
    return 2;
  }
  host.noteKept(bytesOfArguments(L));
  lua.lua_pushboolean(L, link?.edits()?.make(make) ?? false);
  return 1;
}

/** An edit keeps about what it is given. */
function bytesOfArguments(L: LuaState): number {
  let bytes = 0;
  for (let arg = lua.lua_gettop(L); arg > 0; arg--) {
    if (lua.lua_type(L, arg) === lua.LUA_TSTRING) bytes += lua.lua_rawlen(L, arg);
  }
  return bytes;
}

/** Raises Lua's "bad argument" error, in which the function is named too. */
export function complain(L: LuaState, arg: number, complaint: string): never {
  return lauxlib.luaL_argerror(L, arg, bytesOf(complaint));
}
