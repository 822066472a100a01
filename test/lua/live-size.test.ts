/** What a Lua state is said to keep, beside what V8 says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { getHeapStatistics } from 'node:v8';
import type { LuaContext } from '../../src/lua/context/context.ts';
import { collectNow } from '../../src/lua/context/garbage.ts';
import { liveSize } from '../../src/lua/context/live-size.ts';
import { contextOf } from '../helpers/lua-context.ts';

/** The same several times over, as other work of this process disturbs a single figure. */
const COPIES = 4;

const hoards: Record<string, string> = {
  tables: 'for i = 1, 20000 do t[i] = { i } end',
  'tables with names': 'for i = 1, 10000 do t[i] = { a = 1, b = 2, c = {} } end',
  numbers: 'for i = 1, 60000 do t[i] = i + 0.5 end',
  'keys that are strings': 'for i = 1, 20000 do t["key" .. i] = true end',
  'short strings': 'for i = 1, 20000 do t[i] = "value" .. i end',
  'long strings': 'for i = 1, 60 do t[i] = ("x"):rep(300000) .. i end',
  closures: 'for i = 1, 20000 do t[i] = function() return i end end',
  iterators: 'for i = 1, 10000 do t[i] = ("xyz"):gmatch("%a") end',
  coroutines: 'for i = 1, 3000 do t[i] = coroutine.create(function() end) end',
  'coroutines that have begun':
    'for i = 1, 3000 do t[i] = coroutine.wrap(function() coroutine.yield() end) t[i]() end',
};

function sizeOf(context: LuaContext): number {
  assert.ok(context.state);
  const walk = liveSize(context.state);
  for (;;) {
    const { done, value } = walk.next();
    if (done === true) return value;
  }
}

async function inUse(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    collectNow();
    await nextTurn();
  }
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** What is said of the memory that is used. */
async function measured(source: string): Promise<number> {
  const before = await inUse();
  const contexts: LuaContext[] = [];
  for (let i = 0; i < COPIES; i++) {
    const context = contextOf(`t = {} ${source}`, { cpuMs: 60_000, memoryBytes: 2 ** 30 });
    contexts.push(context);
    assert.equal((await context.run()).kind, 'done');
  }
  const used = (await inUse()) - before;
  const said = contexts.map(sizeOf).reduce((sum, bytes) => sum + bytes, 0);
  for (const context of contexts) context.dispose();
  return said / used;
}

for (const [what, source] of Object.entries(hoards)) {
  test(`${what} are measured`, async (t) => {
    const parts: number[] = [];
    // V8 gives back what was there before in its own time: such a figure is no measure.
    while (parts.length < 3 && !parts.some((part) => part > 0.6 && part < 1.8))
      parts.push(await measured(source));
    t.diagnostic(`${parts.map((part) => part.toFixed(2)).join(', ')} of what V8 says`);
    assert.ok(parts.some((part) => part > 0.6 && part < 1.8));
  });
}
