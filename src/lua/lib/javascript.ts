/**
 * The door to JavaScript for sites that open it with --allow-js: a policy may then `require "js"`.
 *
 * Whoever holds one JavaScript object reaches the whole process through it, so a script that has this door has all
 * rights of the process. Without the option fengari-interop is not even loaded.
 *
 * Text crosses the door as UTF-8: mail bytes that are not UTF-8 do not survive it.
 */
import { createRequire } from 'node:module';
import { resolve } from 'node:path';
import type { LuaState } from 'fengari';
import type fengariInterop from 'fengari-interop';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';

/**
 * Makes what puts the module `js` where `require` finds it: fengari-interop's table, and two functions besides.
 *
 *     js.require(name)   a Node module or npm package, looked for from the directory that the script was named in (not that of
 *                        the target of a symbolic link), as Lua's require does
 *     js.await(promise)  waits for a promise as smtp.delay waits: this session only. A rejection is a Lua error
 */
export function javaScriptInstaller(scriptPath: string): (L: LuaState) => void {
  // Through `require`, so that it finds the same fengari as engine.ts, already loaded and patched.
  const interop: typeof fengariInterop = createRequire(import.meta.url)('fengari-interop');
  const requireFromScript = createRequire(resolve(scriptPath));

  function openJs(L: LuaState): number {
    interop.luaopen_js(L);
    lua.lua_pushcfunction(L, requireModule);
    lua.lua_setfield(L, -2, ascii('require'));
    lua.lua_pushcfunction(L, awaitPromise);
    lua.lua_setfield(L, -2, ascii('await'));
    return 1;
  }

  function requireModule(L: LuaState): number {
    const name = Buffer.from(lauxlib.luaL_checkstring(L, 1)).toString();
    let module: unknown;
    try {
      module = requireFromScript(name);
    } catch (error) {
      const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
      return lauxlib.luaL_error(L, ascii('%s'), Buffer.from(reason ?? ''));
    }
    interop.push(L, module);
    return 1;
  }

  function awaitPromise(L: LuaState): number {
    lauxlib.luaL_checkany(L, 1);
    const promise = interop.tojs(L, 1);
    return hostOf(L).wait(
      L,
      async () => promise,
      (thread, value) => {
        interop.push(thread, value);
        return 1;
      },
    );
  }

  return (L) => {
    lua.lua_getglobal(L, ascii('package'));
    lua.lua_getfield(L, -1, ascii('preload'));
    lua.lua_pushcfunction(L, openJs);
    lua.lua_setfield(L, -2, ascii('js'));
    lua.lua_pop(L, 2);
  };
}
