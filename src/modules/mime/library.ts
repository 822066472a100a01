/** The module `mime`. api.ts describes its functions. */
import { createHash } from 'node:crypto';
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import {
  pushArray,
  pushBytes,
  pushLatin1,
  pushOwnedBytes,
  pushValue,
  tableValue,
} from '../../lua/engine/values.ts';
import { raise } from '../../lua/lib/arguments.ts';
import { runSteps, type Steps } from '../../lua/lib/steps.ts';
import { decode, decodedBytes } from '../../mime/decode.ts';
import type { Part } from '../../mime/part.ts';
import type { FunctionsOf } from '../module.ts';
import type { mimeApi } from './api.ts';
import { filesOf, kindOfPart } from './archives.ts';
import { addBanner, addPart, checkBanner, checkNewPart, removePart, replacePart } from './changes.ts';
import { type MimeMessage, messageOf } from './message.ts';
import { checkPart, makeTables } from './part-table.ts';
import { textOf } from './text.ts';
import { inTurns } from './turns.ts';

const MAX_HEAD = 65_536;
/** Below this Node gives out pieces of a larger buffer. */
const POOLED_BYTES = 4096;

/** Makes the global table, whose fields are made when they are looked at. */
export function installMime(L: LuaState): void {
  lua.lua_createtable(L, 0, 4);
  lua.lua_createtable(L, 0, 2);
  lua.lua_pushcfunction(L, indexMime);
  lua.lua_setfield(L, -2, ascii('__index'));
  lua.lua_pushliteral(L, 'mime');
  lua.lua_setfield(L, -2, ascii('__metatable'));
  lua.lua_setmetatable(L, -2);
  lua.lua_setglobal(L, ascii('mime'));
}

function indexMime(L: LuaState): number {
  switch (lua.lua_type(L, 2) === lua.LUA_TSTRING ? lua.lua_tojsstring(L, 2) : '') {
    case 'parts':
      return runSteps(L, pushParts(L, messageFor(L, 'mime.parts')));
    case 'defects':
      return runSteps(L, pushDefects(L, messageFor(L, 'mime.defects')));
    default:
      lua.lua_pushnil(L);
      return 1;
  }
}

function* pushParts(L: LuaState, message: MimeMessage): Steps {
  const tree = yield* inTurns(L, message.tree());
  message.table ??= yield* makeTables(L, message, tree);
  pushValue(L, tableValue(message.table));
  return 1;
}

function* pushDefects(L: LuaState, message: MimeMessage): Steps {
  pushArray(L, yield* inTurns(L, message.allDefects()));
  return 1;
}

/** The message of the callback that runs. Raises an error in other callbacks. */
function messageFor(L: LuaState, what: string): MimeMessage {
  return messageOf(L) ?? raise(L, `${what}: only smtp.do_dot can look into a message`);
}

/** A method of a part, by steps that push its results. */
const method =
  (name: string, steps: (L: LuaState, message: MimeMessage, part: Part) => Steps): LuaFunction =>
  (L) => {
    const message = messageFor(L, `mime.part:${name}`);
    return runSteps(L, steps(L, message, checkPart(L, 1, message)));
  };

function* data(L: LuaState, message: MimeMessage, part: Part): Steps {
  const most = hostOf(L).limits.stringBytes;
  const bytes = yield* inTurns(L, decodedBytes(part, most, message.defects));
  if (bytes === undefined) return tooLong(L, most);
  if (bytes.length < POOLED_BYTES) pushBytes(L, bytes);
  else pushOwnedBytes(L, bytes);
  return 1;
}

function tooLong(L: LuaState, most: number): number {
  lua.lua_pushnil(L);
  pushLatin1(L, `limit more than ${most} bytes`);
  return 2;
}

function* text(L: LuaState, message: MimeMessage, part: Part): Steps {
  if (!part.type.startsWith('text/')) {
    lua.lua_pushnil(L);
    return 1;
  }
  const most = hostOf(L).limits.stringBytes;
  const shown = yield* inTurns(L, textOf(part, most, message.defects));
  if (shown === undefined) return tooLong(L, most);
  pushLatin1(L, shown);
  return 1;
}

function* sha256(L: LuaState, message: MimeMessage, part: Part): Steps {
  const hash = createHash('sha256');
  yield* inTurns(
    L,
    decode(part, (bytes) => hash.update(bytes), message.defects),
  );
  pushLatin1(L, hash.digest('hex'));
  return 1;
}

function head(L: LuaState): number {
  const message = messageFor(L, 'mime.part:head');
  const part = checkPart(L, 1, message);
  const count = lauxlib.luaL_checkinteger(L, 2);
  lauxlib.luaL_argcheck(L, count >= 0 && count <= MAX_HEAD, 2, ascii(`0 to ${MAX_HEAD} expected`));
  return runSteps(L, pushHead(L, message, part, count));
}

function* pushHead(L: LuaState, message: MimeMessage, part: Part, count: number): Steps {
  pushBytes(L, yield* inTurns(L, message.headOf(part, count)));
  return 1;
}

function replace(L: LuaState): number {
  const message = messageFor(L, 'mime.part:replace');
  const part = checkPart(L, 1, message);
  return runSteps(L, replacePart(L, message, part, checkNewPart(L, 2)));
}

function add(L: LuaState): number {
  return runSteps(L, addPart(L, messageFor(L, 'mime.add'), checkNewPart(L, 1)));
}

function banner(L: LuaState): number {
  return runSteps(L, addBanner(L, messageFor(L, 'mime.banner'), checkBanner(L)));
}

export const openMime = (): FunctionsOf<typeof mimeApi> => ({
  'part:data': method('data', data),
  'part:text': method('text', text),
  'part:sha256': method('sha256', sha256),
  'part:head': head,
  'part:kind': method('kind', kindOfPart),
  'part:files': method('files', filesOf),
  'part:remove': method('remove', removePart),
  'part:replace': replace,
  add,
  banner,
});
