/**
 * The library `test` of a test file.
 *
 *     test.case(name, fn)          one test, run after the file, in a world of its own
 *     test.policy(path)            the policy under test, where it is not the file of the same name
 *     test.session{...}            a client connects; see session-library.ts
 *     test.dns{ ["name TYPE"] = }  what the DNS has; nothing else exists
 *     test.env{ NAME = }           what os.getenv knows
 *     test.clock(time)             stops the clock; test.advance(seconds) moves it on
 *     test.file(name, content)     writes a file; returns its path
 *     test.unreadable(names[, at])  files that cannot be opened, or (at = "read") not be read; `*` stands for anything
 *     test.tmp()                   the case's scratch directory
 *     smtp.code                    the policy's names for reply codes
 *     test.equal, test.match, test.reply, test.refused, test.accepted    see assertions.ts
 */
import type { LuaFunction, LuaState } from 'fengari';
import { isFailure, type ZoneAnswer, ZoneError } from '../dns/zone.ts';
import { ascii, lauxlib, lua } from '../lua/engine.ts';
import { argumentError, pushLibrary, raise } from '../lua/lib/arguments.ts';
import { REPLY_CODES } from '../lua/smtp/table.ts';
import { readArray, readLatin1 } from '../lua/values.ts';
import { ASSERTIONS } from './assertions.ts';
import type { Bench } from './bench.ts';
import { pushPlain } from './lua-value.ts';
import { checkText, keysOf } from './session-arguments.ts';
import { openSessions } from './session-library.ts';

/**
 * Makes the opener of the library.
 *
 * @param bench of the file that runs
 * @param addCase is given the name of a case and its function, which is on top of the stack
 */
export function testLibrary(bench: () => Bench, addCase: (L: LuaState, name: string) => void): LuaFunction {
  const functions: Record<string, LuaFunction> = {
    case: (L) => {
      const name = checkText(L, 1);
      lauxlib.luaL_checktype(L, 2, lua.LUA_TFUNCTION);
      if (bench().inCase) return raise(L, 'test.case: not in another case');
      lua.lua_settop(L, 2);
      addCase(L, name);
      return 0;
    },
    policy: (L) => {
      bench().setPolicy(checkText(L, 1));
      return 0;
    },
    dns: (L) => {
      for (const [question, answer] of checkZone(L)) {
        try {
          bench().world.zone.set(question, answer);
        } catch (error) {
          if (!(error instanceof ZoneError)) throw error;
          return raise(L, `test.dns: ${error.message}`);
        }
      }
      return 0;
    },
    env: (L) => {
      lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
      for (const name of keysOf(L, 1)) {
        lua.lua_getfield(L, 1, ascii(name));
        bench().world.environment.set(name, readLatin1(L, -1) ?? '');
        lua.lua_pop(L, 1);
      }
      return 0;
    },
    clock: (L) => {
      bench().world.stopClock(lauxlib.luaL_checknumber(L, 1));
      return 0;
    },
    advance: (L) => {
      bench().world.advance(lauxlib.luaL_checknumber(L, 1));
      return 0;
    },
    file: (L) => {
      pushPlain(L, bench().world.writeFile(checkText(L, 1), checkText(L, 2)));
      return 1;
    },
    unreadable: (L) => {
      const names = checkText(L, 1);
      const at = lauxlib.luaL_checkoption(L, 2, ascii('open'), [ascii('open'), ascii('read')]);
      bench().world.spoil(names, at === 0 ? 'open' : 'read');
      return 0;
    },
    tmp: (L) => {
      if (!bench().inCase) return raise(L, 'test.tmp: only in a test.case');
      pushPlain(L, bench().world.directory());
      return 1;
    },
    ...ASSERTIONS,
  };
  return (L) => {
    pushLibrary(L, { ...functions, session: openSessions(L, bench) });
    return 1;
  };
}

/** Gives a test the one part of the policy's API that is not about a session: the table `smtp` with `code`. */
export function installCodes(L: LuaState): void {
  pushPlain(L, { code: REPLY_CODES });
  lua.lua_setglobal(L, ascii('smtp'));
}

/** Argument 1 of test.dns: by question the records, or the word of a failure. */
function checkZone(L: LuaState): [string, ZoneAnswer][] {
  lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
  return keysOf(L, 1).map((question) => {
    lua.lua_getfield(L, 1, ascii(question));
    const text = readLatin1(L, -1);
    const records = text === undefined ? readArray(L, -1) : [text];
    lua.lua_pop(L, 1);
    if (records === undefined) return argumentError(L, 1, 'each answer must be a text or a table of texts');
    return [question, text !== undefined && isFailure(text) ? { failure: text } : { records }];
  });
}
