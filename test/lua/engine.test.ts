import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LuaState, LuaTable } from 'fengari';
import { LuaContext } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, bytesOf, latin1Of, lauxlib, lua } from '../../src/lua/engine/engine.ts';
import { fieldOf, globalsOf } from '../../src/lua/engine/values.ts';
import { libraries } from '../../src/lua/lib/libraries.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { contextOf, evaluate, resultOf, template, testLibrary } from '../helpers/lua-context.ts';

describe('patches of fengari', () => {
  it('keeps string keys apart that differ in control bytes', async () => {
    assert.equal(
      await resultOf('local t = { ["\\1\\35"] = "a", ["\\18\\3"] = "b" } return t["\\1\\35"], t["\\18\\3"]'),
      'a b',
    );
    assert.equal(
      await resultOf('local t = { [("\\t1"):rep(20)] = 1 } return t[("\\x93\\x01"):rep(20)]'),
      'nil',
    );
  });

  it('orders strings by their bytes', async () => {
    assert.equal(await resultOf('return "\\n" < "\\16", "a\\200" > "a\\100", "" < "\\0"'), 'true true true');
  });

  it('compares long strings by their bytes', async () => {
    const long = 'local s = ("x"):rep(300) local a, b = s .. "a\\255", s .. "b" ';
    assert.equal(
      await resultOf(`${long} return a == s .. "a\\255", a == b, a == s, a < b, a <= b, a <= a, a < a`),
      'true false false true true true false',
    );
  });

  it('takes text of more than 1024 bytes for no number', async () => {
    assert.equal(
      await resultOf(`local s = ("0"):rep(1023) .. "7"
        return tonumber(s), s + 1, tonumber("0" .. s)`),
      '7 8.0 nil',
    );
    assert.equal(
      await resultOf('return tonumber("\\233"), tonumber("1\\160"), tonumber(" 1.5e1 ")'),
      'nil nil 15.0',
    );
    const long = 'local s = ("1"):rep(1e6) return pcall(function() return s + 1 end)';
    assert.match(await resultOf(long), /^false .*attempt to perform arithmetic on a string value/);
  });

  it('raises a memory error for a string over the limit, by every way to make one', async () => {
    const limits = { stringBytes: 100_000 };
    const grow = 'local s = "x" while true do s = s .. s end';
    const outcome = await evaluate(contextOf(grow, limits));
    assert.equal(outcome.kind, 'failed');
    assert.equal(outcome.kind === 'failed' && outcome.message, 'not enough memory');
    assert.equal(await resultOf(`return pcall(function() ${grow} end)`, limits), 'false not enough memory');
    assert.equal(await resultOf('return pcall(own, 100001)', limits), 'false not enough memory');
    const half = 'local h = ("x"):rep(60000)';
    assert.equal(
      await resultOf(`${half} return pcall(table.concat, {h, h})`, limits),
      'false not enough memory',
    );
    assert.equal(
      await resultOf(`${half} return pcall(string.gsub, h, "x", "yy")`, limits),
      'false not enough memory',
    );
  });

  it('empties a popped slot and does not delete it, which is slow', () => {
    const L = lauxlib.luaL_newstate();
    lua.lua_pushboolean(L, true);
    lua.lua_pop(L, 1);
    assert.ok(Object.hasOwn(L.stack, L.top));
    assert.equal(L.stack[L.top], undefined);
  });

  it('copies the contents of a table of a copied state when they are needed, in whatever way', async () => {
    const looks = {
      'rawget(math, "pi") ~= nil': 'true',
      'next(math) ~= nil': 'true',
      'next(math, "pi") ~= nil or next(math) ~= "pi"': 'true',
      '#arg_like': '2',
      'rawlen(arg_like)': '2',
      'io.stdout ~= nil and io.stdout == io.output()': 'true',
    };
    for (const [expression, expected] of Object.entries(looks)) {
      const { state } = contextOf('');
      assert.ok(state);
      const library = (name: string) => fieldOf(state, globalsOf(state), name).value as LuaTable;
      assert.ok(library('io').base, 'it has file handles, which each copy must make');
      assert.ok(library('math').fill, 'not copied yet');
      assert.equal(await resultOf(`arg_like = package.searchers return ${expression}`), expected, expression);
    }
    assert.equal(
      await resultOf('math.extra = 1 math.pi = nil return math.extra, math.pi, math.huge'),
      '1 nil inf',
    );
    assert.equal(
      await resultOf('math.pi = nil for k in pairs(math) do if k == "pi" then return "left" end end'),
      '',
    );
  });

  it('does not call a message handler that fails for as long as there is room', async () => {
    assert.equal(
      await resultOf(
        'local n = 0 local a, b = xpcall(error, function() n = n + 1 error() end) return a, b, n',
      ),
      'false error in error handling 30',
    );
  });

  it('shares the names of metamethods between states', () => {
    assert.equal(lauxlib.luaL_newstate().l_G.tmname, lauxlib.luaL_newstate().l_G.tmname);
  });

  it('keeps removed keys, for a traversal under way, only where there are any', async () => {
    const L = lauxlib.luaL_newstate();
    lua.lua_newtable(L);
    const table = lua.lua_topointer(L, -1) as LuaTable;
    lua.lua_pushboolean(L, true);
    lua.lua_setfield(L, 1, ascii('key'));
    assert.equal(table.dead_strong, undefined);
    lua.lua_pushnil(L);
    lua.lua_setfield(L, 1, ascii('key'));
    assert.equal((lua.lua_topointer(L, -1) as LuaTable).dead_strong?.size, 1);
    assert.equal(
      await resultOf(
        'local t, n = { a = 1, b = 2, c = 3 }, 0 for k in pairs(t) do t[k] = nil n = n + 1 end return n, next(t)',
      ),
      '3 nil',
    );
    assert.equal(
      await resultOf(`
        local t = { a = 1, b = 2 }
        return pcall(function() for k in pairs(t) do t[k] = nil t[k .. "x"] = 1 end end)`),
      "false invalid key to 'next'",
    );
  });

  it('does not allocate the result of a long concatenation before it is refused', async () => {
    const operands = Array(150).fill('h').join('..');
    const source = `local h = ("x"):rep(8 * 1024 * 1024) return pcall(function() return #(${operands}) end)`;
    const context = contextOf(source);
    const original = globalThis.Uint8Array;
    let most = 0;
    globalThis.Uint8Array = new Proxy(original, {
      construct(target, args: [number], newTarget) {
        if (typeof args[0] === 'number') most = Math.max(most, args[0]);
        return Reflect.construct(target, args, newTarget);
      },
    });
    try {
      const outcome = await evaluate(context);
      assert.deepEqual(outcome, { kind: 'done', value: 'false not enough memory' });
    } finally {
      globalThis.Uint8Array = original;
    }
    assert.ok(most < 32 * 1024 * 1024, `${most} bytes were allocated`);
  });

  it('calls the count hook in a coroutine in which pcall has caught an error', async () => {
    const outcome = await evaluate(contextOf('pcall(error, "x") while true do end', { cpuMs: 50 }));
    assert.equal(outcome.kind, 'overBudget');
  });

  it('ends a callback that has caught an error in the same stretch before', async () => {
    const outcome = await evaluate(contextOf('pcall(error, "x") while true do end', { cpuMs: 2 }));
    assert.equal(outcome.kind, 'overBudget');
  });

  it('shares no closure between states that run one compiled script', () => {
    const script = compile(Buffer.from('function f() return 1 end'), 'x');
    const functions = [0, 1].map(() => {
      const context = new LuaContext({ template, script });
      context.run();
      const L = context.state as LuaState;
      lua.lua_getglobal(L, ascii('f'));
      return lua.lua_topointer(L, -1);
    });
    assert.notEqual(functions[0], functions[1]);
    const { cache } = script.proto.p[0] as { cache: unknown };
    assert.equal(cache, null);
  });

  it('leaves a key that a copy of a state removes alone in all others', async () => {
    assert.equal(await resultOf('for k in pairs(math) do math[k] = nil end return next(math)'), 'nil');
    assert.equal(
      await resultOf(
        'local n = 0 for k, v in pairs(math) do assert(math[k] == v) n = n + 1 end return n > 20',
      ),
      'true',
    );
  });

  it('keeps what happened when JavaScript throws inside an instruction', async () => {
    const strange = new Template([
      ...libraries,
      testLibrary,
      {
        install(L) {
          lua.lua_pushcfunction(L, (L) => {
            lua.lua_pushnil(L);
            const value = L.stack[L.top - 1];
            if (value) value.type = 99; // Not a type of Lua's: a table refuses it as a key by a JavaScript exception.
            return 1;
          });
          lua.lua_setglobal(L, ascii('strange'));
        },
      },
    ]);
    const script = compile(
      Buffer.from('local t = {} local k = strange() return pcall(function() return t[k] end)'),
      'x',
    );
    const context = new LuaContext({ template: strange, script });
    const outcome = context.run();
    assert.ok(!(outcome instanceof Promise));
    assert.equal(outcome.kind, 'failed');
    assert.match(
      outcome.kind === 'failed' ? outcome.message : '',
      /^internal error: Error: unknown key type: 99$/,
    );
    assert.equal(context.broken, true);
    assert.equal(context.usable, false);
  });
});

describe('JavaScript exceptions in library functions', () => {
  const throwing = (error: Error) =>
    new Template([
      ...libraries,
      {
        install(L) {
          lua.lua_pushcfunction(L, () => {
            throw error;
          });
          lua.lua_setglobal(L, ascii('throwing'));
        },
      },
    ]);
  const run = (error: Error, source: string) => {
    const context = new LuaContext({ template: throwing(error), script: compile(Buffer.from(source), 'x') });
    const outcome = context.call(
      (L) => {
        context.script.push(L);
        return 0;
      },
      (L) => latin1Of(lauxlib.luaL_tolstring(L, -1)),
    );
    return { context, outcome };
  };

  it('turn into a Lua error where memory or stack was too small', () => {
    const memory = run(new RangeError('Array buffer allocation failed'), 'return select(2, pcall(throwing))');
    assert.deepEqual(memory.outcome, { kind: 'done', value: 'not enough memory' });
    assert.equal(memory.context.usable, true);
    const stack = run(
      new RangeError('Maximum call stack size exceeded'),
      'return select(2, pcall(throwing))',
    );
    assert.deepEqual(stack.outcome, { kind: 'done', value: 'stack overflow' });
  });

  it('end the callback where they are a bug, whatever the script does to catch them', () => {
    for (const source of [
      'throwing()',
      'pcall(throwing)',
      'xpcall(throwing, print)',
      'pcall(string.gsub, "x", ".", function() pcall(throwing) end)',
      'coroutine.wrap(function() pcall(throwing) end)()',
      'coroutine.resume(coroutine.create(throwing))',
      'load(throwing)',
    ]) {
      const { context, outcome } = run(new TypeError('x is not a function'), `${source} survived = true`);
      assert.ok(!(outcome instanceof Promise) && outcome.kind === 'failed', source);
      assert.equal(outcome.message, 'internal error: TypeError: x is not a function', source);
      assert.match(outcome.traceback, /engine\.test/, source);
      assert.equal(context.broken, true, source);
    }
  });

  it('end the callback where JavaScript has protected the call', () => {
    let survived = 0;
    const swallowing = new Template([
      ...libraries,
      testLibrary,
      {
        install(L) {
          const fail = () => {
            throw new TypeError('a bug');
          };
          const functions: Record<string, (L: LuaState) => unknown> = {
            swallow1(L) {
              lua.lua_pushcfunction(L, fail);
              return lua.lua_pcall(L, 0, 0, 0);
            },
            swallow2(L) {
              lua.lua_pushcfunction(L, fail);
              return lua.lua_pcallk(L, 0, 0, 0, null, () => 0);
            },
            swallow3: (L) => lua.lua_load(L, fail, null, ascii('x'), null),
          };
          for (const [name, swallow] of Object.entries(functions)) {
            lua.lua_pushcfunction(L, (L) => {
              swallow(L);
              survived++;
              return 0;
            });
            lua.lua_setglobal(L, ascii(name));
          }
        },
      },
    ]);
    for (const source of ['swallow1()', 'barred(swallow2)', 'swallow3()']) {
      const context = new LuaContext({ template: swallowing, script: compile(Buffer.from(source), 'x') });
      const outcome = context.run();
      assert.ok(!(outcome instanceof Promise) && outcome.kind === 'failed', source);
    }
    assert.equal(survived, 0);
  });
});

describe('bytes and text', () => {
  it('converts every byte both ways', () => {
    const all = String.fromCharCode(...Array.from({ length: 256 }, (_, i) => i));
    for (const text of ['', all, all.repeat(3), 'é']) {
      assert.equal(latin1Of(bytesOf(text)), text);
      assert.equal(bytesOf(text).length, text.length);
    }
  });
});
