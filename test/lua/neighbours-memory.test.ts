/** Whose memory it is, where the sessions of one process make much of it at the same time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contextOf, evaluate } from '../helpers/lua-context.ts';

const MIB = 1024 * 1024;
const LIMITS = { memoryBytes: 16 * MIB, cpuMs: 60_000 };

/** Makes 50 MiB of garbage, and never has more than a little: what it has made is collected while others make theirs. */
const TIDY =
  'for i = 1, 500 do local s = ("x"):rep(100000) .. i for j = 1, 500 do local t = { j } end end return "good"';

/** Objects that stay, made between the slices of callbacks, as those of other sessions are. */
function hoard(): { readonly stop: () => number } {
  const kept: unknown[] = [];
  let going = true;
  const more = (): void => {
    if (!going) return;
    if (kept.length < 100) kept.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
    setImmediate(more);
  };
  more();
  return {
    stop: () => {
      going = false;
      return kept.length;
    },
  };
}

test('a callback is not ended for what others make meanwhile', async (t) => {
  const hoarder = hoard();
  const outcome = await evaluate(contextOf(TIDY, LIMITS));
  t.diagnostic(`${hoarder.stop()} times 10,000 objects were made meanwhile`);
  assert.deepEqual(outcome, { kind: 'done', value: 'good' });
});

const GREEDY: Record<string, string> = {
  tables: 'local t = {} for i = 1, 1e7 do t[i] = { i } end',
  strings: 'local t = {} for i = 1, 1e7 do t[i] = ("x"):rep(1000) .. i end',
  'variables of coroutines':
    'local t = {} for i = 1, 1e7 do t[i] = coroutine.wrap(function(...) coroutine.yield() end) t[i](1, 2, 3) end',
  'its own variables, in functions that wait for one another':
    'local function f(n) local s = ("x"):rep(100000) .. n return #f(n + 1) + #s end f(1)',
};

for (const [what, source] of Object.entries(GREEDY)) {
  test(`one that has too much is ended whatever others do: ${what}`, async () => {
    const hoarder = hoard();
    const outcome = await evaluate(contextOf(source, LIMITS));
    hoarder.stop();
    assert.equal(outcome.kind, 'overBudget', JSON.stringify(outcome));
    assert.match('message' in outcome ? outcome.message : '', /memory grew by more than 16 MiB/);
  });
}
