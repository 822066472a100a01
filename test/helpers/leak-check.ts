/** Child of isolation.test.ts: 2,000 contexts used and disposed of, some in the middle of a wait; what stays is printed. */
import { callGlobal, contextOf } from './lua-context.ts';

const { gc } = globalThis;
if (!gc) throw new Error('run with --expose-gc');

const source = `
  local kept = {}
  for i = 1, 20 do kept[i] = { ("text"):rep(i) } end
  function f(text) kept[#kept + 1] = text return #kept end
  function waits() wait("x") kept.co = coroutine.wrap(function() coroutine.yield() end) kept.co() wait("y") end
  function endless() while true do pcall(error) end end
  function fails() error({}) end`;

let uncollected = 0;
const registry = new FinalizationRegistry(() => {
  uncollected--;
});

async function one(i: number): Promise<void> {
  const context = contextOf(source, { cpuMs: 8 });
  uncollected++;
  registry.register(context, undefined);
  await context.run();
  await callGlobal(context, 'f', ['text']);
  const pending = callGlobal(context, ['f', 'waits', 'fails', 'waits'][i % 4] ?? 'f', ['x'], {
    deadlineMs: 60_000,
  });
  if (i % 4 === 1) await pending;
  if (i % 200 === 0) await callGlobal(contextOf(source, { cpuMs: 8 }), 'f');
  context.dispose();
}

async function settle(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await new Promise(setImmediate);
    gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

// Until V8 has compiled what they run.
for (let i = 0; i < 1500; i++) await one(i);
const before = await settle();
const count = 2000;
for (let i = 0; i < count; i++) await one(i);
const after = await settle();
console.log(JSON.stringify({ grownPerContext: (after - before) / count, uncollected }));
