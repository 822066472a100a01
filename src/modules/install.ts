/** Puts modules into a Lua state: the tables, constants, functions and classes of methods that their descriptions name. */
import type { LuaFunction, LuaState } from 'fengari';
import type { Library } from '../lua/context/template.ts';
import { ascii, lauxlib, lua } from '../lua/engine/engine.ts';
import { libraries } from '../lua/lib/libraries.ts';
import type { Services } from '../services/services.ts';
import type { ApiFunction, Chapter } from './entry.ts';
import type { Module } from './module.ts';
import { MODULES } from './modules.ts';

/** All libraries of a policy, for a template. */
export function policyLibraries(services: Services): Library[] {
  return [...libraries, ...MODULES.map((module) => libraryOf(module, services))];
}

/** A module as a template takes it. */
export function libraryOf(
  { api, open, install, isRequired }: Module,
  services: Services,
): Extract<Library, { install: unknown }> {
  const functions = open(services);
  return {
    install: (L) => {
      install?.(L);
      for (const chapter of api) {
        installConstants(L, chapter);
        for (const entry of chapter.entries) {
          if (entry.kind === 'function') installFunction(L, entry, functions[localName(entry.name)]);
        }
        if (isRequired) setLoaded(L, chapter);
      }
    },
  };
}

/** Makes the constants of a chapter and the tables that hold them. */
export function installConstants(L: LuaState, { entries }: Chapter): void {
  for (const entry of entries) {
    if (entry.kind !== 'constant') continue;
    const [path, field] = split(entry.name);
    pushTable(L, path);
    lua.lua_pushinteger(L, entry.value);
    lua.lua_setfield(L, -2, ascii(field));
    lua.lua_pop(L, 1);
  }
}

function installFunction(L: LuaState, { name, aliases }: ApiFunction, call: LuaFunction | undefined): void {
  if (call === undefined) throw new Error(`there is no function ${name}`);
  const [owner, method] = name.split(':');
  if (method !== undefined) {
    pushMethods(L, owner ?? '');
    lua.lua_pushcfunction(L, call);
    lua.lua_setfield(L, -2, ascii(method));
    lua.lua_pop(L, 1);
    return;
  }
  for (const alias of [name, ...(aliases ?? [])]) {
    const [path, field] = split(alias);
    pushTable(L, path);
    lua.lua_pushcfunction(L, call);
    lua.lua_setfield(L, -2, ascii(field));
    lua.lua_pop(L, 1);
  }
}

/** Pushes the table that a path from the globals leads to; what is not there is made. */
function pushTable(L: LuaState, path: readonly string[]): void {
  lua.lua_pushglobaltable(L);
  for (const name of path) {
    if (lua.lua_getfield(L, -1, ascii(name)) !== lua.LUA_TTABLE) {
      lua.lua_pop(L, 1);
      lua.lua_newtable(L);
      lua.lua_pushvalue(L, -1);
      lua.lua_setfield(L, -3, ascii(name));
    }
    lua.lua_remove(L, -2);
  }
}

/** Pushes the table of the methods of a class; its metatable, see objects.ts, is made when it is not there. */
function pushMethods(L: LuaState, name: string): void {
  if (lauxlib.luaL_newmetatable(L, ascii(name))) {
    lua.lua_newtable(L);
    lua.lua_setfield(L, -2, ascii('__index'));
    lua.lua_pushliteral(L, name);
    lua.lua_setfield(L, -2, ascii('__metatable'));
  }
  lua.lua_getfield(L, -1, ascii('__index'));
  lua.lua_remove(L, -2);
}

/** Lets `require` find the global tables of a chapter. */
function setLoaded(L: LuaState, { entries }: Chapter): void {
  const names = entries.flatMap(({ kind, name }) => (kind === 'function' ? [split(name)[0][0] ?? name] : []));
  for (const name of new Set(names)) {
    lua.lua_getfield(L, lua.LUA_REGISTRYINDEX, ascii('_LOADED'));
    lua.lua_getglobal(L, ascii(name));
    lua.lua_setfield(L, -2, ascii(name));
    lua.lua_pop(L, 1);
  }
}

/** `smtp.code.reject` -> the path `smtp`, `code`, and `reject`. */
function split(name: string): [path: string[], field: string] {
  const parts = name.split('.');
  return [parts.slice(0, -1), parts.at(-1) ?? ''];
}

/** `kv.get` -> `get`, `kv.store:get` -> `store:get`. */
function localName(name: string): string {
  return name.slice(name.indexOf('.') + 1);
}
