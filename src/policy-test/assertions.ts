/**
 * Assertions of the library `test`: what does not hold is a Lua error whose message says what was expected, what there
 * was, and which line of the policy it came from.
 */
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, lua } from '../lua/engine/engine.ts';
import { readArray, readLatin1 } from '../lua/engine/values.ts';
import { argumentError, raise } from '../lua/lib/arguments.ts';
import { describeValue, type Numbers, quote } from './describe-value.ts';
import { diffLines } from './line-diff.ts';

export const ASSERTIONS: Record<string, LuaFunction> = { equal, match, reply, refused, accepted };

/** test.equal(actual, expected[, message]): the same content, tables compared in depth. */
function equal(L: LuaState): number {
  if (lua.lua_gettop(L) < 2) return argumentError(L, 2, 'value expected');
  const numbers: Numbers = new Map();
  if (describeValue(L, 1, numbers).join('\n') === describeValue(L, 2, numbers).join('\n')) return 0;
  const got = linesOf(L, 1, numbers);
  const expected = linesOf(L, 2, numbers);
  const single = got.length === 1 && expected.length === 1;
  return fail(
    L,
    optMessage(L, 3, 'not equal'),
    single
      ? [`expected: ${expected.join('')}`, `got:      ${got.join('')}`]
      : ['- expected, + got:', ...diffLines(expected, got)],
  );
}

/** A text of several lines line by line, anything else as Lua would write it. */
function linesOf(L: LuaState, arg: number, numbers: Numbers): string[] {
  const text = lua.lua_type(L, arg) === lua.LUA_TSTRING ? readLatin1(L, arg) : undefined;
  if (text === undefined || !text.includes('\n')) return describeValue(L, arg, numbers);
  return text.split('\n').map((line) => quote(line).slice(1, -1));
}

/** test.match(text, pattern[, message]): the text, or one of a table of texts, has the pattern in it. */
function match(L: LuaState): number {
  const pattern = checkText(L, 2);
  const texts: string[] = [];
  if (lua.lua_istable(L, 1)) {
    for (let i = 1; lua.lua_rawgeti(L, 1, i) !== lua.LUA_TNIL; i++) {
      texts.push(readLatin1(L, -1) ?? '');
      lua.lua_pop(L, 1);
    }
    lua.lua_pop(L, 1);
  } else texts.push(checkText(L, 1));
  if (texts.some((text) => has(L, text, pattern))) return 0;
  return fail(L, optMessage(L, 3, 'no match'), [
    `expected: ${lua.lua_istable(L, 1) ? 'one that has' : 'a text that has'} ${quote(pattern)}`,
    ...(texts.length === 0 ? ['got:      none'] : texts.map((text) => `got:      ${quote(text)}`)),
  ]);
}

/** test.reply(result, code[, pattern[, message]]): `pattern` is looked for in enhanced code and text. */
function reply(L: LuaState): number {
  const result = checkResult(L);
  const code = checkCode(L, 2) ?? argumentError(L, 2, 'reply code expected');
  const pattern = lua.lua_isnoneornil(L, 3) ? undefined : checkText(L, 3);
  if (result.code === code && (pattern === undefined || has(L, result.text, pattern))) return 0;
  return unlike(L, result, 4, `${code}${pattern === undefined ? '' : `, with ${quote(pattern)}`}`);
}

/** test.refused(result[, code[, message]]): 4yz or 5yz, or just this code. */
function refused(L: LuaState): number {
  const result = checkResult(L);
  const code = checkCode(L, 2);
  if (code === undefined ? result.code >= 400 : result.code === code) return 0;
  return unlike(L, result, 3, code === undefined ? 'a refusal' : `a refusal with ${code}`);
}

/** test.accepted(result[, message]): 2yz or 3yz. */
function accepted(L: LuaState): number {
  const result = checkResult(L);
  if (result.code < 400) return 0;
  return unlike(L, result, 2, 'no refusal');
}

interface Result {
  readonly code: number;
  /** With the enhanced code. */
  readonly text: string;
  readonly command: string;
  readonly origin: string;
  /** Callbacks that failed up to here, with the reason. */
  readonly failed: readonly string[];
}

function unlike(L: LuaState, result: Result, messageArg: number, expected: string): never {
  return fail(L, optMessage(L, messageArg, result.command), [
    `expected: ${expected}`,
    `got:      ${result.code} ${result.text}`,
    ...(result.origin === '' ? [] : [`from:     ${result.origin}`]),
    ...result.failed.map((call) => `failed:   ${call}`),
  ]);
}

function fail(L: LuaState, headline: string, details: readonly string[]): never {
  return raise(L, [headline, ...details.map((line) => `  ${line}`)].join('\n'));
}

/** Argument 1: what a session's method has returned. */
function checkResult(L: LuaState): Result {
  if (!lua.lua_istable(L, 1)) return argumentError(L, 1, 'result of a command expected');
  const field = (name: string): string | undefined => {
    lua.lua_getfield(L, 1, ascii(name));
    const text = readLatin1(L, -1);
    lua.lua_pop(L, 1);
    return text;
  };
  const code = Number(field('code') ?? argumentError(L, 1, 'result of a command expected'));
  const enhanced = field('enhanced');
  const text = field('text') ?? '';
  lua.lua_getfield(L, 1, ascii('failed'));
  const failed = readArray(L, -1) ?? [];
  lua.lua_pop(L, 1);
  const callback = field('callback');
  const where = field('where');
  return {
    code,
    text: enhanced === undefined ? text : `${enhanced} ${text}`,
    command: field('command') ?? '',
    origin: [callback, where].filter((part) => part !== undefined && part !== '').join(', '),
    failed,
  };
}

function checkCode(L: LuaState, arg: number): number | undefined {
  if (lua.lua_isnoneornil(L, arg)) return undefined;
  if (!lua.lua_isnumber(L, arg)) return argumentError(L, arg, 'reply code expected');
  return lua.lua_tonumber(L, arg);
}

function checkText(L: LuaState, arg: number): string {
  return readLatin1(L, arg) ?? argumentError(L, arg, 'string expected');
}

function optMessage(L: LuaState, arg: number, otherwise: string): string {
  return lua.lua_isnoneornil(L, arg) ? otherwise : checkText(L, arg);
}

/** Whether the text has the pattern in it: as it stands, or as a Lua pattern. */
function has(L: LuaState, text: string, pattern: string): boolean {
  if (text.includes(pattern)) return true;
  lua.lua_getglobal(L, ascii('string'));
  lua.lua_getfield(L, -1, ascii('find'));
  lua.lua_pushstring(L, Buffer.from(text, 'latin1'));
  lua.lua_pushstring(L, Buffer.from(pattern, 'latin1'));
  lua.lua_call(L, 2, 1);
  const found = !lua.lua_isnil(L, -1);
  lua.lua_pop(L, 2);
  return found;
}
