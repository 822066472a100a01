/** Jobs of functions of any module: they go on while the script does, and end with the session. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LuaContext } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../src/modules/install.ts';
import type { Clock } from '../../src/services/clock.ts';
import { evaluate } from '../helpers/lua-context.ts';
import { servicesWith } from '../helpers/services.ts';

/** A clock whose waits end when the test says so. */
class StoppedClock implements Clock {
  readonly waits: { milliseconds: number; cancelled: AbortSignal; end: () => void }[] = [];

  now(): number {
    return 0;
  }

  wait(milliseconds: number, cancelled: AbortSignal): Promise<void> {
    return new Promise((end) => this.waits.push({ milliseconds, cancelled, end }));
  }
}

function contextOf(clock: Clock, source: string): LuaContext {
  const template = new Template(policyLibraries(servicesWith({ clock })));
  return new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
}

test('a job of smtp.delay is under way at once, and its result is there when the time is over', async () => {
  const clock = new StoppedClock();
  const context = contextOf(
    clock,
    `local a, b = job.start(smtp.delay, 2), dns.start(smtp.delay, 3)
     return tostring(b:wait()) .. tostring(a:wait()) .. tostring(a:wait(1))`,
  );
  const outcome = evaluate(context);
  await nextTurn();
  assert.deepEqual(
    clock.waits.map(({ milliseconds }) => milliseconds),
    [2000, 3000],
  );
  for (const { end } of clock.waits) end();
  assert.deepEqual(await outcome, { kind: 'done', value: 'truetruetrue' });
  context.dispose();
});

test('a job that is waited for in vain goes on', async () => {
  const clock = new StoppedClock();
  const context = contextOf(
    clock,
    `local a = job.start(smtp.delay, 2)
     return select(2, a:wait(0.01)) .. " " .. tostring(a:wait())`,
  );
  const outcome = evaluate(context);
  const end = performance.now() + 10_000;
  while (clock.waits.length === 0 && performance.now() < end) await nextTurn();
  setTimeout(() => clock.waits[0]?.end(), 100);
  assert.deepEqual(await outcome, { kind: 'done', value: 'timeout waiting for a job true' });
  assert.equal(clock.waits[0]?.cancelled.aborted, false);
  context.dispose();
});

test('jobs are cancelled with their session, and waits with their callback', async () => {
  const clock = new StoppedClock();
  const context = contextOf(clock, 'job.start(smtp.delay, 2) job.start(smtp.delay, 3) smtp.delay(4)');
  const outcome = Promise.resolve(context.run());
  await nextTurn();
  assert.equal(clock.waits.length, 3);
  context.cancel();
  assert.equal((await outcome).kind, 'cancelled');
  assert.deepEqual(
    clock.waits.map(({ cancelled }) => cancelled.aborted),
    [false, false, true],
  );
  context.dispose();
  assert.deepEqual(
    clock.waits.map(({ cancelled }) => cancelled.aborted),
    [true, true, true],
  );
});

test('wrong arguments raise where the job is begun, with their number there', async () => {
  for (const [call, message] of [
    [
      'job.start(smtp.delay, "x")',
      /^test\.lua:1: bad argument #2 to 'start' \(number expected, got string\)$/,
    ],
    ['job.start(smtp.delay, -1)', /bad argument #2 to 'start' \(seconds expected, from 0 to 86400\)/],
    ['job.start(net.prefix, "192.0.2.1")', /bad argument #1 to 'start' \(a function that waits expected\)/],
    ['job.start(function() end)', /bad argument #1 to 'start' \(a function that waits expected\)/],
    ['job.start(smtp.delay, 1).wait(1)', /bad argument #1 to 'wait' \(job\.job expected, got number\)/],
  ] as const) {
    const context = contextOf(new StoppedClock(), `return ${call}`);
    const outcome = await context.run();
    assert.match('message' in outcome ? outcome.message : '', message, call);
    context.dispose();
  }
});
