/**
 * The global table `header`: the headers of the message in progress, with the edits the script has made to them.
 *
 * Strings are bytes in and out. Edits are sent to the MTA at the end of the message, when the last callback lets it
 * through. They return true, or nil and `refused: ...` where the MTA did not grant the action at negotiation; what would
 * be no header, and a call outside a message, is a Lua error. `n` counts the headers of one name from 1; names have no
 * case. Headers of the message are known from smtp.do_headers on: before, edits are kept, and only the script's own
 * headers are found.
 *
 * Names and arguments of add, insert, modify, delete and find are those of smtpe.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { SMFIF } from '../../milter/constants.ts';
import { ascii, latin1Of, lauxlib, lua } from '../engine.ts';
import { hostOf } from '../host.ts';
import { runSteps, type Steps } from '../lib/steps.ts';
import { pushArray, pushLatin1 } from '../values.ts';
import { complain, edit, editsOf } from './edit-link.ts';
import { type Complaint, fieldOf, fieldOfLine, type HeaderField, nameComplaint } from './header-syntax.ts';
import { decodeHeader, parseMailboxes } from './header-text.ts';
import type { MessageHeaders } from './message-headers.ts';

/** Work in steps of Host.charge() for each byte of a value that is decoded or parsed. */
const STEPS_PER_BYTE = 50;
/** The same for each mailbox that is found. */
const STEPS_PER_MAILBOX = 500;

/**
 * header.add(line) or header.add(name, value): adds a header at the end. A line keeps what stands after its colon byte
 * for byte; a value gets one space in front. Sendmail puts it before the first header of the same name, if there is one.
 */
function add(L: LuaState): number {
  const { headers } = editsOf(L);
  const field = lua.lua_gettop(L) >= 2 ? checkField(L, 1, 2) : checked(L, 1, fieldOfLine(checkText(L, 1)));
  return edit(L, SMFIF.ADDHDRS, () => headers.add(field));
}

/**
 * header.insert(line, index): inserts a header line. Index 0 is above the Received header that the MTA adds, 1 is below
 * it. Greater ones count the headers of the message on Postfix and mean about the same on Sendmail.
 */
function insert(L: LuaState): number {
  const { headers } = editsOf(L);
  const field = checked(L, 1, fieldOfLine(checkText(L, 1)));
  const index = lauxlib.luaL_checkinteger(L, 2);
  lauxlib.luaL_argcheck(L, index >= 0, 2, ascii('index below 0'));
  return edit(L, SMFIF.ADDHDRS, () => headers.insert(field, index));
}

/**
 * header.modify(name, n, value): gives the n-th header of that name another value, with one space in front; nil deletes
 * it. Where there is no such header a value adds one, as both MTAs do.
 */
function modify(L: LuaState): number {
  const { headers } = editsOf(L);
  const name = checkName(L, 1);
  const n = checkOccurrence(L, 2);
  if (lua.lua_isnil(L, 3)) return edit(L, SMFIF.CHGHDRS, () => headers.delete(name, n));
  const field = checkField(L, 1, 3);
  return edit(L, actionsToChange(headers, name, n), () => headers.modify(field, n));
}

/** header.delete(name[, n]): deletes the n-th header of that name, or all. True also where there is none. */
function remove(L: LuaState): number {
  const { headers } = editsOf(L);
  const name = checkName(L, 1);
  const n = lua.lua_isnoneornil(L, 2) ? undefined : checkOccurrence(L, 2);
  return edit(L, SMFIF.CHGHDRS, () => headers.delete(name, n));
}

/**
 * header.set(name, value): leaves one header of that name, with this value: the first is changed where it stands, the
 * others are deleted; without any, one is added.
 */
function set(L: LuaState): number {
  const { headers } = editsOf(L);
  const field = checkField(L, 1, 2);
  return edit(L, actionsToChange(headers, field.name, 1), () => headers.set(field));
}

/**
 * header.find(name[, n]): place and line of the n-th header of that name (the first without n); nil when there is none.
 * The place counts all headers from 1, as the argument of smtp.do_headers does before edits; folds in the line are CRLF.
 */
function find(L: LuaState): number {
  const headers = headersFor(L);
  const name = checkName(L, 1);
  const found = headers.find(name, optOccurrence(L, 2));
  if (!found) {
    lua.lua_pushnil(L);
    return 1;
  }
  lua.lua_pushinteger(L, found.position);
  pushLatin1(L, found.line);
  return 2;
}

/**
 * header.get(name[, n]): value of the n-th header of that name (the first without n), on one line, trimmed, encoded words
 * (RFC 2047) decoded to UTF-8; nil when there is none. Other bytes above 127 are as in the message.
 */
function get(L: LuaState): number {
  const headers = headersFor(L);
  const name = checkName(L, 1);
  const found = headers.find(name, optOccurrence(L, 2));
  if (found) pushLatin1(L, decodeHeader(charged(L, found.value)));
  else lua.lua_pushnil(L);
  return 1;
}

/** header.all(name): the values of all headers of that name as header.get() gives them, an empty array without any. */
function all(L: LuaState): number {
  const headers = headersFor(L);
  return runSteps(L, pushAll(L, headers.values(checkName(L, 1))));
}

function* pushAll(L: LuaState, values: readonly string[]): Steps {
  const texts: string[] = [];
  for (const value of values) {
    texts.push(decodeHeader(charged(L, value)));
    yield 'pause';
  }
  pushArray(L, texts);
  return 1;
}

/**
 * header.addr(name): the mailboxes in all headers of that name, in order, members of groups included. Each is a table:
 * `name` (decoded as by header.get), `addr` as written, `user` and `domain` before and after its last `@`, the domain
 * in lower case. What has no address has '' there.
 */
function addr(L: LuaState): number {
  const headers = headersFor(L);
  return runSteps(L, pushMailboxes(L, headers.values(checkName(L, 1))));
}

function* pushMailboxes(L: LuaState, values: readonly string[]): Steps {
  lua.lua_newtable(L);
  let count = 0;
  for (const value of values) {
    for (const mailboxes of parseMailboxes(charged(L, value))) {
      for (const mailbox of mailboxes) {
        lua.lua_createtable(L, 0, 4);
        for (const [field, text] of Object.entries(mailbox)) {
          pushLatin1(L, text);
          lua.lua_setfield(L, -2, ascii(field));
        }
        count += 1;
        lua.lua_rawseti(L, -2, count);
        hostOf(L).charge(L, STEPS_PER_MAILBOX);
      }
      yield 'pause';
    }
  }
  return 1;
}

const FUNCTIONS: Readonly<Record<string, LuaFunction>> = {
  add,
  insert,
  modify,
  delete: remove,
  set,
  find,
  get,
  all,
  addr,
};

/** Adds the table to the globals of a template state. */
export function openHeader(L: LuaState): void {
  lua.lua_newtable(L);
  lauxlib.luaL_setfuncs(L, FUNCTIONS, 0);
  lua.lua_setglobal(L, ascii('header'));
}

/** A change to what does not exist, or is not known to, may come out as an addition. */
function actionsToChange(headers: MessageHeaders, name: string, n: number): number {
  return headers.find(name, n) ? SMFIF.CHGHDRS : SMFIF.CHGHDRS | SMFIF.ADDHDRS;
}

function headersFor(L: LuaState): MessageHeaders {
  const { headers } = editsOf(L);
  hostOf(L).charge(L, headers.length);
  return headers;
}

function charged(L: LuaState, value: string): string {
  hostOf(L).charge(L, value.length * STEPS_PER_BYTE);
  return value;
}

function checkText(L: LuaState, arg: number): string {
  const bytes = lauxlib.luaL_checkstring(L, arg);
  hostOf(L).charge(L, bytes.length);
  return latin1Of(bytes);
}

function checkName(L: LuaState, arg: number): string {
  const name = checkText(L, arg);
  const complaint = nameComplaint(name);
  return complaint === undefined ? name : complain(L, arg, complaint);
}

function checkField(L: LuaState, nameArg: number, valueArg: number): HeaderField {
  const name = checkName(L, nameArg);
  return checked(L, valueArg, fieldOf(name, checkText(L, valueArg)));
}

function checked(L: LuaState, arg: number, field: HeaderField | Complaint): HeaderField {
  return 'complaint' in field ? complain(L, arg, field.complaint) : field;
}

function checkOccurrence(L: LuaState, arg: number): number {
  const n = lauxlib.luaL_checkinteger(L, arg);
  lauxlib.luaL_argcheck(L, n >= 1, arg, ascii('headers of a name are counted from 1'));
  return n;
}

function optOccurrence(L: LuaState, arg: number): number {
  return lua.lua_isnoneornil(L, arg) ? 1 : checkOccurrence(L, arg);
}
