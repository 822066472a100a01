/** What the functions of a session are given by a test: who connects, and what is sent. */
import type { LuaState } from 'fengari';
import { ascii, lua } from '../lua/engine/engine.ts';
import { keysOf } from '../lua/engine/plain.ts';
import { readArray, readLatin1, readNumber } from '../lua/engine/values.ts';
import { argumentError } from '../lua/lib/arguments.ts';
import type { OnError } from '../policy/policy-settings.ts';
import type { MtaKind } from '../workbench/client-reply.ts';
import type { SessionSpec } from './test-harness.ts';

const SESSION_FIELDS = ['ip', 'ptr', 'port', 'helo', 'auth', 'tls', 'macros', 'mta', 'on_error'];
const MTAS: readonly string[] = ['postfix', 'sendmail'] satisfies MtaKind[];
const ON_ERROR: readonly string[] = ['continue', 'tempfail', 'reject', 'accept'] satisfies OnError[];

const DEFAULT_IP = '192.0.2.7';
const DEFAULT_PORT = 54321;
const DEFAULT_MECH = 'PLAIN';

/** The argument of test.session: a table, or none. `helo` is undefined where the test says HELO itself. */
export function checkSession(L: LuaState): SessionSpec & { readonly helo: string | undefined } {
  if (lua.lua_isnoneornil(L, 1)) lua.lua_settop(L, 0);
  if (lua.lua_gettop(L) === 0) lua.lua_newtable(L);
  if (!lua.lua_istable(L, 1)) return argumentError(L, 1, 'table expected');
  const unknown = keysOf(L, 1).find((key) => !SESSION_FIELDS.includes(key));
  if (unknown !== undefined) {
    return argumentError(L, 1, `unknown field '${unknown}', known are: ${SESSION_FIELDS.join(', ')}`);
  }
  const auth = loginField(L);
  const port = numberField(L, 'port');
  return {
    mta: oneOf<MtaKind>(L, 'mta', MTAS, 'postfix'),
    onError: oneOf<OnError | undefined>(L, 'on_error', ON_ERROR, undefined),
    helo: textField(L, 'helo'),
    client: {
      ip: textField(L, 'ip') ?? DEFAULT_IP,
      ptr: textField(L, 'ptr') ?? '',
      port: port ?? DEFAULT_PORT,
      auth,
      tls: textField(L, 'tls'),
      macros: textsOf(L, 'macros'),
    },
  };
}

/** Argument `arg` of s:message: the bytes, or a table of `headers` and `body`. */
export function checkMessage(L: LuaState, arg: number): Buffer {
  const raw = readLatin1(L, arg);
  if (raw !== undefined) return Buffer.from(raw, 'latin1');
  if (!lua.lua_istable(L, arg)) return argumentError(L, arg, 'string or table expected');
  const unknown = keysOf(L, arg).find((key) => key !== 'headers' && key !== 'body');
  if (unknown !== undefined) return argumentError(L, arg, `unknown field '${unknown}'`);
  lua.lua_getfield(L, arg, ascii('body'));
  const body = readLatin1(L, -1) ?? '';
  lua.lua_getfield(L, arg, ascii('headers'));
  const lines = headerLines(L, lua.lua_gettop(L));
  lua.lua_pop(L, 2);
  if (lines === undefined) return argumentError(L, arg, 'headers must be texts, or texts by name');
  const head = lines.map((line) => `${line}\r\n`).join('');
  return Buffer.from(`${head}\r\n${body}`, 'latin1');
}

/** Whole lines in order, then those by name. */
function headerLines(L: LuaState, index: number): string[] | undefined {
  if (lua.lua_isnil(L, index)) return [];
  const lines = readArray(L, index);
  if (lines === undefined) return undefined;
  for (const name of keysOf(L, index).sort()) {
    lua.lua_getfield(L, index, ascii(name));
    const value = readLatin1(L, -1);
    lua.lua_pop(L, 1);
    if (value === undefined) return undefined;
    lines.push(`${name}: ${value}`);
  }
  return lines;
}

/** ESMTP parameters: the texts from argument `first` on. */
export function checkParams(L: LuaState, first: number): string[] {
  const params: string[] = [];
  for (let arg = first; arg <= lua.lua_gettop(L); arg++) {
    params.push(readLatin1(L, arg) ?? argumentError(L, arg, 'string expected'));
  }
  return params;
}

/** An address, with or without angle brackets. */
export function checkAddress(L: LuaState, arg: number): string {
  const text = readLatin1(L, arg) ?? argumentError(L, arg, 'address expected');
  return /^<.*>$/.test(text) ? text.slice(1, -1) : text;
}

export function checkText(L: LuaState, arg: number): string {
  return readLatin1(L, arg) ?? argumentError(L, arg, 'string expected');
}

function textField(L: LuaState, name: string): string | undefined {
  const isNil = lua.lua_getfield(L, 1, ascii(name)) === lua.LUA_TNIL;
  const text = readLatin1(L, -1);
  lua.lua_pop(L, 1);
  if (!isNil && text === undefined) return argumentError(L, 1, `field '${name}': string expected`);
  return text;
}

function numberField(L: LuaState, name: string): number | undefined {
  const isNil = lua.lua_getfield(L, 1, ascii(name)) === lua.LUA_TNIL;
  const value = readNumber(L, -1);
  lua.lua_pop(L, 1);
  if (!isNil && value === undefined) return argumentError(L, 1, `field '${name}': number expected`);
  return value;
}

/** `auth`: a user, or a table of `user` and perhaps `mech`. */
function loginField(L: LuaState): { readonly user: string; readonly mech: string } | undefined {
  lua.lua_getfield(L, 1, ascii('auth'));
  if (!lua.lua_istable(L, -1)) {
    lua.lua_pop(L, 1);
    const user = textField(L, 'auth');
    return user === undefined ? undefined : { user, mech: DEFAULT_MECH };
  }
  lua.lua_getfield(L, -1, ascii('user'));
  lua.lua_getfield(L, -2, ascii('mech'));
  const user = readLatin1(L, -2) ?? argumentError(L, 1, "field 'auth': no 'user'");
  const mech = readLatin1(L, -1) ?? DEFAULT_MECH;
  lua.lua_pop(L, 3);
  return { user, mech };
}

function oneOf<Value extends string | undefined>(
  L: LuaState,
  name: string,
  known: readonly string[],
  otherwise: Value,
): Value {
  const text = textField(L, name);
  if (text === undefined) return otherwise;
  const isKnown = (word: string | undefined): word is Value => word !== undefined && known.includes(word);
  return isKnown(text) ? text : argumentError(L, 1, `field '${name}': one of ${known.join(', ')} expected`);
}

function textsOf(L: LuaState, name: string): Map<string, string> {
  const texts = new Map<string, string>();
  lua.lua_getfield(L, 1, ascii(name));
  if (lua.lua_istable(L, -1)) {
    const table = lua.lua_gettop(L);
    for (const key of keysOf(L, table)) {
      lua.lua_getfield(L, table, ascii(key));
      texts.set(key, readLatin1(L, -1) ?? '');
      lua.lua_pop(L, 1);
    }
  } else if (!lua.lua_isnil(L, -1)) return argumentError(L, 1, `field '${name}': table expected`);
  lua.lua_pop(L, 1);
  return texts;
}
