/**
 * What a Lua context costs: time to make one and run the policy's main chunk, memory while idle, time of a callback.
 *
 *     node --expose-gc --import tsx test/bench/context.ts
 */
import { readFileSync } from 'node:fs';
import type { LuaState } from 'fengari';
import { LuaContext } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import { pushLatin1, readNumber } from '../../src/lua/engine/values.ts';
import { withPackagePath } from '../../src/lua/lib/package.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../src/modules/install.ts';
import { servicesWith } from '../helpers/services.ts';

const path = new URL('policy.lua', import.meta.url).pathname;
const script = compile(readFileSync(path), path);
const bare = new Template(policyLibraries(servicesWith()));
const template = withPackagePath(bare, '/etc/mail/lua/?.lua');

function newContext(): LuaContext {
  const context = new LuaContext({ template, script });
  const outcome = context.run();
  if (outcome instanceof Promise || outcome.kind !== 'done') throw new Error(JSON.stringify(outcome));
  return context;
}

const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1] ?? Number.NaN;

/** Median over rounds of the mean time of one call, in µs. */
function time(calls: number, rounds: number, work: () => void): number {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < calls; i++) work();
    times.push(Number(process.hrtime.bigint() - begin) / 1000 / calls);
  }
  return median(times);
}

function report(what: string, value: number, unit: string): void {
  console.log(`${what.padEnd(56)} ${value.toFixed(value < 10 ? 2 : 0).padStart(8)} ${unit}`);
}

time(300, 5, newContext);
report(
  'clone of the template',
  time(500, 9, () => template.clone()),
  'µs',
);
report('context: clone and main chunk', time(500, 9, newContext), 'µs');
for (const live of [100, 2000]) {
  const ring: LuaContext[] = Array.from({ length: live }, newContext);
  let i = 0;
  const cost = time(1000, 9, () => {
    ring[i % live] = newContext();
    i++;
  });
  report(`the same with ${live} live`, cost, 'µs');
}
const { gc } = globalThis;
if (gc) {
  const many = 1000;
  gc();
  gc();
  const before = process.memoryUsage();
  const idle = Array.from({ length: many }, newContext);
  gc();
  gc();
  const after = process.memoryUsage();
  const bytes = after.heapUsed - before.heapUsed + (after.external - before.external);
  report('idle context', bytes / many / 1024, 'KiB');
  for (const context of idle) context.dispose();
}

const SMTP = ascii('smtp');
const pushCallback = (L: LuaState, name: Uint8Array): void => {
  lua.lua_getglobal(L, SMTP);
  lua.lua_getfield(L, -1, name);
  lua.lua_remove(L, -2);
};
const source = 'function trivial(a, b) return 0 end';
const plain = new LuaContext({ template, script: compile(Buffer.from(source), 'trivial') });
plain.run();
const TRIVIAL = ascii('trivial');
const pushTrivial = (L: LuaState): number => {
  lua.lua_getglobal(L, TRIVIAL);
  pushLatin1(L, '192.0.2.7');
  pushLatin1(L, 'mail.example.org');
  return 2;
};
const read = (L: LuaState): number => readNumber(L, 1) ?? 0;
time(50_000, 3, () => plain.call(pushTrivial, read));
report(
  'callback with two strings and an empty body',
  time(50_000, 9, () => plain.call(pushTrivial, read)),
  'µs',
);
const { state } = plain;
if (state) {
  const direct = time(50_000, 9, () => {
    const thread = lua.lua_newthread(state);
    lua.lua_pop(state, 1);
    const nargs = pushTrivial(thread);
    lua.lua_resume(thread, null, nargs);
    read(thread);
  });
  report('  the same by lua_newthread and lua_resume alone', direct, 'µs');
}
const policy = newContext();
const HELO = ascii('do_helo');
const pushHelo = (L: LuaState): number => {
  pushCallback(L, HELO);
  pushLatin1(L, 'mail.example.org');
  return 1;
};
time(20_000, 3, () => policy.call(pushHelo, read));
report(
  'do_helo of the policy',
  time(20_000, 9, () => policy.call(pushHelo, read)),
  'µs',
);
