/** Lua contexts for tests: from source text, with all libraries of a policy and functions of the test's own. */
import type { LuaFunction, LuaState } from 'fengari';
import { type ContextOptions, LuaContext, type Outcome } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, latin1Of, lauxlib, lua } from '../../src/lua/engine/engine.ts';
import { defaultLimits, hostOf, type Limits } from '../../src/lua/engine/host.ts';
import { pushLatin1, pushOwnedBytes, readLatin1 } from '../../src/lua/engine/values.ts';
import { libraries } from '../../src/lua/lib/libraries.ts';
import { compile } from '../../src/lua/script/compilation.ts';

/** wait(text): the text, after a turn of the event loop. */
const wait: LuaFunction = (L) => {
  const text = readLatin1(L, 1) ?? '';
  return hostOf(L).wait(
    L,
    () => new Promise<string>((resolve) => setImmediate(resolve, text)),
    (L, value) => {
      pushLatin1(L, value);
      return 1;
    },
  );
};

/** known(text): the text, waited for although it is there. */
const known: LuaFunction = (L) => {
  const text = readLatin1(L, 1) ?? '';
  return hostOf(L).wait(
    L,
    async () => text,
    (L, value) => {
      pushLatin1(L, value);
      return 1;
    },
  );
};

/** waitfail(): an error, after a turn of the event loop. */
const waitfail: LuaFunction = (L) =>
  hostOf(L).wait(
    L,
    () => new Promise<never>((_, reject) => setImmediate(reject, new Error('host failure'))),
    () => 0,
  );

/** work(n): n steps of work without running Lua code. */
const work: LuaFunction = (L) => {
  const steps = lauxlib.luaL_checknumber(L, 1);
  for (let done = 0; done < steps; done += 100) hostOf(L).charge(L, 100);
  return 0;
};

/** own(n): a string of n bytes that was not copied. */
const own: LuaFunction = (L) => {
  pushOwnedBytes(L, new Uint8Array(lauxlib.luaL_checkinteger(L, 1)));
  return 1;
};

/** barred(f): calls f where nothing can be suspended, as some library functions call metamethods. */
const barred: LuaFunction = (L) => {
  lua.lua_settop(L, 1);
  lua.lua_call(L, 0, 1);
  return 1;
};

export const testLibrary = {
  install(L: LuaState): void {
    for (const [name, f] of Object.entries({ wait, known, waitfail, work, own, barred })) {
      lua.lua_pushcfunction(L, f);
      lua.lua_setglobal(L, ascii(name));
    }
  },
};

export const template = new Template([...libraries, testLibrary]);

/** The script's main chunk has not run yet. */
export function contextOf(
  source: string,
  limits: Partial<Limits> = {},
  options: Partial<ContextOptions> = {},
): LuaContext {
  const script = compile(Buffer.from(source, 'latin1'), 'test.lua');
  return new LuaContext({ template, script, limits: { ...defaultLimits, ...limits }, ...options });
}

/** All results of a chunk as `tostring` writes them, joined by blanks. */
export function readAll(L: LuaState, nresults: number): string {
  const texts: string[] = [];
  for (let i = 1; i <= nresults; i++) {
    texts.push(latin1Of(lauxlib.luaL_tolstring(L, i)));
    lua.lua_pop(L, 1);
  }
  return texts.join(' ');
}

/** Runs the script as one callback and gives its results. */
export async function evaluate(context: LuaContext): Promise<Outcome<string>> {
  return context.call((L) => {
    context.script.push(L);
    return 0;
  }, readAll);
}

/** The results of a script that must end well. */
export async function resultOf(source: string, limits: Partial<Limits> = {}): Promise<string> {
  const outcome = await evaluate(contextOf(source, limits));
  if (outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
  return outcome.value;
}

/** Calls a global function of the script with strings. */
export function callGlobal(
  context: LuaContext,
  name: string,
  args: readonly string[] = [],
  options: { deadlineMs?: number } = {},
): Outcome<string> | Promise<Outcome<string>> {
  return context.call(
    (L) => {
      lua.lua_getglobal(L, ascii(name));
      for (const text of args) pushLatin1(L, text);
      return args.length;
    },
    readAll,
    options,
  );
}
