import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, test } from 'node:test';
import type { Outcome } from '../../src/lua/context/context.ts';
import { LuaContext } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import { hostOf } from '../../src/lua/engine/host.ts';
import { libraries } from '../../src/lua/lib/libraries.ts';
import { withPackagePath } from '../../src/lua/lib/package.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { LoopTurns } from '../helpers/loop-turns.ts';
import { callGlobal, contextOf, evaluate, template, testLibrary } from '../helpers/lua-context.ts';

const scratch = mkdtempSync(join(tmpdir(), 'waiting-'));
after(() => rmSync(scratch, { recursive: true }));
writeFileSync(join(scratch, 'waits.lua'), 'local value = wait("module") return { value = value }');

const withScratch = withPackagePath(template, `${scratch}/?.lua`);

async function run(source: string): Promise<string> {
  const script = compile(Buffer.from(source), 'test.lua');
  const outcome = await evaluate(new LuaContext({ template: withScratch, script }));
  return outcome.kind === 'done'
    ? outcome.value
    : `${outcome.kind}: ${'message' in outcome ? outcome.message : ''}`;
}

describe('a host function waits', () => {
  const works: Record<string, [source: string, result: string]> = {
    'in a plain call': ['return wait("a") .. wait("b")', 'ab'],
    'and its rejection is an error with file and line': [
      'local ok, message = pcall(function() waitfail() end) return ok, message',
      'false test.lua:1: host failure',
    ],
    'in pcall': ['return pcall(function() error(wait("x"), 0) end)', 'false x'],
    'in xpcall': [
      'return xpcall(function() error(wait("x"), 0) end, function(m) return "handled " .. m end)',
      'false handled x',
    ],
    'in pcall in pcall': [
      `return pcall(function()
         local ok, message = pcall(function() wait("z") error("inner", 0) end)
         wait("y")
         error(message .. " outer", 0)
       end)`,
      'false inner outer',
    ],
    'in a generic for': [
      'local r = "" for v in function(_, c) c = (c or 0) + 1 if c < 4 then wait("") return c end end do r = r .. v end return r',
      '123',
    ],
    'in metamethods': [
      `local m = {}
       local function new() return setmetatable({}, m) end
       m.__index = function(_, k) return wait("index " .. k) end
       m.__newindex = function(_, k, v) rawset(_G, k, wait(v)) end
       m.__add = function() return wait("add") end
       m.__concat = function() return wait("concat") end
       m.__eq = function() return wait("eq") == "eq" end
       m.__lt = function() return wait("lt") == "lt" end
       m.__le = function() return wait("le") == "le" end
       m.__len = function() return wait("len") end
       m.__call = function() return wait("call") end
       m.__unm = function() return wait("unm") end
       local a, b = new(), new()
       a.global = "newindex"
       return a.x, global, a + b, a .. b, a == b, a < b, a <= b, #a, a(), -a`,
      'index x newindex add concat true true true len call unm',
    ],
    'in a loaded chunk': ['return load("return wait([[chunk]])")()', 'chunk'],
    'in dofile': [`return dofile("${scratch}/waits.lua").value`, 'module'],
    'while a module is required': ['return require("waits").value, require("waits").value', 'module module'],
    'in a loader of package.preload': [
      'package.preload.p = function() return wait("pre") end return (require("p"))',
      'pre',
    ],
    'in a searcher': [
      'table.insert(package.searchers, 1, function(n) wait("") return function() return "found " .. n end end) return (require("q"))',
      'found q',
    ],
    'in a coroutine of the script': [
      `local co = coroutine.create(function() local a = wait("in") coroutine.yield("Y" .. a) return "done" end)
       local r = {}
       for i = 1, 3 do
         local ok, v = coroutine.resume(co)
         r[#r + 1] = tostring(ok) .. ":" .. tostring(v)
       end
       return table.concat(r, " ") .. " " .. coroutine.status(co)`,
      'true:Yin true:done false:cannot resume dead coroutine dead',
    ],
    'in a wrapped coroutine in a for': [
      'local r = "" for v in coroutine.wrap(function() for i = 1, 3 do coroutine.yield(wait("v" .. i)) end end) do r = r .. v end return r',
      'v1v2v3',
    ],
    'in a coroutine in a coroutine, which fails': [
      `local co = coroutine.wrap(function()
         local inner = coroutine.wrap(function() wait("deep") error("boom", 0) end)
         inner()
       end)
       return pcall(co)`,
      'false test.lua:1: test.lua:3: boom',
    ],
    'in pcall in a coroutine': [
      'local co = coroutine.wrap(function() return pcall(function() return wait("q") end) end) return co()',
      'true q',
    ],
    'in a callback of string.gsub': [
      'return (("abc"):gsub(".", function(c) return wait(c .. c) end))',
      'aabbcc',
    ],
    'in a comparison of table.sort': [
      'local t = { 3, 1, 2 } table.sort(t, function(a, b) wait("") return a < b end) return table.concat(t)',
      '123',
    ],
    'in a reader function of load': [
      'local n = 0 return load(function() n = n + 1 return wait(({ "return ", "1 + ", "41" })[n]) end)()',
      '42',
    ],
    'in metamethods that library functions call': [
      `local slow = setmetatable({}, {
         __index = function(_, i) return wait("v" .. i) end,
         __newindex = function(t, k, v) rawset(t, k, wait(v)) end,
         __len = function() return #wait("xx") end,
         __lt = function(a, b) return wait("") and a[0] < b[0] end,
         __tostring = function() return wait("text") end,
       })
       local mt = getmetatable(slow)
       local smaller, larger = setmetatable({ [0] = 1 }, mt), setmetatable({ [0] = 2 }, mt)
       local pair = { larger, smaller }
       table.sort(pair)
       local out = { table.concat(slow, ","), table.unpack(slow) }
       table.insert(slow, "last")
       for i, v in ipairs(slow) do out[#out + 1] = i .. v if i == 3 then break end end
       out[#out + 1] = string.format("%5s|%s", slow, slow)
       out[#out + 1] = (("ab"):gsub(".", slow))
       return pair[1] == smaller, table.concat(out, " ")`,
      'true v1,v2 v1 v2 1v1 2v2 3last  text|text vavb',
    ],
    'in a coroutine in a callback of string.gsub': [
      'return (("ab"):gsub(".", coroutine.wrap(function(c) while true do c = coroutine.yield(wait(c)) end end)))',
      'ab',
    ],
    'with values passed through a coroutine both ways': [
      `local co = coroutine.create(function(a, b)
         local c = coroutine.yield(a .. wait(b))
         return wait(c) .. "!"
       end)
       local _, first = coroutine.resume(co, "1", "2")
       local _, second = coroutine.resume(co, "3")
       return first, second`,
      '12 3!',
    ],
  };
  for (const [name, [source, result]] of Object.entries(works)) {
    it(name, async () => {
      // wrap puts the position of its caller before an error, which the test of nested coroutines does not pin down.
      const actual = (await run(source)).replace(
        /^false (test\.lua:\d+: )+boom$/,
        'false test.lua:1: test.lua:3: boom',
      );
      assert.equal(actual, result);
    });
  }

  const cannot: Record<string, string> = {
    'a function called where nothing can be suspended': 'barred(function() wait("b") end)',
    'a coroutine inside such a function': 'barred(function() coroutine.wrap(wait)("c") end)',
  };
  for (const [name, source] of Object.entries(cannot)) {
    it(`not in ${name}, and the error says what to do`, async () => {
      assert.match(await run(source), /^failed: .*test\.lua:1: cannot wait here: .* wait after it$/);
    });
  }

  it('not in an error handler', async () => {
    const source = 'local ok, m = xpcall(error, function(m) return select(2, pcall(wait, "x")) end) return m';
    assert.match(await run(source), /cannot wait here: .* error handler/);
  });

  it('gives the script all results of many waits in order', async () => {
    const source = 'local r = {} for i = 1, 500 do r[i] = wait(tostring(i)) end return r[1], r[500], #r';
    assert.equal(await run(source), '1 500 500');
  });
});

describe('a script sees', () => {
  it('no coroutine in its callback', async () => {
    assert.equal(await run('return coroutine.isyieldable(), select(2, coroutine.running())'), 'false true');
    assert.equal(
      await run(
        'return coroutine.wrap(function() return coroutine.isyieldable(), select(2, coroutine.running()) end)()',
      ),
      'true false',
    );
  });

  it('an error for a yield outside of coroutines', async () => {
    assert.equal(
      await run('coroutine.yield(1)'),
      'failed: test.lua:1: attempt to yield from outside a coroutine',
    );
  });

  it('an error when it resumes the callback itself', async () => {
    const source = `local main = coroutine.running()
      return coroutine.wrap(function() return coroutine.resume(main) end)()`;
    assert.equal(await run(source), 'false cannot resume dead coroutine'); // As C Lua says when `wrap` has no argument.
  });
});

describe('a callback that waits', () => {
  /** A template with hold(), which waits until the test says so. */
  function held() {
    const calls: { resolve: () => void; signal: AbortSignal }[] = [];
    let called: () => void = () => {};
    const library = {
      install(L: Parameters<typeof hostOf>[0]) {
        lua.lua_pushcfunction(L, (L) =>
          hostOf(L).wait(
            L,
            (signal) =>
              new Promise<void>((resolve) => {
                calls.push({ resolve, signal });
                called();
              }),
            () => 0,
          ),
        );
        lua.lua_setglobal(L, ascii('hold'));
      },
    };
    const made = new Template([...libraries, testLibrary, library]);
    const context = new LuaContext({
      template: made,
      script: compile(
        Buffer.from(`after = 0
          function f() local function inner() hold() end inner() after = after + 1 return "over" end
          function nested() coroutine.wrap(f)() end
          function keep() kept = coroutine.running() f() end
          function again() return coroutine.resume(kept) end
          function count() return after end`),
        'held.lua',
      ),
    });
    context.run();
    const next = (): Promise<void> =>
      new Promise((resolve) => {
        called = resolve;
      });
    return { context, calls, next };
  }

  it('goes on when the promise settles', async () => {
    const { context, calls, next } = held();
    const begun = next();
    const outcome = callGlobal(context, 'f');
    assert.ok(outcome instanceof Promise);
    await begun;
    assert.equal(context.running, true);
    assert.throws(() => callGlobal(context, 'count'), /running/);
    calls[0]?.resolve();
    assert.deepEqual(await outcome, { kind: 'done', value: 'over' });
    assert.equal(context.running, false);
  });

  it('ends at once when cancelled, and the wait learns of it', async () => {
    const { context, calls, next } = held();
    for (const name of ['f', 'nested']) {
      const begun = next();
      const outcome = callGlobal(context, name);
      await begun;
      const call = calls.at(-1);
      assert.equal(call?.signal.aborted, false);
      context.cancel('client gone');
      assert.deepEqual(await outcome, { kind: 'cancelled' });
      assert.equal(call?.signal.aborted, true);
      assert.equal(call?.signal.reason.message, 'client gone');
      call?.resolve(); // Too late.
      await new Promise(setImmediate);
      assert.deepEqual(callGlobal(context, 'count'), { kind: 'done', value: '0' });
    }
  });

  it('cannot be taken up again by the script after it was cancelled', async () => {
    const { context, next } = held();
    const begun = next();
    const outcome = callGlobal(context, 'keep');
    await begun;
    context.cancel();
    await outcome;
    assert.deepEqual(callGlobal(context, 'again'), {
      kind: 'done',
      value: 'false cannot resume dead coroutine',
    });
  });

  it('ends at its deadline', async () => {
    const { context, calls, next } = held();
    const begun = next();
    const pending = callGlobal(context, 'nested', [], { deadlineMs: 30 });
    await begun;
    const outcome: Outcome<string> = await pending;
    assert.equal(outcome.kind, 'overBudget');
    if (outcome.kind !== 'overBudget') return;
    assert.equal(outcome.what, 'deadline');
    assert.equal(outcome.where, 'held.lua:2');
    assert.equal(outcome.message, 'held.lua:2: the time for this callback is over');
    assert.match(outcome.traceback, /held\.lua:2: in .*'inner'/);
    assert.equal(calls[0]?.signal.aborted, true);
    assert.equal(context.usable, false);
  });

  it('is let go of when its context is disposed of', async () => {
    const { context, calls, next } = held();
    const begun = next();
    const outcome = callGlobal(context, 'f');
    await begun;
    let closed = 0;
    context.openFiles.add({ close: () => void closed++ });
    context.openFiles.add({
      close() {
        throw new Error('EIO');
      },
    });
    context.dispose();
    assert.deepEqual(await outcome, { kind: 'cancelled' });
    assert.equal(calls[0]?.signal.aborted, true);
    assert.equal(closed, 1);
    assert.equal(context.openFiles.size, 0);
    assert.throws(() => callGlobal(context, 'count'), /usable/);
  });
});

it('a thousand contexts that wait 100 ms each end together', async () => {
  const library = {
    install(L: Parameters<typeof hostOf>[0]) {
      lua.lua_pushcfunction(L, (L) =>
        hostOf(L).wait(
          L,
          () => new Promise<void>((resolve) => setTimeout(resolve, 100)),
          () => 0,
        ),
      );
      lua.lua_setglobal(L, ascii('sleep'));
    },
  };
  const made = new Template([...libraries, library]);
  const script = compile(Buffer.from('sleep() return "woken"'), 'sleep.lua');
  const begin = performance.now();
  const outcomes = await Promise.all(
    Array.from({ length: 1000 }, () => evaluate(new LuaContext({ template: made, script }))),
  );
  assert.ok(outcomes.every((outcome) => outcome.kind === 'done' && outcome.value === 'woken'));
  assert.ok(performance.now() - begin < 10_000); // One after the other would take 100 s.
});

it('a callback that does not wait gives its outcome without a promise', () => {
  const context = contextOf('function f(a) return a .. a end');
  context.run();
  assert.deepEqual(callGlobal(context, 'f', ['é\0']), { kind: 'done', value: 'é\0é\0' });
});

test('callbacks whose waits end together share a turn of the event loop', async (t) => {
  const contexts = Array.from({ length: 40 }, () =>
    contextOf('wait("") local x = 0 for i = 1, 60000 do x = x + i % 7 end'),
  );
  const turns = new LoopTurns();
  const outcomes = await Promise.all(contexts.map((context) => evaluate(context)));
  const { longest, all } = await turns.end();
  assert.ok(outcomes.every(({ kind }) => kind === 'done'));
  t.diagnostic(`${longest.toFixed(1)} ms in a turn, ${all.toFixed(0)} ms in all`);
  assert.ok(longest < all / 3);
});
