/**
 * The global table `header`: the headers of the message in progress, with the edits the script has made to them. api.ts
 * describes the functions; names and arguments of add, insert, modify, delete and find are those of smtpe.
 */
import type { LuaState } from 'fengari';
import { ascii, latin1Of, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { pushArray, pushLatin1, readLatin1 } from '../../lua/engine/values.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import { complain, edit, editsOf } from '../../message/edit-link.ts';
import { type Encoding, encodeHeader } from '../../message/header-encoding.ts';
import {
  type Complaint,
  draftOf,
  draftOfLine,
  ENOUGH_OF_LINE,
  type HeaderField,
  nameComplaint,
  withShortLines,
} from '../../message/header-syntax.ts';
import { decodeHeader, parseMailboxes } from '../../message/header-text.ts';
import type { MessageHeaders } from '../../message/message-headers.ts';
import { SMFIF } from '../../milter/constants.ts';
import type { FunctionsOf } from '../module.ts';
import type { headerApi } from './api.ts';

/** Work in steps of Host.charge() for each byte of a value that is decoded or parsed. */
const STEPS_PER_BYTE = 50;
/** The same for each mailbox that is found. */
const STEPS_PER_MAILBOX = 500;

/** header.add(line[, options]) or header.add(name, value[, options]) */
function add(L: LuaState): number {
  const { headers } = editsOf(L);
  const isLine = lua.lua_isnone(L, 2) || lua.lua_istable(L, 2);
  const draft = isLine ? checkLine(L, 2) : checkField(L, 1, 2, 3);
  return written(L, draft, (field) => edit(L, SMFIF.ADDHDRS, () => headers.add(field)));
}

/** header.insert(line, index[, options]) */
function insert(L: LuaState): number {
  const { headers } = editsOf(L);
  const draft = checkLine(L, 3);
  const index = lauxlib.luaL_checkinteger(L, 2);
  lauxlib.luaL_argcheck(L, index >= 0, 2, ascii('index below 0'));
  return written(L, draft, (field) => edit(L, SMFIF.ADDHDRS, () => headers.insert(field, index)));
}

/** header.modify(name, n, value[, options]) */
function modify(L: LuaState): number {
  const { headers } = editsOf(L);
  const name = checkName(L, 1);
  const n = checkOccurrence(L, 2);
  if (lua.lua_isnil(L, 3)) return edit(L, SMFIF.CHGHDRS, () => headers.delete(name, n));
  const draft = checkField(L, 1, 3, 4);
  return written(L, draft, (field) =>
    edit(L, actionsToChange(headers, name, n), () => headers.modify(field, n)),
  );
}

/** header.delete(name[, n]) */
function remove(L: LuaState): number {
  const { headers } = editsOf(L);
  const name = checkName(L, 1);
  const n = lua.lua_isnoneornil(L, 2) ? undefined : checkOccurrence(L, 2);
  return edit(L, SMFIF.CHGHDRS, () => headers.delete(name, n));
}

/** header.set(name, value[, options]) */
function set(L: LuaState): number {
  const { headers } = editsOf(L);
  const draft = checkField(L, 1, 2, 3);
  return written(L, draft, (field) =>
    edit(L, actionsToChange(headers, field.name, 1), () => headers.set(field)),
  );
}

/** header.encode(text[, name]) */
function encode(L: LuaState): number {
  const name = lua.lua_isnoneornil(L, 2) ? 'Subject' : checkName(L, 2);
  const field = checked(L, 1, draftOf(name, charged(L, checkText(L, 1))));
  return written(L, { arg: 1, field, encoding: { utf8: false, line: false } }, ({ value }) => {
    pushLatin1(L, value.slice(1).replaceAll('\n', '\r\n'));
    return 1;
  });
}

/** header.find(name[, n]) */
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

/** header.get(name[, n]) */
function get(L: LuaState): number {
  const headers = headersFor(L);
  const name = checkName(L, 1);
  const found = headers.find(name, optOccurrence(L, 2));
  if (found) return runSteps(L, pushDecoded(L, name, found.value));
  lua.lua_pushnil(L);
  return 1;
}

function* pushDecoded(L: LuaState, name: string, value: string): Steps {
  pushLatin1(L, yield* decodeHeader(name, charged(L, value)));
  return 1;
}

/** header.all(name) */
function all(L: LuaState): number {
  const headers = headersFor(L);
  const name = checkName(L, 1);
  return runSteps(L, pushAll(L, name, headers.values(name)));
}

function* pushAll(L: LuaState, name: string, values: readonly string[]): Steps {
  const texts: string[] = [];
  for (const value of values) {
    texts.push(yield* decodeHeader(name, charged(L, value)));
    yield 'pause';
  }
  pushArray(L, texts);
  return 1;
}

/** header.addr(name) */
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
        lua.lua_createtable(L, 0, 5);
        for (const [field, text] of Object.entries(mailbox)) {
          if (typeof text === 'boolean') lua.lua_pushboolean(L, text);
          else pushLatin1(L, text);
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

export const openHeader = (): FunctionsOf<typeof headerApi> => ({
  add,
  insert,
  modify,
  delete: remove,
  set,
  encode,
  find,
  get,
  all,
  addr,
});

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

/** Of a text that is longer than any header, so much that this can be seen. */
function checkText(L: LuaState, arg: number): string {
  const bytes = lauxlib.luaL_checkstring(L, arg).subarray(0, ENOUGH_OF_LINE);
  hostOf(L).charge(L, bytes.length);
  return latin1Of(bytes);
}

function checkName(L: LuaState, arg: number): string {
  const name = checkText(L, arg);
  const complaint = nameComplaint(name);
  return complaint === undefined ? name : complain(L, arg, complaint);
}

/** A header that is to be written. */
interface Draft {
  /** Argument that an error is about. */
  readonly arg: number;
  readonly field: HeaderField;
  /** Undefined for what is written byte for byte. */
  readonly encoding: Encoding | undefined;
}

function checkField(L: LuaState, nameArg: number, valueArg: number, optionsArg: number): Draft {
  const name = checkName(L, nameArg);
  const field = checked(L, valueArg, draftOf(name, charged(L, checkText(L, valueArg))));
  return { arg: valueArg, field, encoding: encodingOf(L, optionsArg, false) };
}

function checkLine(L: LuaState, optionsArg: number): Draft {
  const field = checked(L, 1, draftOfLine(charged(L, checkText(L, 1))));
  return { arg: 1, field, encoding: encodingOf(L, optionsArg, true) };
}

/** As the options say, a table or none. */
function encodingOf(L: LuaState, arg: number, line: boolean): Encoding | undefined {
  let raw = false;
  if (!lua.lua_isnoneornil(L, arg)) {
    lauxlib.luaL_checktype(L, arg, lua.LUA_TTABLE);
    for (lua.lua_pushnil(L); lua.lua_next(L, arg) !== 0; lua.lua_pop(L, 1)) {
      if (readLatin1(L, -2) !== 'raw') complain(L, arg, 'the only option is raw');
      raw = lua.lua_toboolean(L, -1);
    }
  }
  return raw ? undefined : { utf8: editsOf(L).utf8, line };
}

/** Encodes and folds the header, in slices, and gives it to `use`, which pushes the results of the Lua function. */
function written(L: LuaState, draft: Draft, use: (field: HeaderField) => number): number {
  return runSteps(L, write(L, draft, use));
}

function* write(L: LuaState, { arg, field, encoding }: Draft, use: (field: HeaderField) => number): Steps {
  const { name, value } = field;
  const encoded = encoding ? yield* encodeHeader(name, value, encoding) : value;
  return use(checked(L, arg, withShortLines({ name, value: encoded }, encoding !== undefined)));
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
