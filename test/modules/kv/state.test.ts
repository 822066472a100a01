/** kv, rate, grey and limit as a script sees them. What the store itself does is tested in test/store. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LuaContext } from '../../../src/lua/context/context.ts';
import { Template } from '../../../src/lua/context/template.ts';
import { compile } from '../../../src/lua/script/compilation.ts';
import { plainSender } from '../../../src/modules/grey/sender.ts';
import { policyLibraries } from '../../../src/modules/install.ts';
import { MemoryStore } from '../../../src/modules/kv/fake.ts';
import { evaluate } from '../../helpers/lua-context.ts';
import { servicesWith } from '../../helpers/services.ts';

/** A worker with an empty store, and a clock that the test moves. */
function worker() {
  let now = 1_700_000_000_000;
  const clock = { now: () => now, wait: async () => {} };
  const store = new MemoryStore(clock);
  const template = new Template(policyLibraries(servicesWith({ store })));
  /** What a chunk returns, joined by blanks; an error begins with `error: `. */
  const run = async (chunk: string): Promise<string> => {
    const source = `local function all(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end
      return table.concat(t, " ") end return all((function() ${chunk} end)())`;
    const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
    const outcome = await evaluate(context);
    context.dispose();
    if (outcome.kind === 'done') return outcome.value;
    return 'message' in outcome ? outcome.message.replace(/^test\.lua:\d+: /, 'error: ') : outcome.kind;
  };
  return { run, store, pass: (seconds: number) => (now += seconds * 1000) };
}

describe('kv', () => {
  it('gives every value back as it was', async () => {
    const { run } = worker();
    const same: readonly string[] = [
      '"a\\0\\xff"',
      '""',
      '1',
      '-2147483648',
      '4294967296',
      '2^53',
      '0.1',
      '3.0',
      'true',
      'false',
    ];
    for (const value of same) {
      assert.equal(
        await run(
          `local v = ${value} kv.set("k", v) local w = kv.get("k") return v == w, math.type(v) == math.type(w)`,
        ),
        'true true',
        value,
      );
    }
    assert.equal(
      await run(
        'kv.set("t", { 1, "x", a = true, [10] = 0.5 }) local t = kv.get("t") return t[1], t[2], t.a, t[10], #t',
      ),
      '1 x true 0.5 2',
    );
    assert.equal(await run('kv.set("t", {}) return type(kv.get("t")), next(kv.get("t"))'), 'table nil');
  });

  it('sets, adds, counts and deletes, each in its space, until the time is over', async () => {
    const { run, pass } = worker();
    assert.equal(
      await run('return kv.get("a"), kv.add("a", 1, 10), kv.add("a", 2), kv.get("a")'),
      'nil true false 1',
    );
    assert.equal(
      await run('return kv.incr("n"), kv.incr("n", 41), kv.incr("n", -2.0), kv.del("n"), kv.del("n")'),
      '1 42 40 true false',
    );
    assert.equal(
      await run('local s = kv.open("s") return s:set("a", "x"), s:get("a"), kv.get("a"), s:incr("n", 5)'),
      'true x 1 5',
    );
    pass(10);
    assert.equal(await run('return kv.get("a"), kv.open("s"):get("a")'), 'nil x');
    assert.equal(
      await run('kv.set("w", "word") return kv.incr("w")'),
      'nil protocol kv.incr w: holds no number',
    );
    assert.equal(await run('kv.set("m", 2^53) return kv.incr("m")'), 'nil limit kv.incr m: beyond 2^53');
    assert.equal(
      await run('local k = ("x"):rep(5000) kv.set(k, 1) return kv.get(k), kv.get(k .. "y")'),
      '1 nil',
    );
  });

  it('says that it could not find out', async () => {
    const { run, store } = worker();
    store.failure = 'unavailable';
    for (const call of [
      'kv.get("a")',
      'kv.set("a", 1)',
      'kv.incr("a")',
      'rate.take("a", "1/h")',
      'grey.check { key = "a" }',
      'limit.acquire("a", 1)',
    ]) {
      assert.match(await run(`return ${call}`), /^nil unavailable /, call);
    }
  });

  it('raises an error for wrong arguments', async () => {
    const { run } = worker();
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['kv.get()', /bad argument #1 to 'get' \(string expected, got no value\)/],
      ['kv.get("")', /a key expected, not an empty string/],
      ['kv.get(("x"):rep(65537))', /a key of at most 65536 bytes expected/],
      ['kv.set("a", nil)', /a string, a number, a boolean, or a table of these expected/],
      ['kv.set("a", print)', /a string, a number, a boolean, or a table/],
      ['kv.set("a", { {} })', /a string, a number, a boolean, or a table/],
      ['kv.set("a", { [true] = 1 })', /strings and integers as keys/],
      ['kv.set("a", ("x"):rep(65537))', /at most 65536 bytes expected/],
      [
        '(function() local t = {} for i = 1, 65 do t[i] = i end return kv.set("a", t) end)()',
        /at most 64 fields expected/,
      ],
      ['kv.set("a", 1, 0)', /seconds expected, more than 0/],
      ['kv.incr("a", 0.5)', /a whole number expected/],
      ['kv.open("A")', /1 to 32 of a to z/],
      ['rate.take("a", "10")', /a rate such as "200\/h" or "200\/h,50" expected, not "10"/],
      ['rate.take("a", {})', /a rate or 1 to 10 of them expected/],
      ['rate.take("a", "2/h", 3)', /0 to 2 expected: more never fits at once/],
      ['limit.acquire("a", 0)', /1 to 1000 places expected/],
      ['limit.acquire("a", 1, 1)', /at least 3 seconds expected/],
      ['grey.check { delay = 0 }', /option delay: seconds expected/],
      ['grey.check { wrong = 1 }', /options are key, delay, window, ttl, auto, timeout/],
    ];
    for (const [call, message] of wrong) assert.match(await run(`return ${call}`), message, call);
  });
});

describe('rate', () => {
  it('lets through what it says, and tells when it will again', async () => {
    const { run, pass } = worker();
    const take = (rest = '') => run(`return rate.take("k", "2/m"${rest})`);
    assert.equal(await take(', 0'), 'true 2');
    assert.equal(await take(), 'true 1');
    assert.equal(await take(), 'true 0');
    assert.equal(await take(), 'false 30.0 2/m');
    pass(30);
    assert.equal(await take(), 'true 0');
    assert.equal(await run('return rate.reset("k", "2/m"), rate.reset("k", "2/m")'), 'true false');
    assert.equal(await take(', 2'), 'true 0');
    assert.equal(await run('return rate.take("t", { "100/h", "1/d" })'), 'true 0');
    assert.equal(await run('return rate.take("t", { "100/h", "1/d" })'), 'false 86400.0 1/d');
    assert.equal(await run('return rate.take("t", "100/h", 0)'), 'true 99');
    assert.equal(
      await run('return rate.take("b", "60/h,2"), rate.take("b", "60/h,2"), rate.take("b", "60/h,2")'),
      'true true false 60.0 60/h,2',
    );
  });

  it('lets through exactly so many of a thousand at a time', async () => {
    const { run } = worker();
    const chunk = `local jobs, passed = {}, 0 for i = 1, 300 do jobs[i] = job.start(rate.take, "k", "100/h") end
      for i = 1, 300 do if jobs[i]:wait() then passed = passed + 1 end end return passed`;
    assert.equal(await run(chunk), '100');
  });
});

describe('grey', () => {
  it('lets who comes again pass, and then knows it', async () => {
    const { run, pass } = worker();
    const check = (options = '') => run(`return grey.check { key = "k"${options} }`);
    assert.equal(await check(), 'false 300 new');
    pass(100);
    assert.equal(await check(), 'false 200 early');
    pass(200);
    assert.equal(await check(), 'true passed');
    assert.equal(await check(), 'true known');
    pass(3_024_001);
    assert.equal(await check(), 'false 300 new');
    pass(172_801);
    assert.equal(await check(), 'false 300 new');
  });

  it('takes what is named again in one session for no further attempt', async () => {
    const { run, pass } = worker();
    assert.equal(await run('grey.check { key = "k" } return grey.check { key = "k" }'), 'false 300 early');
    pass(400);
    assert.equal(await run('return grey.check { key = "k" }'), 'true passed');
  });

  it('needs no delay for a network that has passed often enough', async () => {
    const { run, pass } = worker();
    for (let i = 0; i < 2; i++) await run(`return grey.check { key = "k${i}", auto = 2 }`);
    pass(301);
    for (let i = 0; i < 2; i++)
      assert.equal(await run(`return grey.check { key = "k${i}", auto = 2 }`), 'true passed');
    assert.equal(await run('return grey.check { key = "k9", auto = 2 }'), 'true client');
    assert.equal(await run('return grey.check { key = "k9", auto = 0 }'), 'false 300 new');
  });

  const senders: readonly (readonly [string, string])[] = [
    ['Joe@Example.COM', 'joe@example.com'],
    ['joe+news@example.com', 'joe+#@example.com'],
    ['list-bounces+joe=example.org@lists.example', 'list-bounces+#@lists.example'],
    ['bounce-12345-67890@news.example', 'bounce-#@news.example'],
    ['bounces-1-joe=example.org@news.example', 'bounces-#@news.example'],
    ['SRS0=HHH=TT=example.com=joe@forwarder.example', 'joe@example.com'],
    ['SRS1=GGG=first.example==HHH=TT=example.com=joe@second.example', 'joe@example.com'],
    ['prvs=0123456789=joe@example.com', 'joe@example.com'],
    ['', ''],
  ];
  for (const [written, plain] of senders) {
    it(`takes ${written || 'the null sender'} for ${plain || 'itself'}`, () =>
      assert.equal(plainSender(written), plain));
  }
});

describe('limit', () => {
  it('gives so many places, and takes them back, at the end of the session too', async () => {
    const { run } = worker();
    assert.equal(
      await run(
        'local a = limit.acquire("k", 2) local b = limit.acquire("k", 2) return limit.acquire("k", 2), a:release(), a:release(), limit.acquire("k", 2) ~= false',
      ),
      'false true false true',
    );
    // The session before is over.
    await new Promise((resolve) => setImmediate(resolve));
    assert.match(await run('return limit.acquire("k", 1)'), /^limit\.slot/);
  });
});
