/**
 * What a callback returned -> a verdict.
 *
 * Nothing, nil, 0 and 2yz let the mail go on. 4yz and 5yz with a text are the reply. smtp.code.accept, .discard and .skip
 * are small numbers of our own that no SMTP code can be.
 */
import type { LuaState } from 'fengari';
import { ascii, latin1Of, lua } from '../../lua/engine/engine.ts';
import type { Verdict } from '../../milter/policy.ts';

/** Values of smtp.code beyond SMTP's own. */
export const ACTION_CODES = { continue: 0, accept: 1, discard: 2, skip: 3 } as const;

/** More than a reply can hold (reply-text.ts), in bytes and in items of an array: what is beyond is not looked at. */
const MAX_TEXT = 65536;
const MAX_ITEMS = 1000;

/** The script's fault: `complaint` says what is wrong with its results. */
export type Reading =
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'wrong'; readonly complaint: string };

/** What most callbacks return. */
export const CONTINUE: Reading = { kind: 'verdict', verdict: { kind: 'continue' } };
const ACCEPT: Reading = { kind: 'verdict', verdict: { kind: 'accept' } };
const DISCARD: Reading = { kind: 'verdict', verdict: { kind: 'discard' } };
const SKIP: Reading = { kind: 'verdict', verdict: { kind: 'skip' } };

/** Reads the results of a callback: the `count` values on top of the stack of L, which stay there. */
export function readVerdict(L: LuaState, count: number): Reading {
  if (count === 0) return CONTINUE;
  const first = lua.lua_gettop(L) - count + 1;
  if (lua.lua_isnil(L, first)) return CONTINUE;
  const code = readCode(L, first);
  if (code === undefined) return wrong(`returned ${describe(L, first)} where a reply code was expected`);
  if (code === ACTION_CODES.continue || (code >= 200 && code <= 299)) return CONTINUE;
  switch (code) {
    case ACTION_CODES.accept:
      return ACCEPT;
    case ACTION_CODES.discard:
      return DISCARD;
    case ACTION_CODES.skip:
      return SKIP;
  }
  if (code < 400 || code > 599)
    return wrong(`returned reply code ${code}: a milter can reply 4yz or 5yz only`);

  const lines = count >= 2 ? readText(L, first + 1) : [];
  if (lines === undefined) return wrong(`returned ${describe(L, first + 1)} where a reply text was expected`);
  const enhanced =
    count >= 3 && lua.lua_type(L, first + 2) === lua.LUA_TSTRING ? text(L, first + 2) : undefined;
  if (enhanced !== undefined && !/^[245]\.\d{1,3}\.\d{1,3}$/.test(enhanced)) {
    return wrong(`returned ${JSON.stringify(enhanced)} where an enhanced status code was expected`);
  }
  return {
    kind: 'verdict',
    verdict: { kind: 'reply', code, lines, ...(enhanced === undefined ? {} : { enhanced }) },
  };
}

/**
 * `file:line` where the function begins that a callback has named in its fourth result: it has called that one, and handed
 * on what it decided (`policy.use`). '' without one.
 */
export function deciderOf(L: LuaState, count: number): string {
  const at = lua.lua_gettop(L) - count + 4;
  if (count < 4 || !lua.lua_isfunction(L, at)) return '';
  const info = new lua.lua_Debug();
  lua.lua_pushvalue(L, at);
  lua.lua_getinfo(L, ascii('>S'), info);
  const source = latin1Of(info.source);
  // A function of the host has none.
  return source.startsWith('@') ? `${source.slice(1)}:${info.linedefined}` : '';
}

/** A whole number, or a string that is one. */
function readCode(L: LuaState, index: number): number | undefined {
  const type = lua.lua_type(L, index);
  if (type !== lua.LUA_TNUMBER && type !== lua.LUA_TSTRING) return undefined;
  if (!lua.lua_isnumber(L, index)) return undefined;
  const value = lua.lua_tonumber(L, index);
  return Number.isInteger(value) ? value : undefined;
}

/** A string, with `\n` between lines, or an array of lines; an empty array when there is none. */
function readText(L: LuaState, index: number): string[] | undefined {
  switch (lua.lua_type(L, index)) {
    case lua.LUA_TNIL:
      return [];
    case lua.LUA_TSTRING:
    case lua.LUA_TNUMBER:
      return text(L, index).slice(0, MAX_TEXT).split(/\r?\n/);
    case lua.LUA_TTABLE: {
      const lines: string[] = [];
      const length = Math.min(lua.lua_rawlen(L, index), MAX_ITEMS);
      let room = MAX_TEXT;
      for (let i = 1; i <= length && room > 0; i++) {
        lua.lua_rawgeti(L, index, i);
        const isText = lua.lua_isstring(L, -1);
        const line = isText ? text(L, -1).slice(0, room) : '';
        lua.lua_pop(L, 1);
        if (!isText) return undefined;
        lines.push(line);
        room -= line.length;
      }
      return lines;
    }
    default:
      return undefined;
  }
}

function text(L: LuaState, index: number): string {
  lua.lua_pushvalue(L, index); // lua_tostring would turn a number into a string in place.
  const bytes = lua.lua_tostring(L, -1);
  const result = bytes ? latin1Of(bytes) : '';
  lua.lua_pop(L, 1);
  return result;
}

function describe(L: LuaState, index: number): string {
  const type = lua.lua_type(L, index);
  if (type === lua.LUA_TNUMBER) return `the number ${text(L, index)}`;
  if (type === lua.LUA_TSTRING) return JSON.stringify(text(L, index).slice(0, 80));
  return `a ${latin1Of(lua.lua_typename(L, type))}`;
}

function wrong(complaint: string): Reading {
  return { kind: 'wrong', complaint };
}
