/**
 * The library `test` of a test file.
 *
 *     test.case(name, fn)          one test, run after the file, in a world of its own
 *     test.policy(path)            the policy under test, where it is not the file of the same name
 *     test.session{...}            a client connects; see session-library.ts
 *     test.dns{...} and others     what services know: the fakes of the modules
 *     test.fails(word)             stands for `nil, err` in their answers
 *     test.env{ NAME = }           what os.getenv knows
 *     test.clock(time)             stops the clock; test.advance(seconds) moves it on
 *     test.file(name, content)     writes a file; returns its path
 *     test.unreadable(names[, at])  files that cannot be opened, or (at = "read") not be read; `*` stands for anything
 *     test.tmp()                   the case's scratch directory
 *     smtp.code                    the policy's names for reply codes
 *     test.equal, test.match, test.reply, test.refused, test.accepted    see assertions.ts
 */
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, lauxlib, lua } from '../lua/engine/engine.ts';
import { keysOf, pushPlain } from '../lua/engine/plain.ts';
import { readLatin1 } from '../lua/engine/values.ts';
import { pushLibrary, raise } from '../lua/lib/arguments.ts';
import { fails } from '../modules/fake-answer.ts';
import { installConstants } from '../modules/install.ts';
import { FAKES } from '../modules/modules.ts';
import { codesChapter } from '../modules/smtp/api.ts';
import { ASSERTIONS } from './assertions.ts';
import { checkText } from './session-arguments.ts';
import { openSessions } from './session-library.ts';
import type { TestHarness } from './test-harness.ts';

/**
 * Makes the opener of the library.
 *
 * @param harness of the file that runs
 * @param addCase is given the name of a case and its function, which is on top of the stack
 */
export function testLibrary(
  harness: () => TestHarness,
  addCase: (L: LuaState, name: string) => void,
): LuaFunction {
  const functions: Record<string, LuaFunction> = {
    case: (L) => {
      const name = checkText(L, 1);
      lauxlib.luaL_checktype(L, 2, lua.LUA_TFUNCTION);
      if (harness().inCase) return raise(L, 'test.case: not in another case');
      lua.lua_settop(L, 2);
      addCase(L, name);
      return 0;
    },
    policy: (L) => {
      harness().setPolicy(checkText(L, 1));
      return 0;
    },
    env: (L) => {
      lauxlib.luaL_checktype(L, 1, lua.LUA_TTABLE);
      for (const name of keysOf(L, 1)) {
        lua.lua_getfield(L, 1, ascii(name));
        harness().world.environment.set(name, readLatin1(L, -1) ?? '');
        lua.lua_pop(L, 1);
      }
      return 0;
    },
    clock: (L) => {
      harness().world.stopClock(lauxlib.luaL_checknumber(L, 1));
      return 0;
    },
    advance: (L) => {
      harness().world.advance(lauxlib.luaL_checknumber(L, 1));
      return 0;
    },
    file: (L) => {
      pushPlain(L, harness().world.writeFile(checkText(L, 1), checkText(L, 2)));
      return 1;
    },
    unreadable: (L) => {
      const names = checkText(L, 1);
      const at = lauxlib.luaL_checkoption(L, 2, ascii('open'), [ascii('open'), ascii('read')]);
      harness().world.spoil(names, at === 0 ? 'open' : 'read');
      return 0;
    },
    tmp: (L) => {
      if (!harness().inCase) return raise(L, 'test.tmp: only in a test.case');
      pushPlain(L, harness().world.directory());
      return 1;
    },
    fails,
    ...fakeFunctions(harness),
    ...ASSERTIONS,
  };
  return (L) => {
    pushLibrary(L, { ...functions, session: openSessions(L, harness) });
    return 1;
  };
}

/** The functions that say what the services of the world know. */
function fakeFunctions(harness: () => TestHarness): Record<string, LuaFunction> {
  const functions = FAKES.flatMap((fake) =>
    Object.entries(fake.functions).map(([name, call]): [string, LuaFunction] => [
      name,
      (L) => call(L, harness().world.standIn(fake)),
    ]),
  );
  return Object.fromEntries(functions);
}

/** Gives a test the one part of the policy's API that is not about a session: the table `smtp` with `code`. */
export function installCodes(L: LuaState): void {
  installConstants(L, codesChapter);
}
