import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { LClosure } from 'fengari';
import { internals } from '../../src/lua/engine/engine.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { seesFirstArgument } from '../../src/lua/script/first-argument.ts';

/** Of the first function in the source. */
function sees(source: string): boolean {
  const p = compile(Buffer.from(source), 'test').proto.p[0];
  return seesFirstArgument({ type: internals.tags.LUA_TLCL, value: { p } as LClosure });
}

describe('a function does not see its first argument', () => {
  const blind = [
    'function f() end',
    'function f(path) end',
    'function f(path) total = total + size end',
    'function f(path) return 550, "no" end',
    'function f(path, other) return other end',
    'function f(path, other) local x = other .. "a" .. other if x == other then return not x, -other end end',
    'function f(path) for i = 1, 10 do print(i) end for k, v in pairs(t) do t[k] = v end end',
    'function f(path) local inner = function(a) return a end return inner(1), inner end',
    'function f(path, n) return function() return n end end',
    'function f(path) local t = { 1, 2, x = 3 } t.y, t[1] = t.x, #t goto done ::done:: return t:g(), table.unpack(t) end',
    'local up function f(path) up = up and 1 or 2 return up // 2, up & 3, up < 4, up ~= 5 end',
    'function f(path) do local path = 1 return path end end',
  ];
  for (const source of blind) it(source, () => assert.equal(sees(source), false));
});

describe('a function sees its first argument', () => {
  const seeing = [
    'function f(path) return path end',
    'function f(path) print(path) end',
    'function f(path) x = path end',
    'function f(path) t[path] = 1 end',
    'function f(path) t.x = path end',
    'function f(path) return t[path] end',
    'function f(path) return path.x end',
    'function f(path) return path:x() end',
    'function f(path) return path() end',
    'function f(path) return #path end',
    'function f(path) return "a" .. path end',
    'function f(path) return path .. "a" end',
    'function f(path) return 1 + path end',
    'function f(path) return path == nil end',
    'function f(path) return 1 < path end',
    'function f(path) if path then x = 1 end end',
    'function f(path) return path or 1 end',
    'function f(path) local copy = path end',
    'function f(path) return { path } end',
    'function f(path) return { 1, 2, path } end',
    'function f(path) return g(1, 2, path) end',
    'function f(path) return function() return path end end',
    'function f(path) return function() return function() return path end end end',
    'function f(path) for i = path, 2 do end end',
    'function f(path) for k in path do end end',
    'function f(path) local up = 1 return function() up = path end end',
    'function f(path, other) path, other = other, path return other end',
    'function f(...) end',
    'function f(path, ...) return path end',
  ];
  for (const source of seeing) it(source, () => assert.equal(sees(source), true));

  it('a function that is not Lua', () => {
    assert.equal(seesFirstArgument({ type: internals.tags.LUA_TLCF, value: () => 0 }), true);
  });
});
