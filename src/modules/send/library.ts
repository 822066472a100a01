/** The function `smtp.send`. */
import type { LuaState } from 'fengari';
import { bytesOf, lua } from '../../lua/engine/engine.ts';
import { hostOf } from '../../lua/engine/host.ts';
import { keysOf } from '../../lua/engine/plain.ts';
import { pushLatin1, readArray, readLatin1 } from '../../lua/engine/values.ts';
import { MARK_HEADER, marksIn, type Sent } from '../../mail-client/mailer.ts';
import { arrivedValues } from '../../message/edit-link.ts';
import { MAX_ADDRESS_BYTES } from '../../message/mailbox.ts';
import { OptionTable } from '../arguments.ts';
import { bareAddress } from '../bare-address.ts';
import { task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import { factsOf } from '../session.ts';
import { MAX_RECIPIENTS, type sendApi } from './api.ts';
import { composed, headersComplaint, MAX_VALUE } from './compose.ts';

const TIMEOUT_MS = 30_000;
/** Bytes of a text that is put into a message here: it is encoded at once. */
const MAX_TEXT = 1024 * 1024;
/** Work in steps of Host.charge() for each byte that is encoded, or for a call. */
const STEPS_PER_BYTE = 20;
const STEPS = 5000;

export const openSend = ({ mailer, clock }: ServicesOf<typeof sendApi>): FunctionsOf<typeof sendApi> => ({
  send: waiting((L, first) => {
    const options = new OptionTable(L, first, ['from', 'to', 'message', 'timeout']);
    const from = bareAddress(options.text('from', MAX_ADDRESS_BYTES) ?? '', (why) =>
      options.complain('from', why),
    );
    if (!isUtf8(from)) options.complain('from', 'an address in UTF-8 expected');
    const to = recipientsAt(L, first, options);
    const timeoutMs = options.timeoutMs() ?? TIMEOUT_MS;
    hostOf(L).charge(L, STEPS);
    const message = messageAt(L, first, options, () => clock.now());
    const marks = marksIn([factsOf(L).envelopeId ?? '', ...arrivedValues(L, MARK_HEADER)]);
    return task({
      timeoutMs,
      ask: (patience) => mailer.send({ from, to, message, marks }, patience),
      push: pushSent,
    });
  }),
});

/** The field `name` of the table at `arg`, on top of the stack. */
function pushField(L: LuaState, arg: number, name: string): void {
  lua.lua_checkstack(L, 2);
  if (!lua.lua_istable(L, arg)) {
    lua.lua_pushnil(L);
    return;
  }
  lua.lua_pushstring(L, bytesOf(name));
  lua.lua_rawget(L, arg);
}

function recipientsAt(L: LuaState, arg: number, options: OptionTable): readonly string[] {
  pushField(L, arg, 'to');
  const one = readLatin1(L, -1, MAX_ADDRESS_BYTES + 1);
  const written = one === undefined ? readArray(L, -1, MAX_RECIPIENTS, MAX_ADDRESS_BYTES + 1) : [one];
  lua.lua_pop(L, 1);
  if (written === undefined || written.length === 0)
    return options.complain('to', `an address or a list of 1 to ${MAX_RECIPIENTS} expected`);
  const addresses = written.map((each) => bareAddress(each, (why) => options.complain('to', why)));
  if (addresses.includes('')) options.complain('to', 'empty address');
  if (!addresses.every(isUtf8)) options.complain('to', 'addresses in UTF-8 expected');
  return [...new Set(addresses)];
}

/** The bytes of the message: those of the string itself, which nobody changes. */
function messageAt(L: LuaState, arg: number, options: OptionTable, now: () => number): Buffer {
  pushField(L, arg, 'message');
  const at = lua.lua_gettop(L);
  let message: Buffer;
  if (lua.lua_type(L, at) === lua.LUA_TSTRING) {
    const { buffer, byteOffset, length } = lua.lua_tostring(L, at) ?? new Uint8Array();
    message = Buffer.from(buffer, byteOffset, length);
    // What stands above it goes on before its first line.
    if (!/^[!-9;-~]+[ \t]*:/.test(message.toString('latin1', 0, 1000)))
      options.complain('message', 'its first line is no header');
  } else if (lua.lua_istable(L, at)) message = textMessageAt(L, at, options, now());
  else return options.complain('message', 'a string, or a table with headers and text expected');
  lua.lua_pop(L, 1);
  return message;
}

function textMessageAt(L: LuaState, at: number, options: OptionTable, now: number): Buffer {
  const unknown = keysOf(L, at).find((key) => key !== 'headers' && key !== 'text');
  if (unknown !== undefined) options.complain('message', 'a table with headers and text alone expected');
  pushField(L, at, 'text');
  const text = lua.lua_type(L, -1) === lua.LUA_TSTRING ? lua.lua_tostring(L, -1) : undefined;
  if (text === undefined || text === null) return options.complain('message', 'text: a string expected');
  if (text.length > MAX_TEXT) options.complain('message', `text of more than ${MAX_TEXT} bytes`);
  lua.lua_pop(L, 1);
  pushField(L, at, 'headers');
  if (!lua.lua_istable(L, -1)) return options.complain('message', 'headers: a table expected');
  const table = lua.lua_gettop(L);
  const names = keysOf(L, table);
  const complaint = headersComplaint(names);
  if (complaint !== undefined) options.complain('message', complaint);
  const headers = new Map<string, string>();
  for (const name of names) {
    pushField(L, table, name);
    const value = readLatin1(L, -1, MAX_VALUE + 1);
    if (value === undefined) return options.complain('message', `header ${name}: a string expected`);
    headers.set(name, value);
    lua.lua_pop(L, 1);
  }
  lua.lua_pop(L, 1);
  hostOf(L).charge(L, (text.length + names.length * MAX_VALUE) * STEPS_PER_BYTE);
  return composed({ headers, text: Buffer.from(text) }, now, factsOf(L).mta);
}

function isUtf8(latin1: string): boolean {
  return !/[\x80-\xff]/.test(latin1) || !Buffer.from(latin1, 'latin1').toString('utf8').includes('\ufffd');
}

function pushSent(L: LuaState, sent: Sent): number {
  lua.lua_checkstack(L, 5);
  lua.lua_pushboolean(L, sent.kind === 'sent');
  pushLatin1(L, sent.reply);
  if (sent.kind === 'no' || sent.refused.size === 0) return 2;
  lua.lua_createtable(L, 0, sent.refused.size);
  for (const [address, reply] of sent.refused) {
    pushLatin1(L, reply);
    lua.lua_setfield(L, -2, bytesOf(address));
  }
  return 3;
}
