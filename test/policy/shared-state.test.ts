/** Two sessions that begin with the same copy share nothing that can change, whatever the main chunk has made. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import type { CClosure, LClosure, LuaState, LuaTable, TValue, Udata } from 'fengari';
import { Zone } from '../../src/dns/zone.ts';
import { LuaContext } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { internals, lua } from '../../src/lua/engine/engine.ts';
import { isUnchanging } from '../../src/lua/engine/host.ts';
import { entriesOf } from '../../src/lua/engine/tables.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { policyLibraries } from '../../src/modules/install.ts';
import { DESCRIBED_CALLS } from '../helpers/described-calls.ts';
import { libraryFunctions } from '../helpers/library-functions.ts';
import { startServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';
import { servicesWith } from '../helpers/services.ts';

const { LUA_TLCL, LUA_TCCL } = internals.tags;

/** Every object that a Lua state can reach and change, and those of JavaScript behind them. */
function changeable(L: LuaState): Set<object> {
  const seen = new Set<object>();
  const queue: TValue[] = [{ type: lua.LUA_TTABLE, value: L.l_G.l_registry.value } as TValue];
  const add = (...values: readonly (TValue | undefined)[]): void => {
    for (const value of values) if (value) queue.push(value);
  };
  const addTable = (table: LuaTable | null): void => {
    if (table) queue.push({ type: lua.LUA_TTABLE, value: table } as TValue);
  };
  for (const metatable of L.l_G.mt) addTable(metatable ?? null);
  for (let next = queue.pop(); next; next = queue.pop()) {
    const { type, value } = next;
    const isObject = typeof value === 'object' && value !== null;
    if (!isObject || seen.has(value)) continue;
    switch (type) {
      case lua.LUA_TTABLE: {
        const table = value as unknown as LuaTable;
        seen.add(table);
        addTable(table.metatable);
        while (table.fill !== undefined) table.fill();
        for (const { key, value } of entriesOf(table)) {
          add(value);
          // The engine's own keys in the registry are constants.
          if (key.type !== lua.LUA_TLIGHTUSERDATA) add(key);
        }
        break;
      }
      case LUA_TCCL:
        seen.add(value);
        add(...(value as unknown as CClosure).upvalue);
        break;
      case LUA_TLCL:
        seen.add(value);
        for (const upvalue of (value as unknown as LClosure).upvals) {
          if (upvalue === undefined) continue;
          seen.add(upvalue);
          add(upvalue);
        }
        break;
      case lua.LUA_TUSERDATA: {
        const userdata = value as unknown as Udata;
        seen.add(userdata);
        seen.add(userdata.data);
        addTable(userdata.metatable);
        add(userdata.uservalue);
        for (const name in userdata.data) {
          const field = userdata.data[name];
          if (typeof field === 'object' && field !== null) seen.add(field);
        }
        break;
      }
      case lua.LUA_TLIGHTUSERDATA:
      case lua.LUA_TTHREAD:
        seen.add(value);
        break;
      default: // Strings do not change.
    }
  }
  return seen;
}

const shared = (template: Template): object[] => {
  const other = changeable(template.clone());
  return [...changeable(template.clone())].filter((object) => other.has(object));
};

describe('a copy of what the main chunk has made', () => {
  const scratch = mkdtempSync(join(tmpdir(), 'smtpf-milter-shared-'));
  const records = new Zone();
  const template = new Template(policyLibraries(servicesWith({ records })));
  /** All functions below the globals, as Lua expressions. */
  let functions: string[] = [];

  before(async () => {
    functions = await libraryFunctions(template);
  });

  /** What `fn`, a Lua expression, gives for `args` is kept in a global, and a template made of it; undefined where there is none. */
  const templateWith = async (fn: string, args: string): Promise<Template | undefined> => {
    const source = `local path = ${JSON.stringify(join(scratch, 'file'))}
      kept = table.pack(pcall(${fn}${args === '' ? '' : `, ${args}`}))`;
    const context = new LuaContext({ template, script: compile(Buffer.from(source), 'kept') });
    try {
      const outcome = await context.run({ deadlineMs: 1000 });
      if (outcome.kind !== 'done' || context.state === null) return undefined;
      return new Template({ state: context.state, like: template });
    } catch (error) {
      assert.match(String(error), /a template cannot hold|too much for a template/);
      return undefined;
    } finally {
      context.dispose();
    }
  };

  const ARGUMENTS = [
    '',
    '"some text"',
    '"some text", "%a+"',
    '"some text", "%a", "x"',
    'path',
    'path, "w+"',
    '{ 1, 2, 3 }',
    '{ 1, 2, 3 }, 2',
    '{}, {}',
    'function() return 1 end',
    '0.01',
    '3, 4',
    'io.stdout',
    'dns.a, "host.example"',
    '"host.example"',
  ];

  after(() => rmSync(scratch, { recursive: true, force: true }));

  it('shares nothing that can change, whatever function was called', async () => {
    assert.ok(functions.length > 150, `${functions.length} functions`);
    const base = new Set(shared(template));
    for (const object of base) assert.ok(isUnchanging(object), object.constructor.name);
    let copied = 0;
    const allowed = (object: object) => base.has(object) || isUnchanging(object);
    const calls = functions.flatMap((fn) => ARGUMENTS.map((args) => [fn, args] as const));
    for (const { fn, required, all } of DESCRIBED_CALLS) {
      calls.push([fn, required.join(', ')], [fn, all.join(', ')]);
    }
    for (const [fn, args] of calls) {
      const made = await templateWith(fn, args);
      if (made === undefined) continue;
      copied += 1;
      for (const object of shared(made)) {
        assert.ok(allowed(object), `${fn}(${args}): sessions share a ${object.constructor.name}`);
      }
    }
    assert.ok(copied > functions.length, `${copied} templates`);
  });

  it('is not made of iterators, jobs and files, which have a place of their own', async () => {
    for (const [fn, args] of [
      ['string.gmatch', '"a b", "%a"'],
      ['io.open', 'path, "w"'],
      ['coroutine.wrap', 'function() end'],
      ['dns.start', 'dns.a, "host.example"'],
    ] as const) {
      assert.equal(await templateWith(fn, args), undefined, fn);
    }
  });

  it('would be found to share: two walks over one copy do', () => {
    const L = template.clone();
    const other = changeable(L);
    const both = [...changeable(L)].filter((object) => other.has(object));
    assert.ok(both.length > 30, `${both.length} of ${other.size}`);
  });
});

test('a gmatch iterator of the main chunk begins anew in each session', async (t) => {
  const server = await startServer({
    source: `local blocked = ("bad.example worse.example"):gmatch("%S+")
      function smtp.do_mail(sender)
        for domain in blocked do
          if sender:find(domain, 1, true) then return 550, "5.7.1 blocked" end
        end
      end`,
  });
  t.after(() => server.close());
  for (let i = 0; i < 5; i++) {
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    assert.equal((await mta.mail('<a@worse.example>')).text, '550 5.7.1 blocked', `session ${i + 1}`);
    await mta.quit();
  }
});

test('random numbers of one session are not decided by the seed of another', () => {
  const template = new Template(policyLibraries(servicesWith()));
  const numbers = (source: string): string => {
    const context = new LuaContext({ template, script: compile(Buffer.from(source), 'random') });
    const outcome = context.call(
      (L) => {
        context.script.push(L);
        return 0;
      },
      (L) => lua.lua_tojsstring(L, -1),
    );
    context.dispose();
    assert.ok(!(outcome instanceof Promise) && outcome.kind === 'done');
    return outcome.value;
  };
  const draw = 'local t = {} for i = 1, 8 do t[i] = math.random(1000000) end return table.concat(t, " ")';
  const seeded = numbers(`math.randomseed(7) ${draw}`);
  assert.equal(numbers(`math.randomseed(7) ${draw}`), seeded);
  assert.notEqual(numbers(draw), numbers(draw));
  assert.notEqual(numbers(draw), seeded);
});
