import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import type { LuaState } from 'fengari';
import { LuaContext } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, lauxlib, lua } from '../../src/lua/engine/engine.ts';
import { libraries } from '../../src/lua/lib/libraries.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { contextOf, resultOf } from '../helpers/lua-context.ts';

/** What one script does, and what another would see of it. */
const leaks: Record<string, [change: string, look: string]> = {
  'a global': ['leaked = "leak"', 'return leaked'],
  'a global through _G': ['_G.leaked = "leak"', 'return _G.leaked'],
  'a metatable of _G': ['setmetatable(_G, { __index = function() return "leak" end })', 'return anything'],
  'a function of string': ['string.upper = function() return "leak" end', 'return ("x"):upper() == "leak"'],
  'a new function of string': ['string.leak = function() return "leak" end', 'return string.leak'],
  'the metatable of strings': [
    'getmetatable("").__index = function() return "leak" end',
    'return ("x").anything',
  ],
  'a metamethod of strings': [
    'getmetatable("").__add = function() return "leak" end',
    'return (pcall(function() return "a" + "b" end))',
  ],
  'a function of table': ['table.insert = nil', 'return table.insert == nil'],
  'a function of math': ['math.pi = "leak"', 'return math.pi == "leak"'],
  'a function of os': ['os.leak = "leak"', 'return os.leak'],
  'a function of io': ['io.leak = "leak"', 'return io.leak'],
  'a method of files': [
    'getmetatable(io.stdout).__index.leak = "leak"',
    'return getmetatable(io.stdout).__index.leak',
  ],
  'package.loaded': ['package.loaded.leak = "leak"', 'return package.loaded.leak'],
  'package.preload': ['package.preload.leak = function() return "leak" end', 'return package.preload.leak'],
  'package.path': ['package.path = "leak"', 'return package.path == "leak"'],
  'package.searchers': [
    'table.insert(package.searchers, function() return function() return "leak" end end)',
    'return (pcall(require, "leak"))',
  ],
  'a library table in package.loaded': ['package.loaded.string.leak = "leak"', 'return string.leak'],
  'the environment of a loaded chunk': ['load("leaked = 1")()', 'return leaked or load("return leaked")()'],
  'an upvalue of the script': [
    'local n = (n or 0) + 1 function f() n = n + 1 return n end f() f()',
    'return n',
  ],
  'a metatable of numbers': [
    'pcall(debug.setmetatable, 0, { __index = function() return "leak" end })',
    'return (pcall(function() return (1).x end))',
  ],
  'a metatable of functions': [
    'pcall(debug.setmetatable, print, { __index = function() return "leak" end })',
    'return (pcall(function() return print.x end))',
  ],
  'the registry': [
    'local ok, r = pcall(debug.getregistry) if ok then r.leak = "leak" end',
    'local ok, r = pcall(debug.getregistry) return ok and r.leak',
  ],
  'an output file': ['pcall(io.output, "/dev/null")', 'return io.output() ~= io.stdout'],
};

describe('no script sees of another', () => {
  for (const [what, [change, look]] of Object.entries(leaks)) {
    it(what, async () => {
      assert.match(await resultOf(look), /^(nil|false)$/, 'a fresh context');
      const changed = contextOf(change);
      assert.equal((await changed.run()).kind, 'done');
      assert.match(await resultOf(look), /^(nil|false)$/, 'while the other lives');
      changed.dispose();
      assert.match(await resultOf(look), /^(nil|false)$/, 'after it');
    });
  }

  it('the variables of the same script', async () => {
    const script = compile(
      Buffer.from('local n = 0 local t = {} function f() n = n + 1 t[n] = n return #t end'),
      'shared',
    );
    const template = new Template(libraries);
    const contexts = [0, 1].map(() => new LuaContext({ template, script }));
    for (const context of contexts) context.run();
    const call = (context: LuaContext | undefined) =>
      context?.call(
        (L) => {
          lua.lua_getglobal(L, ascii('f'));
          return 0;
        },
        (L) => lua.lua_tointeger(L, -1),
      );
    assert.deepEqual(call(contexts[0]), { kind: 'done', value: 1 });
    assert.deepEqual(call(contexts[0]), { kind: 'done', value: 2 });
    assert.deepEqual(call(contexts[1]), { kind: 'done', value: 1 });
  });
});

describe('a copy of a template', () => {
  /** Everything a template can hold that must be copied, not shared. */
  const rich = new Template([
    ...libraries,
    {
      install(L: LuaState) {
        const chunk = `
          local shared, key = { n = 0 }, {}
          object = setmetatable({ [key] = "by object", [print] = "by function", [1.5] = "float", [true] = "boolean" },
            { __index = shared, __call = function() shared.n = shared.n + 1 return shared.n end })
          object.self = object
          objectKey = key
          function count() shared.n = shared.n + 1 return shared.n end
          list = { 1, 2, 3, "four" }
          rules = { last = "of them" }
          for i = 1, 100 do rules[i] = { i, name = "rule " .. i } end`;
        const bytes = new Uint8Array(Buffer.from(chunk));
        assert.equal(lauxlib.luaL_loadbufferx(L, bytes, bytes.length, ascii('=rich'), ascii('t')), 0);
        lua.lua_call(L, 0, 0);
        const data = lua.lua_newuserdata(L, 0);
        data.field = 'value';
        lua.lua_newtable(L);
        lua.lua_pushcfunction(L, (L) => {
          lua.lua_pushliteral(L, String((lua.lua_touserdata(L, 1) as Record<string, unknown>).field));
          return 1;
        });
        lua.lua_setfield(L, -2, ascii('__tostring'));
        lua.lua_setmetatable(L, -2);
        lua.lua_setglobal(L, ascii('userdata'));
      },
    },
  ]);
  const run = async (source: string) => {
    const context = new LuaContext({ template: rich, script: compile(Buffer.from(source), 'rich') });
    const outcome = await context.call(
      (L) => {
        context.script.push(L);
        return 0;
      },
      (L, n) => Array.from({ length: n }, (_, i) => lua.lua_tojsstring(L, i + 1)).join(' '),
    );
    return outcome.kind !== 'done' ? JSON.stringify(outcome) : outcome.value;
  };

  it('holds tables in circles, keys of every kind, metatables, Lua functions with common variables', async () => {
    const source = `local n = object() + count()
      return object.self == object and "same" or "other", object[objectKey], object[print], object[1.5],
        object[true], object.n, n, #list, list[4], tostring(userdata)`;
    for (let i = 0; i < 3; i++) {
      assert.equal(await run(source), 'same by object by function float boolean 2 3 4 four value');
    }
  });

  it('keeps the order of a table for next', async () => {
    const order = await run(
      'local r = {} for k in pairs(string) do r[#r + 1] = k end return table.concat(r, " ")',
    );
    assert.match(order, /\bformat\b/);
    assert.equal(
      await run('local r = {} for k in pairs(string) do r[#r + 1] = k end return table.concat(r, " ")'),
      order,
    );
  });

  it('can be changed while it is traversed', async () => {
    assert.equal(await run('for k in pairs(list) do list[k] = nil end list.x = 1 return next(list)'), 'x 1');
    assert.equal(await run('return #list'), '4');
  });

  it('has tables of its own in a list, however they were come by', async () => {
    const source = `
      local first, ninth = rules[1], rules[9]
      first.name, rules[100].seen = "changed", true
      local names, seen = 0, 0
      for i, rule in ipairs(rules) do
        if rule.name == "rule " .. i and rule[1] == i then names = names + 1 end
        if rule.seen then seen = i end
      end
      rules[50] = nil
      local entries = 0
      for _ in pairs(rules) do entries = entries + 1 end
      local same = rawequal(first, rules[1]) and rawequal(ninth, rules[9])
      return names, seen, same and "same" or "others", rules[1].name, entries, rules.last, #rules`;
    for (let i = 0; i < 3; i++) assert.equal(await run(source), '99 100 same changed 100 of them 100');
  });

  it('cannot be made of a coroutine', () => {
    assert.throws(
      () =>
        new Template([
          {
            install(L) {
              lua.lua_newthread(L);
              lua.lua_setglobal(L, ascii('thread'));
            },
          },
        ]),
      /coroutine/,
    );
  });
});

it('contexts leave nothing behind', () => {
  const child = spawnSync(
    process.execPath,
    ['--expose-gc', '--import', 'tsx', new URL('../helpers/leak-check.ts', import.meta.url).pathname],
    { encoding: 'utf8', timeout: 600_000 },
  );
  assert.equal(child.status, 0, child.stderr);
  const { grownPerContext, uncollected } = JSON.parse(child.stdout);
  assert.ok(grownPerContext < 500, `${grownPerContext} bytes per context`);
  assert.ok(uncollected < 20, `${uncollected} contexts are still held`);
});
