import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuaContext, type Outcome } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import { defaultLimits, hostOf } from '../../src/lua/engine/host.ts';
import { libraries } from '../../src/lua/lib/libraries.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { LoopTurns } from '../helpers/loop-turns.ts';
import { callGlobal, contextOf, evaluate } from '../helpers/lua-context.ts';

const CPU_MS = 60;

/** Every script here never ends by itself, and tries to survive its end. */
const endless: Record<string, string> = {
  'a loop': 'while true do end',
  'a loop without a body': '::again:: goto again',
  'a loop after pcall caught an error': 'pcall(error, "x") while true do end',
  'a loop in pcall in a loop': 'while true do pcall(function() while true do end end) end',
  'pcall of itself': 'local function f() pcall(f) while true do end end f()',
  'a message handler': 'xpcall(function() while true do end end, function() while true do end end)',
  'a message handler after an ordinary error': 'xpcall(error, function() while true do end end)',
  'a message handler in a loop':
    'while true do xpcall(function() while true do end end, function(m) return m end) end',
  'a message handler in a gsub callback':
    '("a"):gsub(".", function() xpcall(function() while true do end end, function() while true do end end) end)',
  'message handlers that fail': `local function h() return xpcall(error, h) end
     while true do xpcall(error, h) end`,
  'pcall in a gsub callback':
    'while true do ("a"):gsub(".", function() while true do pcall(function() while true do end end) end end) end',
  'a gsub callback': 'while true do pcall(string.gsub, "aaaa", ".", function() while true do end end) end',
  'a sort comparison': `local t = {} for i = 1, 100 do t[i] = i end
     while true do pcall(table.sort, t, function(a, b) while true do end end) end`,
  'an __index':
    'local t = setmetatable({}, { __index = function() while true do end end }) while true do pcall(function() return t.x end) end',
  'a __tostring':
    'local t = setmetatable({}, { __tostring = function() while true do end end }) while true do pcall(tostring, t) end',
  'a __pairs':
    'local t = setmetatable({}, { __pairs = function() while true do end end }) while true do pcall(pairs, t) end',
  'a reader of load': 'while true do pcall(load, function() while true do end end) end',
  'a reader of load that never ends': 'while true do pcall(load, function() return "local x = 1 " end) end',
  'a coroutine': 'coroutine.wrap(function() while true do end end)()',
  'coroutines in a loop':
    'while true do local c = coroutine.wrap(function() while true do end end) pcall(c) end',
  'coroutines that are resumed':
    'while true do coroutine.resume(coroutine.create(function() while true do end end)) end',
  'coroutines in coroutines': `local function nest(n)
       if n == 0 then while true do end end
       while true do pcall(coroutine.wrap(function() nest(n - 1) end)) end
     end
     nest(20)`,
  'a crowd of short coroutines': `local function crowd(n)
       if n == 0 then return end
       for i = 1, 200 do coroutine.wrap(crowd)(n - 1) end
     end
     while true do crowd(5) end`,
  'a loop where nothing can be suspended':
    'while true do pcall(barred, function() while true do end end) end',
  'a coroutine where nothing can be suspended':
    'while true do pcall(barred, function() coroutine.wrap(function() while true do end end)() end) end',
  'pcall where nothing can be suspended': `barred(function()
       while true do pcall(function() while true do xpcall(error, function() while true do end end) end end) end
     end)`,
  'work of the host where nothing can be suspended':
    'while true do pcall(barred, function() while true do pcall(work, 1e9) end end) end',
  'recursion where nothing can be suspended': 'local function f() barred(f) end while true do pcall(f) end',
  'a coroutine in a sort comparison':
    'while true do pcall(table.sort, { 3, 2, 1 }, function() coroutine.wrap(function() while true do end end)() end) end',
  'an iterator': 'for _ in function() return 1 end do end',
  'recursion without end': 'local function f() return 1 + f() end while true do pcall(f) end',
  'tail calls without end': 'local function f() return f() end f()',
  'recursion through metamethods':
    'local t = {} setmetatable(t, { __index = function(t, k) return t[k] end }) while true do pcall(function() return t.x end) end',
  'recursion through tostring':
    'local t = {} setmetatable(t, { __tostring = function(t) return tostring(t) end }) while true do pcall(tostring, t) end',
  'recursion through gsub': 'local function f() return (("x"):gsub(".", f)) end while true do pcall(f) end',
  'recursion through coroutines':
    'local function f() return coroutine.wrap(f)() end while true do pcall(f) end',
  'work of the host': 'while true do pcall(work, 1e9) end',
  'work of the host in a sort comparison':
    'while true do pcall(table.sort, { 3, 2, 1 }, function() pcall(work, 1e9) end) end',
  'a large text to compile': 'while true do pcall(load, ("x = 1 "):rep(5e6)) end',
  'comparisons of long strings':
    'local s = ("x"):rep(8e6) local a, b = s .. "a", s .. "b" while true do if a == b or b < a or b <= a then end end',
  'arguments without end':
    'local function f(...) for i = 1, select("#", ...) do select(i, ...) end end local t = {} for i = 1, 20000 do t[i] = 1 end while true do f(table.unpack(t)) end',
  'a long package.path': 'package.path = ("?;"):rep(1e6) while true do pcall(require, "x") end',
  'debug.sethook': 'pcall(debug.sethook) while true do end',
  'debug.sethook in a coroutine': 'coroutine.wrap(function() pcall(debug.sethook) while true do end end)()',
  'waits in a loop': 'while true do wait("x") for i = 1, 1e5 do end end',
};

describe('a callback over its CPU time ends, by', () => {
  for (const [name, source] of Object.entries(endless)) {
    it(name, async () => {
      const context = contextOf(`function f() ${source} end`, { cpuMs: CPU_MS });
      context.run();
      const begin = processorTime();
      const outcome = await callGlobal(context, 'f');
      const took = processorTime() - begin;
      assert.equal(outcome.kind, 'overBudget', JSON.stringify(outcome));
      if (outcome.kind !== 'overBudget') return;
      assert.equal(outcome.what, 'cpu');
      assert.match(
        outcome.message,
        /^test\.lua:\d+: more than (60 ms of CPU time used|14 ms of CPU time used where others .+)$/,
      );
      assert.match(outcome.where, /^test\.lua:\d+$/);
      assert.match(outcome.traceback, /^stack traceback:\n\t.*/);
      assert.ok(took < 3000, `${took} ms`);
      assert.equal(context.usable, false);
      assert.throws(() => callGlobal(context, 'f'), /usable/);
    });
  }

  it('its main chunk', async () => {
    const outcome = await contextOf('while true do end', { cpuMs: CPU_MS }).run();
    assert.equal(outcome.kind, 'overBudget');
  });
});

describe('the end of a callback', () => {
  it('runs no more code of the script', async () => {
    const context = contextOf(
      `function f()
         for i = 1, 3 do
           xpcall(function()
             pcall(barred, function() while true do end end)
             mark(1)
           end, function() mark(2) end)
           mark(3)
         end
         coroutine.wrap(function() pcall(mark, 4) end)()
       end`,
      { cpuMs: CPU_MS },
    );
    let marks = 0;
    const L = context.state;
    assert.ok(L);
    lua.lua_pushcfunction(L, () => {
      marks++;
      return 0;
    });
    lua.lua_setglobal(L, ascii('mark'));
    context.run();
    assert.equal((await callGlobal(context, 'f')).kind, 'overBudget');
    assert.equal(marks, 0);
  });

  it('leaves other contexts as they are', async () => {
    const other = contextOf('n = 0 function f() n = n + 1 return n end');
    other.run();
    for (let i = 1; i <= 3; i++) {
      const attack = contextOf('while true do pcall(error) end', { cpuMs: 10 }).run();
      assert.deepEqual(callGlobal(other, 'f'), { kind: 'done', value: String(i) });
      assert.equal((await attack).kind, 'overBudget');
    }
  });

  it('by Host.abort without a budget is a failure that cannot be caught, and the context lives', async () => {
    const template = new Template([
      ...libraries,
      {
        install(L) {
          lua.lua_pushcfunction(L, (L) => hostOf(L).abort(L, 'exit called'));
          lua.lua_setglobal(L, ascii('exit'));
        },
      },
    ]);
    const source = `function f() pcall(coroutine.wrap(function() pcall(exit) end)) survived = true end
      function g() return survived end`;
    const context = new LuaContext({ template, script: compile(Buffer.from(source), 'exit.lua') });
    context.run();
    const outcome = callGlobal(context, 'f');
    assert.ok(!(outcome instanceof Promise) && outcome.kind === 'failed');
    assert.equal(outcome.message, 'exit.lua:1: exit called');
    assert.equal(context.usable, true);
    assert.deepEqual(callGlobal(context, 'g'), { kind: 'done', value: 'nil' });
  });
});

/** Milliseconds of work of this process: unlike the clock's, they do not pass while others have the machine. */
function processorTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

describe('long work', () => {
  it('is cut into slices, and others are answered meanwhile', async () => {
    const busy = Array.from({ length: 8 }, () =>
      contextOf('local n = 0 for i = 1, 2e6 do n = n + i % 7 end return n'),
    );
    const quick = contextOf('function f() return "answer" end');
    quick.run();
    const ends = Promise.all(busy.map((context) => evaluate(context)));
    let turns = 0;
    let going = true;
    const look = () => {
      turns++;
      assert.deepEqual(callGlobal(quick, 'f'), { kind: 'done', value: 'answer' });
      if (going) setImmediate(look);
    };
    const loop = new LoopTurns();
    setImmediate(look);
    const outcomes = await ends;
    going = false;
    const { longest } = await loop.end();
    assert.ok(outcomes.every((outcome) => outcome.kind === 'done'));
    assert.ok(turns > 8, `${turns} turns`);
    // A slice is 5 ms. All eight one after the other take a second.
    assert.ok(longest < 60, `${longest} ms without a turn of the event loop`);
  });

  it('gives the same result in slices as at once', async () => {
    const source = `
      local out = {}
      local co = coroutine.wrap(function(a)
        local n = a
        for i = 1, 3e5 do n = (n * 31 + i) % 65521 end
        local b = coroutine.yield(n)
        for i = 1, 3e5 do n = (n * 31 + b) % 65521 end
        return n
      end)
      out[1] = co(7)
      out[2] = co(5)
      local ok, e = pcall(function() for i = 1, 3e5 do out[3] = i end error("end", 0) end)
      out[4] = e
      local t = {} for i = 1, 2000 do t[i] = (i * 7919) % 2003 end
      table.sort(t, function(x, y) for i = 1, 20 do end return x < y end)
      out[5] = t[1] .. "," .. t[2000]
      return table.concat(out, " ")`;
    const sliced = await evaluate(contextOf(source, { cpuMs: 20_000 }));
    assert.deepEqual(sliced, { kind: 'done', value: '31154 28769 300000 end 1,2002' });
  });

  it('that has ended can be followed by other callbacks', async () => {
    const context = contextOf(
      'function f() for i = 1, 1e6 do end return "f" end function g() return "g" end',
    );
    context.run();
    for (let i = 0; i < 3; i++) {
      const outcome = callGlobal(context, 'f');
      assert.ok(outcome instanceof Promise);
      assert.deepEqual(await outcome, { kind: 'done', value: 'f' });
      assert.deepEqual(callGlobal(context, 'g'), { kind: 'done', value: 'g' });
    }
  });

  it('is cancelled between two slices', async () => {
    const context = contextOf('function f() while true do end end');
    context.run();
    const outcome = callGlobal(context, 'f');
    assert.ok(outcome instanceof Promise);
    context.cancel();
    assert.deepEqual(await outcome, { kind: 'cancelled' });
    assert.equal(context.usable, true);
  });

  it('ends at its deadline', async () => {
    const context = contextOf('function f() while true do end end');
    context.run();
    const outcome = await callGlobal(context, 'f', [], { deadlineMs: 30 });
    assert.equal(outcome.kind === 'overBudget' && outcome.what, 'deadline');
  });

  it('may wait for longer than its CPU time', async () => {
    const context = contextOf('for i = 1, 300 do wait("x") end return "ended"', { cpuMs: 200 });
    const pause = setInterval(() => {
      const end = performance.now() + 5;
      while (performance.now() < end);
    }, 1);
    const outcome = await evaluate(context);
    clearInterval(pause);
    assert.equal(outcome.kind, 'done');
  });
});

describe('memory', () => {
  const limits = { memoryBytes: 48 * 1024 * 1024, cpuMs: 20_000 };
  const hungry: Record<string, string> = {
    'a growing table': 'local t = {} for i = 1, 1e9 do t[i] = { i } end',
    'a growing table in pcall':
      'while true do pcall(function() t = t or {} for i = 1, 1e9 do t[#t + 1] = { i } end end) end',
    'strings in a table': 'local t = {} for i = 1, 1e9 do t[i] = ("x"):rep(1e6) .. i end',
    'strings in a table in pcall':
      'local t = {} while true do pcall(function() t[#t + 1] = ("x"):rep(1e6) .. #t end) end',
    closures: 'local f for i = 1, 1e9 do local g = f f = function() return g end end',
    coroutines: 'local t = {} while true do t[#t + 1] = coroutine.create(print) end',
    'a table grown in a sort comparison':
      'local t = {} pcall(table.sort, { 3, 2, 1 }, function() for i = 1, 1e9 do t[i] = { i } end end)',
  };
  for (const [name, source] of Object.entries(hungry)) {
    it(`is bounded for ${name}`, async () => {
      const outcome: Outcome<string> = await evaluate(contextOf(source, limits));
      assert.equal(outcome.kind, 'overBudget', JSON.stringify(outcome));
      assert.equal(outcome.kind === 'overBudget' && outcome.what, 'memory');
      assert.match(
        outcome.kind === 'overBudget' ? outcome.message : '',
        /^test\.lua:1: memory grew by more than 48 MiB$/,
      );
    });
  }

  it('that is garbage does not count', async () => {
    const tables = 'local n = 0 for i = 1, 4e5 do local t = { i, i } n = n + #t end return n';
    assert.deepEqual(await evaluate(contextOf(tables, limits)), { kind: 'done', value: '800000' });
    const strings = 'local s = ("x"):rep(1e6) for i = 1, 300 do local t = s .. i end return "ended"';
    assert.deepEqual(await evaluate(contextOf(strings, limits)), { kind: 'done', value: 'ended' });
  });

  it('has a limit of 128 MiB by default, and CPU time one of a second', () => {
    assert.equal(defaultLimits.memoryBytes, 128 * 1024 * 1024);
    assert.equal(defaultLimits.cpuMs, 1000);
  });
});
