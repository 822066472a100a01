/**
 * The package library: modules are Lua source files found by package.path, or functions in package.preload.
 *
 * There is no C and no JavaScript loader: either would give a script all rights of the process.
 */
import { accessSync, constants } from 'node:fs';
import type { LuaFunction, LuaState } from 'fengari';
import { ascii, bytesOf, lauxlib, lua, lualib } from '../engine.ts';
import { hostOf } from '../host.ts';
import { noteFile } from '../required-files.ts';
import { Template } from '../template.ts';
import { fieldOf, globalsOf, setField, tableOf, textValue } from '../values.ts';
import { checkCString, cString, raise, setTextField } from './arguments.ts';
import { pushFile } from './source-files.ts';
import { runSteps, type Steps } from './steps.ts';

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** Looking for a file, in steps of Host.charge(). */
const STEPS_PER_FILE = 10_000;

/** In bytes: of package.path and of a module's name, and what Linux takes as the path of a file (PATH_MAX). */
const LONGEST_PATH = 65_536;
const LONGEST_FILE_NAME = 4095;

/** The first readable file among the templates of `path`, or what was tried. All texts are latin1. */
function searchPath(
  L: LuaState,
  name: string,
  path: string,
  separator: string,
  replacement: string,
): { file: string } | { tried: string } {
  if (path.length > LONGEST_PATH || name.length > LONGEST_PATH) return raise(L, 'path or name too long');
  const stem = separator === '' ? name : name.replaceAll(separator, () => replacement);
  let tried = '';
  for (const template of path.split(';')) {
    if (template === '') continue;
    hostOf(L).charge(L, STEPS_PER_FILE);
    const length = template.length + (template.split('?').length - 1) * stem.length;
    const file = length > LONGEST_FILE_NAME ? template : template.replaceAll('?', () => stem);
    if (length <= LONGEST_FILE_NAME) {
      const path = cString(Buffer.from(file, 'latin1'));
      noteFile(L, path);
      if (isReadable(path)) return { file };
    }
    tried += `\n\tno file '${file}'`;
  }
  return { tried };
}

function isReadable(path: Buffer): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

function package_searchpath(L: LuaState): number {
  const name = latin1(checkCString(L, 1));
  const path = latin1(checkCString(L, 2));
  const separator = latin1(lauxlib.luaL_optstring(L, 3, ascii('.')));
  const replacement = latin1(lauxlib.luaL_optstring(L, 4, ascii('/')));
  const found = searchPath(L, name, path, separator, replacement);
  if ('file' in found) {
    lua.lua_pushstring(L, Buffer.from(found.file, 'latin1'));
    return 1;
  }
  lua.lua_pushnil(L);
  lua.lua_pushstring(L, Buffer.from(found.tried, 'latin1'));
  return 2;
}

function package_loadlib(L: LuaState): number {
  lauxlib.luaL_checkstring(L, 1);
  lauxlib.luaL_checkstring(L, 2);
  lua.lua_pushnil(L);
  lua.lua_pushstring(L, ascii('dynamic libraries not enabled; check your Lua installation'));
  lua.lua_pushstring(L, ascii('absent'));
  return 3;
}

/** Pushes the compiled file and its name, or raises an error. */
function* pushModule(L: LuaState, name: string, file: string): Steps {
  const problem = yield* pushFile(L, bytesOf(file));
  if (problem !== null) raise(L, `error loading module '${name}' from file '${file}':\n\t${problem}`);
  lua.lua_pushstring(L, Buffer.from(file, 'latin1'));
  return 2;
}

/** package.searchers[2]; upvalue 1 is the package table. */
function searchLua(L: LuaState): number {
  const name = latin1(checkCString(L, 1));
  lua.lua_getfield(L, lua.lua_upvalueindex(1), ascii('path'));
  const path = lua.lua_tostring(L, -1) ?? raise(L, "'package.path' must be a string");
  const found = searchPath(L, name, latin1(path), '.', '/');
  if ('file' in found) return runSteps(L, pushModule(L, name, found.file));
  lua.lua_pushstring(L, Buffer.from(found.tried, 'latin1'));
  return 1;
}

/** Opens the library; `require` itself is fengari's, which also lets a module wait while it is loaded. */
export const luaopen_package: LuaFunction = (L) => {
  lualib.luaopen_package(L);
  lauxlib.luaL_setfuncs(L, { loadlib: package_loadlib, searchpath: package_searchpath }, 0);
  lua.lua_getfield(L, -1, ascii('searchers'));
  lua.lua_pushvalue(L, -2);
  lua.lua_pushcclosure(L, searchLua, 1);
  lua.lua_rawseti(L, -2, 2);
  for (const removed of [3, 4]) {
    lua.lua_pushnil(L);
    lua.lua_rawseti(L, -2, removed);
  }
  lua.lua_pop(L, 1);
  lua.lua_pushnil(L);
  lua.lua_setfield(L, -2, ascii('jspath'));
  setTextField(L, 'cpath', '');
  setTextField(L, 'path', '');
  return 1;
};

/** A template whose states have this package.path, in latin1. */
export function withPackagePath(template: Template, path: string): Template {
  const state = template.clone();
  const library = tableOf(fieldOf(state, globalsOf(state), 'package'));
  if (library) setField(state, library, 'path', textValue(state, path));
  return new Template({ state, like: template });
}
