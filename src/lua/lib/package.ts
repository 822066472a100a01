/**
 * The package library: modules are Lua source files found by package.path, or functions in package.preload.
 *
 * There is no C and no JavaScript loader: either would give a script all rights of the process.
 */
import { accessSync, constants } from 'node:fs';
import type { LuaFunction, LuaState } from 'fengari';
import { Template } from '../context/template.ts';
import { ascii, bytesOf, lauxlib, lua, lualib } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { fieldOf, globalsOf, setField, tableOf, textValue } from '../engine/values.ts';
import { noteFile } from '../script/required-files.ts';
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
  const parts = separator === '' ? [name] : name.split(separator);
  if (name.length + parts.length * replacement.length > 2 * LONGEST_PATH) {
    return raise(L, 'path or name too long');
  }
  const stem = parts.join(replacement);
  let tried = '';
  for (const template of path.split(';')) {
    if (template === '') continue;
    hostOf(L).charge(L, STEPS_PER_FILE);
    const length = template.length + (template.split('?').length - 1) * stem.length;
    const file = length > LONGEST_FILE_NAME ? template : template.replaceAll('?', () => stem);
    if (length <= LONGEST_FILE_NAME) {
      const path = cString(Buffer.from(file, 'latin1'));
      const held = hostOf(L).held(file);
      if (held === undefined) noteFile(L, path);
      if (held === undefined ? isReadable(hostOf(L).locate(path)) : held !== null) return { file };
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

/** A text of searchPath; of one that is too long, so much that it can tell. */
function checkPart(L: LuaState, arg: number): string {
  return latin1(checkCString(L, arg, LONGEST_PATH + 1));
}

function optPart(L: LuaState, arg: number, absent: string): string {
  if (lua.lua_isnoneornil(L, arg)) return absent;
  return latin1(lauxlib.luaL_checkstring(L, arg).subarray(0, LONGEST_PATH + 1));
}

function package_searchpath(L: LuaState): number {
  const name = checkPart(L, 1);
  const path = checkPart(L, 2);
  const separator = optPart(L, 3, '.');
  const replacement = optPart(L, 4, '/');
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

/** Calls that are looked through for a module's chunk: nested requires end long before, with a C stack overflow. */
const DEEPEST_LOOK = 200;

/** Whether `require` is running this file, further down the stack. */
function isBeingLoaded(L: LuaState, file: string): boolean {
  const call = new lua.lua_Debug();
  let found = false;
  for (let level = 1; level < DEEPEST_LOOK && lua.lua_getstack(L, level, call) === 1; level++) {
    lua.lua_getinfo(L, ascii('S'), call);
    // A script whose own file is found as a module was not called by `require`: nothing is below it.
    if (found && latin1(call.what ?? ascii('')) === 'C') return true;
    found = latin1(call.what ?? ascii('')) === 'main' && latin1(call.source ?? ascii('')) === `@${file}`;
  }
  return false;
}

/** The module that a program of JavaScript has: no file is taken for it, whether or not the operator allows it. */
const JAVASCRIPT = 'js';

/** package.searchers[2]; upvalue 1 is the package table. */
function searchLua(L: LuaState): number {
  const name = checkPart(L, 1);
  if (name === JAVASCRIPT) {
    lua.lua_pushstring(L, ascii('\n\tit needs the option --allow-js'));
    return 1;
  }
  lua.lua_getfield(L, lua.lua_upvalueindex(1), ascii('path'));
  const path = lua.lua_tostring(L, -1) ?? raise(L, "'package.path' must be a string");
  const found = searchPath(L, name, latin1(path.subarray(0, LONGEST_PATH + 1)), '.', '/');
  if ('file' in found) {
    if (isBeingLoaded(L, found.file)) raiseLoop(L, name);
    return runSteps(L, pushModule(L, name, found.file));
  }
  lua.lua_pushstring(L, Buffer.from(found.tried, 'latin1'));
  return 1;
}

/** With the position of who calls `require`: without a loop there is none, as in C Lua. */
function raiseLoop(L: LuaState, name: string): never {
  lauxlib.luaL_where(L, 2);
  const where = latin1(lua.lua_tostring(L, -1) ?? ascii(''));
  return raise(L, `${where}module '${name}' is required while it is being loaded`);
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

/** A template whose states have this package.path: names of files are UTF-8 in Lua, as in the file system. */
export function withPackagePath(template: Template, path: string): Template {
  const state = template.clone();
  const library = tableOf(fieldOf(state, globalsOf(state), 'package'));
  if (library) setField(state, library, 'path', textValue(state, Buffer.from(path).toString('latin1')));
  return new Template({ state, like: template });
}
