/** The loop that executes Lua code: what a function leaves in its registers, and what is taken short. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { liveSize } from '../../src/lua/context/live-size.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import { contextOf, evaluate, resultOf } from '../helpers/lua-context.ts';

describe('the registers of a function that has returned', () => {
  it('are not those that its closures refer to', async () => {
    assert.equal(
      await resultOf(`local made = {}
        local function make(x) made[#made + 1] = function() x = x + 1 return x end end
        make(1) make(10) make(5)
        local function failing(x) made[#made + 1] = function() x = x + 1 return x end error(x) end
        pcall(failing, 100) pcall(failing, 200)
        local function tail(x) made[#made + 1] = function() x = x + 1 return x end return make(x * 2) end
        tail(1000)
        for i = 1, 2 do make(i * 10000) local j = i made[#made + 1] = function() j = j + 1 return j end end
        for _, f in ipairs(made) do f() end
        local all = {} for i, f in ipairs(made) do all[i] = f() end
        return table.concat(all, " ")`),
      '3 12 7 102 202 1002 2002 10002 3 20002 4',
    );
  });

  it('hold nothing any more', async () => {
    const context = contextOf(
      `local function hoard(n) local t = {} for i = 1, n do t[i] = { i } end return n end
       local function deeper(n) return hoard(n) + 0 end
       hoard(20000) deeper(20000) string.rep("x", 1000000):upper()
       return size()`,
      { cpuMs: 10_000 },
    );
    const main = context.state;
    assert.ok(main);
    lua.lua_pushcfunction(main, (L) => {
      const walk = liveSize(main, L);
      let step = walk.next();
      while (step.done !== true) step = walk.next();
      lua.lua_pushnumber(L, step.value);
      return 1;
    });
    lua.lua_setglobal(main, ascii('size'));
    const outcome = await evaluate(context);
    assert.equal(outcome.kind, 'done');
    assert.ok(outcome.kind === 'done' && Number(outcome.value) < 500_000, JSON.stringify(outcome));
  });

  it('are made again for the functions of JavaScript that have used them', async () => {
    assert.equal(
      await resultOf(`local function wide(a, b, c, d, e, f, g, h)
          local x = ("k"):rep(2) local y, z = x:find("k") local n = select("#", x, y, z, a, b)
          local p, q, r = pcall(error, x) local s = { x:byte(1, -1) }
          return x, y, z, n, p, q, r, #s, a, h
        end
        local all = { wide(1, 2, 3, 4, 5, 6, 7, 8) }
        local some = table.pack((wide(1)), wide(2))
        return table.concat({ #all, all[9], all[10], some.n, some[10] }, " ")`),
      '10 1 8 11 2',
    );
  });
});

describe('a loop over a table', () => {
  it('tells of a key that was added meanwhile, as the function next does', async () => {
    const message = await resultOf(
      'return select(2, pcall(function() for k in next, {1} do local _ = next({}, "no such key") end end))',
    );
    assert.equal(message, "invalid key to 'next'");
    assert.equal(
      await resultOf('return select(2, pcall(function() for k in next, {1}, "no such key" do end end))'),
      "invalid key to 'next'",
    );
  });

  it('by ipairs ends at the first hole, and goes on with what __index has', async () => {
    assert.equal(
      await resultOf(`local t, seen = setmetatable({1, 2}, { __index = function(_, i) return i < 5 and i * 10 or nil end }), {}
        for i, v in ipairs(t) do seen[#seen + 1] = v end
        for i, v in ipairs({7, nil, 9}) do seen[#seen + 1] = v end
        return table.concat(seen, " ")`),
      '1 2 30 40 7',
    );
  });
});

describe('arithmetic', () => {
  it('is that of 32 bits and of floats', async () => {
    assert.equal(
      await resultOf(`local big, half, all = 2147483647, 0.5, {}
        for i, value in ipairs({ big + 1, big * 2, -big - 2, 7 // -2, -7 % 3, 7 % -3, 2 ^ 10, 7 / 2, half + 1,
          1 << 31, 5 & 3, 5 | 3, 5 ~ 3, ~5, -half, 10 // 0.0, 5.5 % 2, 1 < half, 1 <= 1.0, 1 == 1.0, "1" == 1 }) do all[i] = tostring(value) end
        return table.concat(all, " ")`),
      '-2147483648 -2 2147483647 -4 2 -2 1024.0 3.5 1.5 -2147483648 1 7 6 -6 -0.5 inf 1.5 false true true false',
    );
  });

  it('fails with the name of what is no number', async () => {
    for (const [code, message] of [
      ['local t = {} return t.x + 1', "field 'x'"],
      ['local s = {} return 1 .. s', "local 's'"],
      ['return missing.field', "global 'missing'"],
      ['local n = 1 return n:method()', "local 'n'"],
      ['local t = {} t.a.b = 1', "field 'a'"],
    ] as const) {
      assert.match(
        await resultOf(`return select(2, pcall(load(${JSON.stringify(code)})))`),
        new RegExp(message),
      );
    }
  });

  it('hands values to metamethods as they are', async () => {
    assert.equal(
      await resultOf(`local m = setmetatable({}, { __concat = function(a, b) return math.type(a) or math.type(b) end })
        return 5 .. m, m .. 2.5, "x" .. 1 .. m`),
      'integer float xinteger',
    );
  });
});
