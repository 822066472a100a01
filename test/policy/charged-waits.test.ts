/** What a callback costs before, in and after its waits is its own CPU time, however little Lua runs between them. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { Zone } from '../../src/dns/zone.ts';
import { LuaContext, type Outcome } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import { defaultLimits, hostOf } from '../../src/lua/engine/host.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../src/modules/install.ts';
import { evaluate } from '../helpers/lua-context.ts';
import { servicesWith } from '../helpers/services.ts';

const CPU_MS = 200;

function work(ms: number): void {
  const end = process.cpuUsage().user + ms * 1000;
  while (process.cpuUsage().user < end);
}

const records = new Zone();
records.set('host.example A', { records: ['192.0.2.1'] });
const template = new Template([
  ...policyLibraries(servicesWith({ records })),
  {
    /** before(ms) and after(ms): waits that work so long when they are begun, and when their result is pushed. */
    install(L) {
      for (const [name, when] of [
        ['before', 0],
        ['after', 1],
      ] as const) {
        lua.lua_pushcfunction(L, (L) => {
          const ms = lua.lua_tonumber(L, 1);
          return hostOf(L).wait(
            L,
            async () => work(when === 0 ? ms : 0),
            () => {
              work(when === 1 ? ms : 0);
              return 0;
            },
          );
        });
        lua.lua_setglobal(L, ascii(name));
      }
    },
  },
]);

interface Run {
  readonly outcome: Outcome<string>;
  /** CPU time of the process for it, in milliseconds. */
  readonly used: number;
}

async function run(source: string): Promise<Run> {
  const context = new LuaContext({
    template,
    script: compile(Buffer.from(source, 'latin1'), 'test.lua'),
    limits: { ...defaultLimits, cpuMs: CPU_MS },
  });
  const before = process.cpuUsage();
  const outcome = await evaluate(context);
  const { user, system } = process.cpuUsage(before);
  context.dispose();
  return { outcome, used: (user + system) / 1000 };
}

const ENDLESS: Readonly<Record<string, string>> = {
  'work of a wait before it has begun': 'while true do before(20) end',
  'work with the result of a wait': 'while true do after(20) end',
  'work of waits in a coroutine': 'coroutine.wrap(function() while true do pcall(before, 20) end end)()',
  'names that are longer than any': 'local s = ("a."):rep(500000) while true do dns.txt(s) end',
  'the same as names of a list': 'local s = ("a."):rep(500000) while true do dns.listed(s, "bl.example") end',
  'names that have to be converted': 'local s = ("\\xc3\\xbc."):rep(330) while true do dns.mx(s) end',
  'answers that are known': 'while true do dns.a("host.example") end',
  'jobs that are kept': 'local t = {} while true do t[#t + 1] = dns.start(dns.a, "host.example") end',
  'jobs that are forgotten': 'while true do dns.start(dns.a, "host.example") end',
  'jobs that are waited for': 'while true do dns.start(dns.a, "host.example"):wait() end',
  'one job that is waited for': 'local job = dns.start(dns.a, "host.example") while true do job:wait(1) end',
  'many answers of a list that count': `local t = {} for i = 1, 256 do t[i] = "127.0.0.[0..255;0..255]" end
     while true do dns.listed("192.0.2.1", "bl.example", t) end`,
};

describe('a CPU budget ends', () => {
  for (const [name, source] of Object.entries(ENDLESS)) {
    it(name, { timeout: 60_000 }, async (t) => {
      const { outcome, used } = await run(source);
      t.diagnostic(`${used.toFixed(0)} ms of CPU time`);
      assert.equal(outcome.kind, 'overBudget', JSON.stringify(outcome));
      assert.match(
        'message' in outcome ? outcome.message : '',
        /^test\.lua:\d: more than (?:200 ms of CPU time used$|\d+ ms of CPU time used where others cannot have their turn)/,
      );
      // The compiler and the collector work besides.
      assert.ok(used < 3 * CPU_MS, `${used} ms`);
    });
  }
});

test('a name is judged by its length before anything is made of it', async () => {
  for (const [expression, found] of [
    ['#dns.a(("x"):rep(2e7 // 1 | 0))', '0'],
    ['#dns.ns(("a."):rep(1e7 // 1 | 0))', '0'],
    ['dns.listed(("x"):rep(2e7 // 1 | 0), "bl.example")', 'false'],
    ['select(2, dns.a(("\\xc2\\xad"):rep(1e7 // 1 | 0))):sub(1, 25)', 'protocol looking up A of '],
    ['#select(2, dns.a(("\\xc2\\xad"):rep(1e7 // 1 | 0))) < 1100', 'true'],
    ['pcall(dns.ptr, ("1"):rep(2e7 // 1 | 0))', "false bad argument #1 to 'dns.ptr' (IP address expected)"],
    [
      'pcall(dns.fcrdns, "::1%" .. ("x"):rep(2e7 // 1 | 0))',
      "false bad argument #1 to 'dns.fcrdns' (IP address expected)",
    ],
    [
      'pcall(dns.listed, "192.0.2.1", ("x"):rep(2e7 // 1 | 0))',
      "false bad argument #2 to 'dns.listed' (domain of a list expected)",
    ],
    [
      'pcall(dns.listed, "192.0.2.1", "bl.example", ("1"):rep(2e7 // 1 | 0))',
      `false bad argument #3 to 'dns.listed' (strings as "127.0.0.2" or "127.0.0.[2;4..11]" expected)`,
    ],
    [
      'pcall(dns.listed, "192.0.2.1", "bl.example", table.pack(("1"):rep(9e4 // 1 | 0):byte(1, -1)))',
      `false bad argument #3 to 'dns.listed' (array of strings as "127.0.0.2" expected, at most 256)`,
    ],
  ] as const) {
    const { outcome, used } = await run(`return ${expression}`);
    assert.deepEqual(outcome, { kind: 'done', value: found }, expression);
    assert.ok(used < 3 * CPU_MS, `${expression}: ${used} ms`);
  }
});
