/** The module `http`. */
import type { LuaFunction, LuaState } from 'fengari';
import type { HttpResponse } from '../../http/exchange.ts';
import type { Web } from '../../http/web.ts';
import { bytesOf, lauxlib, lua } from '../../lua/engine/engine.ts';
import { keysOf } from '../../lua/engine/plain.ts';
import { pushBytes, pushLatin1, pushNumber, readLatin1 } from '../../lua/engine/values.ts';
import { argumentError } from '../../lua/lib/arguments.ts';
import { checkText, OptionTable } from '../arguments.ts';
import { task, waiting } from '../job.ts';
import type { FunctionsOf, ServicesOf } from '../module.ts';
import type { httpApi } from './api.ts';

const MAX_URL = 8192;
const MAX_HEADER = 8192;
const TIMEOUT_MS = 5000;
const MAX_BODY = 1024 * 1024;
const MOST_BODY = 16 * 1024 * 1024;
const MOST_REDIRECTS = 3;
/** Of our own making. */
const OURS = /^(?:host|content-length|transfer-encoding|connection|upgrade|expect|te|trailer)$/i;

export const openHttp = ({ web }: ServicesOf<typeof httpApi>): FunctionsOf<typeof httpApi> => ({
  get: requesting(web, 'GET'),
  post: requesting(web, 'POST'),
});

function requesting(web: Web, method: 'GET' | 'POST'): LuaFunction {
  return waiting((L, first) => {
    const url = checkText(L, first, MAX_URL);
    const body = method === 'POST' ? lauxlib.luaL_checkstring(L, first + 1) : undefined;
    const at = first + (method === 'POST' ? 2 : 1);
    const options = new OptionTable(L, at, ['headers', 'timeout', 'max', 'redirects']);
    const timeoutMs = options.timeoutMs() ?? TIMEOUT_MS;
    const most = within(options, 'max', 1, MOST_BODY) ?? MAX_BODY;
    const redirects = within(options, 'redirects', 0, MOST_REDIRECTS) ?? 0;
    const headers = headersAt(L, at);
    const request = {
      method,
      url: Buffer.from(url, 'latin1').toString('utf8'),
      headers,
      most,
      redirects,
      ...(body && { body: Buffer.from(body.buffer, body.byteOffset, body.length) }),
    };
    return task({ timeoutMs, ask: (patience) => web.fetch(request, patience), push: pushResponse });
  });
}

function within(options: OptionTable, name: string, least: number, most: number): number | undefined {
  const value = options.number(name);
  if (value === undefined) return undefined;
  const isWithin = Number.isInteger(value) && value >= least && value <= most;
  return isWithin ? value : options.complain(name, `a whole number from ${least} to ${most} expected`);
}

/** The field `headers` of the options at `arg`. */
function headersAt(L: LuaState, arg: number): Record<string, string> {
  const headers: Record<string, string> = {};
  if (lua.lua_isnoneornil(L, arg)) return headers;
  lua.lua_checkstack(L, 3);
  lua.lua_pushstring(L, bytesOf('headers'));
  lua.lua_rawget(L, arg);
  if (lua.lua_isnil(L, -1)) {
    lua.lua_pop(L, 1);
    return headers;
  }
  if (!lua.lua_istable(L, -1)) return argumentError(L, arg, 'option headers: a table expected');
  const table = lua.lua_gettop(L);
  for (const name of keysOf(L, table)) {
    lua.lua_pushstring(L, bytesOf(name));
    lua.lua_rawget(L, table);
    const value = readLatin1(L, -1, MAX_HEADER + 1);
    lua.lua_pop(L, 1);
    const shown = name.replace(/[^!-~]/g, '?').slice(0, 60);
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/.test(name) || OURS.test(name)) {
      return argumentError(L, arg, `option headers: ${shown} cannot be set`);
    }
    // A line end would begin a header of its own.
    if (value === undefined || value.length > MAX_HEADER || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      return argumentError(L, arg, `option headers: ${shown}: one line of text expected`);
    }
    headers[name] = value;
  }
  lua.lua_pop(L, 1);
  return headers;
}

function pushResponse(L: LuaState, { code, body, headers }: HttpResponse): number {
  lua.lua_checkstack(L, 4);
  lua.lua_createtable(L, 0, 3);
  pushNumber(L, code);
  lua.lua_setfield(L, -2, bytesOf('code'));
  pushBytes(L, body);
  lua.lua_setfield(L, -2, bytesOf('body'));
  lua.lua_createtable(L, 0, headers.size);
  for (const [name, value] of headers) {
    pushLatin1(L, value);
    lua.lua_setfield(L, -2, bytesOf(name));
  }
  lua.lua_setfield(L, -2, bytesOf('headers'));
  return 1;
}
