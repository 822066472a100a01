/**
 * Answers that a test gives in the place of a service: what the policy's function is to return (`false`, a text, a table),
 * `test.fails "timeout"` for `nil, err`, or a function of the call's arguments that returns any of these.
 */
import type { LuaState } from 'fengari';
import { type Answer, type Failure, isFailure, known, unknown } from '../asking/answer.ts';
import { lauxlib, lua } from '../lua/engine/engine.ts';
import { NotPlain, type Plain, pushPlain, readPlain } from '../lua/engine/plain.ts';
import { readLatin1 } from '../lua/engine/values.ts';
import { argumentError } from '../lua/lib/arguments.ts';

/** Text is latin1. @throws Error where a function of the test has failed: its message */
export type FakeAnswer = (args: readonly Plain[]) => Answer<Plain>;

/** What is said behind the word of a failure. */
const DETAIL = 'as the test says';

/** Key of the userdata that test.fails gives. */
const FIELD = 'fails';

/** test.fails(word): stands for `nil, err`. */
export function fails(L: LuaState): number {
  const word = readLatin1(L, 1) ?? '';
  if (!isFailure(word))
    return argumentError(L, 1, 'timeout, servfail, refused, unavailable, protocol or limit expected');
  lua.lua_newuserdata(L)[FIELD] = word;
  return 1;
}

/** The answer in argument `arg`. */
export function checkFakeAnswer(L: LuaState, arg: number): FakeAnswer {
  lauxlib.luaL_checkany(L, arg);
  if (lua.lua_type(L, arg) === lua.LUA_TFUNCTION) return answerByFunction(L, arg);
  try {
    const answer = readAnswer(L, arg);
    return () => answer;
  } catch (error) {
    if (error instanceof NotPlain)
      return argumentError(L, arg, 'a value, test.fails(...) or a function expected');
    throw error;
  }
}

/** @throws NotPlain */
function readAnswer(L: LuaState, index: number): Answer<Plain> {
  const failure = failureAt(L, index);
  return failure === undefined ? known(readPlain(L, index)) : unknown(failure, DETAIL);
}

function failureAt(L: LuaState, index: number): Failure | undefined {
  const value = lua.lua_touserdata(L, index);
  const word = typeof value === 'object' && value !== null && FIELD in value ? value[FIELD] : undefined;
  return typeof word === 'string' && isFailure(word) ? word : undefined;
}

function answerByFunction(L: LuaState, arg: number): FakeAnswer {
  lua.lua_pushvalue(L, arg);
  const reference = lauxlib.luaL_ref(L, lua.LUA_REGISTRYINDEX);
  const main = L.l_G.mainthread;
  // The test itself is suspended while its policy works: a thread of its own, which cannot wait.
  return (args) => {
    const thread = lua.lua_newthread(main);
    lua.lua_pop(main, 1);
    lua.lua_rawgeti(thread, lua.LUA_REGISTRYINDEX, reference);
    for (const value of args) pushPlain(thread, value);
    if (lua.lua_pcall(thread, args.length, 1, 0) === lua.LUA_OK) return readAnswer(thread, -1);
    throw new Error(readLatin1(thread, -1) ?? 'an error in a function of the test');
  };
}
