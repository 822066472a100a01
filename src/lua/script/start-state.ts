/**
 * What a script's main chunk leaves, copied for each session in its place.
 *
 * Most main chunks only set variables and define functions. To run such a chunk for each session comes to the same as to
 * copy what it has left, and costs more the longer the script is. It may be left out where it does nothing that can be
 * seen outside of its own state and where nothing that it is told can differ from one session to the next: where every
 * function that it calls, and that is not written in Lua, is one of those listed here, and no object was told by its
 * address (`tostring({})`). Files of modules may change: while
 * they do not, `require` is one of them.
 */
import type { CClosure, LuaFunction, LuaState, LuaTable, TValue } from 'fengari';
import { LuaContext } from '../context/context.ts';
import type { Template } from '../context/template.ts';
import { internals } from '../engine/engine.ts';
import { fieldOf, globalsOf, NIL, tableOf } from '../engine/values.ts';
import { compile } from './compilation.ts';

/** By library; `_G` are the globals. What is random, waits, prints, reads, or asks for time or memory is not among them. */
const REPEATABLE: Readonly<Record<string, string>> = {
  _G: `assert error getmetatable ipairs load next pairs pcall rawequal rawget rawlen rawset require select
    setmetatable tonumber tostring type xpcall`,
  coroutine: 'create isyieldable resume running status wrap yield',
  debug: 'getinfo',
  math: `abs acos asin atan ceil cos deg exp floor fmod log max min modf rad sin sqrt tan tointeger type ult`,
  package: 'searchpath',
  string: `byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper`,
  table: 'concat insert move pack remove sort unpack',
  utf8: 'char codepoint codes len offset',
};

/** Iterators and the like, which have no names. */
const NAMELESS = `return ipairs({}), string.gmatch('', ''), utf8.codes(''), coroutine.wrap(function() end),
  package.searchers[1], package.searchers[2]`;

/**
 * The functions of a template's libraries that do the same in every session and leave no trace outside of its state.
 *
 * @param pure those of the policy's modules, by their full names: `net.prefix`, and `net.list:has` for methods
 */
export function repeatableFunctions(template: Template, pure: readonly string[]): ReadonlySet<LuaFunction> {
  const functions = new Set<LuaFunction>();
  const add = ({ type, value }: TValue): void => {
    if (type === internals.tags.LUA_TLCF) functions.add(value as LuaFunction);
    else if (type === internals.tags.LUA_TCCL) functions.add((value as CClosure).f);
  };
  const context = new LuaContext({ template, script: compile(Buffer.from(NAMELESS), 'nameless') });
  context.call(
    (L) => {
      context.script.push(L);
      return 0;
    },
    (L) => {
      for (const value of L.stack) if (value !== undefined) add(value);
      const globals = globalsOf(L);
      for (const [library, names] of Object.entries(REPEATABLE)) {
        const table = library === '_G' ? globals : tableOf(fieldOf(L, globals, library));
        if (table) for (const name of names.split(/\s+/)) add(fieldOf(L, table, name));
      }
      for (const name of pure) add(functionAt(L, name));
    },
  );
  context.dispose();
  return functions;
}

/** The function `table.name`, or `class:method` of a class whose metatable is in the registry. */
function functionAt(L: LuaState, path: string): TValue {
  const [owner = '', method] = path.split(':');
  if (method !== undefined) {
    const metatable = tableOf(fieldOf(L, L.l_G.l_registry.value, owner));
    const methods = metatable && tableOf(fieldOf(L, metatable, '__index'));
    return methods ? fieldOf(L, methods, method) : NIL;
  }
  const names = path.split('.');
  const name = names.pop() ?? '';
  let table: LuaTable | undefined = globalsOf(L);
  for (const part of names) table = table && tableOf(fieldOf(L, table, part));
  return table ? fieldOf(L, table, name) : NIL;
}
