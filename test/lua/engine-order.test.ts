/**
 * The order of traversals and the borders of tables with holes. What C Lua does was taken from lua5.3; more of it is in
 * conformance/traversal.lua.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LuaState } from 'fengari';
import { traversalOrder } from '../../src/lua/engine/table-replay.ts';
import { fieldOf, globalsOf } from '../../src/lua/engine/values.ts';
import { contextOf, evaluate, resultOf } from '../helpers/lua-context.ts';

const keysOf = (table: string): Promise<string> =>
  resultOf(`local keys = {} for k in pairs(${table}) do keys[#keys + 1] = tostring(k) end
    return table.concat(keys, " ")`);

const filled = (statements: string): string => `(function() local t = {} ${statements} return t end)()`;

describe('a traversal', () => {
  it('visits the array part first and in order', async () => {
    assert.equal(await keysOf('{x=1, 10, 20}'), '1 2 x');
    assert.equal(await keysOf(filled('for i = 5, 1, -1 do t[i] = i end')), '1 2 3 4 5');
    assert.equal(await keysOf(filled('t.x = 1 t[1] = 1 t[2] = 2')), '1 2 x');
    assert.equal(await keysOf(filled('t = {1, 2, 3} t[2] = nil t[2] = 2')), '1 2 3');
    assert.equal(await keysOf(filled('t = {1, 2, nil, 4, x = 1}')), '1 2 4 x');
    assert.equal(await resultOf('return next({x=1, 5})'), '1 5');
  });

  it('visits the other numbers as C Lua does', async () => {
    assert.equal(await keysOf('{[550]=1, [421]=2, [250]=3, [354]=4}'), '354 421 550 250');
    assert.equal(
      await keysOf(filled('for _, k in ipairs{550, 421, 250, 354, 451} do t[k] = 1 end')),
      '250 451 421 550 354',
    );
    assert.equal(await keysOf('{[1]=1, [2]=2}'), '2 1');
    assert.equal(await keysOf('{[1.5]=1, [2.5]=2, [0.1]=3, 7}'), '1 0.1 1.5 2.5');
    assert.equal(await keysOf('{[true]=1, [false]=0}'), 'false true');
    assert.equal(
      await keysOf(filled('for i = 3, 30, 3 do t[i] = 1 end t[3] = nil t[9] = nil')),
      '18 21 6 24 27 12 30 15',
    );
  });

  it('puts long tables in order too', async () => {
    const long = 't.x = 1 for i = 1, 1000 do t[i] = i end for i = 1000, 1, -1 do t["k" .. i] = i end t.y = 1';
    const keys = (await keysOf(filled(long))).split(' ');
    assert.equal(keys.length, 2002);
    assert.deepEqual(
      keys.slice(0, 1000),
      Array.from({ length: 1000 }, (_, i) => String(i + 1)),
    );
    assert.deepEqual([keys[1000], keys[1001], keys[2001]], ['x', 'k1000', 'y']);
  });

  it('visits each entry once, whatever is removed and whoever begins another one meanwhile', async () => {
    for (const size of [20, 300]) {
      for (const fill of [
        't.x = 1 for i = 1, n do t[i] = i end',
        'for i = 1, n do t[i] = i end',
        'for i = 1, n - 1 do t[i] = i end t[0] = 0',
        'for i = n, 1, -1 do t[i * 7 % 1009] = i end',
      ]) {
        const visits = await resultOf(`local t, n = {}, ${size} ${fill}
          local seen, count = {}, 0
          for k in next, t do
            assert(not seen[k])
            seen[k] = true
            count = count + 1
            if count % 2 == 1 then t[k] = nil end
            local _ = next(t) == nil
            for other in pairs(t) do t[other] = t[other] end
          end
          local left = 0
          for k in pairs(t) do left = left + 1 end
          return count - n, left - n // 2`);
        assert.match(visits, /^[01] [01]$/, fill);
      }
    }
  });

  it('costs no more when a program asks whether the table is empty', async () => {
    const ask = (fill: string): string => `local t = {} ${fill}
      for i = 1, 20000 do t[i * 3 + 1] = i local empty = next(t) == nil end return "done"`;
    assert.equal(await resultOf(ask(''), { cpuMs: 2000 }), 'done');
    assert.equal(await resultOf(ask('t.x = 1 t[1] = 1'), { cpuMs: 2000 }), 'done');
  });

  it('is put in order on the budget of its script', async () => {
    const context = contextOf(
      `local t = { x = 1 } for i = 1, 40000 do t[i] = i end
       for i = 1, 1e9 do n = i t[-i] = i next(t, (next(t))) end`,
      { cpuMs: 150 },
    );
    assert.equal((await evaluate(context)).kind, 'overBudget');
    const L = context.state as LuaState;
    // The hook alone looks at the clock after a thousand instructions: some 90 rounds.
    assert.ok(Number(fieldOf(L, globalsOf(L), 'n').value) < 60);
  });

  it('of a table of more than 50000 entries keeps the order in which they came', async () => {
    assert.equal(
      await resultOf('local t = {} for i = 50001, 1, -1 do t[i] = i end return (next(t))'),
      '50001',
    );
  });
});

describe('the length of a table with holes', () => {
  it('is the one that C Lua finds', async () => {
    assert.equal(
      await resultOf('return #{nil, nil, 3}, #{1, nil, 3}, #{1, nil, 3, nil, 5}, #{1, 2, nil, nil, 5, nil}'),
      '3 3 5 2',
    );
    assert.equal(
      await resultOf('local function f(...) return #{...} end return f(nil, 2), f(1, nil)'),
      '2 1',
    );
    assert.equal(await resultOf('return #table.pack(nil, 2), #table.pack(1, nil, 3)'), '2 3');
    assert.equal(await resultOf('local t = {1, 2, 3, 4} t[4] = nil t[2] = nil return #t'), '1');
    assert.equal(
      await resultOf('local t = {} for i = 1, 10 do t[i] = i end t[5] = nil t[10] = nil return #t'),
      '9',
    );
  });
});

describe('traversalOrder', () => {
  it('moves a key out of another one’s place', () => {
    // 4 places: 20 collides with 8, moves to place 3; 3 belongs there and moves it on.
    const keys = [8, 20, 3];
    assert.deepEqual(
      traversalOrder(keys, 0, 3).map((i) => keys[i]),
      [8, 20, 3],
    );
  });
});
