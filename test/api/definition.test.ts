/** The description of the API and what a script finds are one and the same. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { API } from '../../src/api/definition.ts';
import { FORMER_NAMES, LUA_GLOBALS, REFUSED_CALLS } from '../../src/api/lua.ts';
import { LUA_FUNCTIONS } from '../../src/api/lua-library.ts';
import { API_NAMES } from '../../src/api/names.ts';
import type { Entry, Stage } from '../../src/modules/entry.ts';
import { CALLBACKS as DESCRIBED } from '../../src/modules/smtp/callbacks.ts';
import { CALLBACK_FIELDS } from '../../src/modules/smtp/table.ts';
import { startServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';
import { directory, run } from '../program/program.ts';
import { tablesOfPolicy } from './lua-tables.ts';

const ENTRIES: readonly Entry[] = API.filter(({ onlyInTests }) => !onlyInTests).flatMap(
  ({ entries }) => entries,
);
const found = await tablesOfPolicy();
const sorted = (names: Iterable<string>) => [...names].sort();

/** Tables that are a script's own, or that have what no script may rely on. */
const OPEN = /^(package\.(config|cpath|path|loaded|preload|searchers)|smtp\.note)(\.|$)/;

test('the globals are those of Lua and of the API, nothing else', () => {
  const globals = sorted([...found.keys()].filter((name) => !name.includes('.')));
  const described = ENTRIES.flatMap((entry) =>
    entry.kind === 'function' || entry.kind === 'field' || entry.kind === 'constant'
      ? [entry.name.split(/[.:]/)[0] ?? '']
      : [],
  ).filter((name) => name !== 'job.job');
  assert.deepEqual(globals, sorted(new Set([...Object.keys(LUA_GLOBALS), ...described])));
});

test('each function of the tables is described, under all its names, and each description is of a function', () => {
  const libraries = Object.entries(LUA_GLOBALS).flatMap(([library, names]) =>
    (names ?? []).map((name) => `${library}.${name}`),
  );
  const functions = [...found].filter(
    ([name, type]) => type === 'function' && !Object.hasOwn(LUA_GLOBALS, name),
  );
  const described = ENTRIES.flatMap((entry) =>
    entry.kind === 'function' && !entry.name.includes(':') ? [entry.name, ...(entry.aliases ?? [])] : [],
  );
  assert.deepEqual(
    sorted(functions.map(([name]) => name).filter((name) => !libraries.includes(name) && !OPEN.test(name))),
    sorted(described),
  );
});

test('each constant is described with its value', () => {
  const constants = [...found].filter(
    ([name, type]) => /^integer /.test(type) && !Object.hasOwn(LUA_GLOBALS, name.split('.')[0] ?? ''),
  );
  assert.deepEqual(
    sorted(constants.map(([name, type]) => `${name} ${type}`)),
    sorted(
      ENTRIES.flatMap((entry) => (entry.kind === 'constant' ? [`${entry.name} integer ${entry.value}`] : [])),
    ),
  );
});

test("Lua's own libraries have the names that are listed", () => {
  for (const [library, names] of Object.entries(LUA_GLOBALS)) {
    assert.ok(found.has(library), library);
    if (names === null) continue;
    const fields = [...found.keys()].filter((name) => name.startsWith(`${library}.`) && !/\..*\./.test(name));
    assert.deepEqual(sorted(fields.map((name) => name.slice(library.length + 1))), sorted(names), library);
  }
  for (const name of Object.keys(FORMER_NAMES)) assert.ok(!found.has(name), name);
  for (const name of Object.keys(REFUSED_CALLS)) assert.equal(found.get(name), 'function', name);
});

test('the functions listed as refused do refuse', async () => {
  const calls = Object.keys(REFUSED_CALLS).map((name) => {
    const expected = name === 'package.loadlib' ? 'nil' : 'error';
    return `do
      local ok, result = pcall(${name}, "x", "y", "z")
      local got = not ok and "error" or result == nil and "nil" or "something"
      assert(got == "${expected}", "${name}: " .. got .. " " .. tostring(result))
    end`;
  });
  const server = await startServer({ source: calls.join('\n') });
  const { problem } = await server.policies.examine();
  await server.close();
  assert.equal(problem, undefined);
});

test('callbacks are looked for under the names described, in the order described', () => {
  assert.deepEqual(
    DESCRIBED.map(({ name, alias }) => [name, alias]),
    Object.values(CALLBACK_FIELDS).map(([name, alias]) => [`smtp.${name}`, `smtp.${alias}`]),
  );
});

test('smtp.trans is smtp.tran', async () => {
  const server = await startServer({ source: 'assert(rawequal(smtp.trans, smtp.tran))' });
  const { problem } = await server.policies.examine();
  await server.close();
  assert.equal(problem, undefined);
});

/** Types as a script sees them: `nil` for what is absent. */
const RECORD = `
local function kind(v) return math.type(v) or type(v) end
local function record(event)
  local t = {}
  for k, v in pairs(smtp.sess) do t[#t + 1] = "smtp.sess." .. k .. "=" .. kind(v) end
  for k, v in pairs(smtp.tran) do t[#t + 1] = "smtp.tran." .. k .. "=" .. kind(v) end
  t[#t + 1] = "smtp.note=" .. kind(smtp.note)
  for _, name in ipairs { "parts", "defects" } do
    local ok, value = pcall(function() return mime[name] end)
    if ok then t[#t + 1] = "mime." .. name .. "=" .. kind(value) end
  end
  syslog.info("AT " .. event .. " " .. table.concat(t, " "))
end
record("start")
for _, name in ipairs { "do_connect", "do_helo", "do_mail", "do_rcpt", "do_data", "do_headers", "do_chunk", "do_dot", "rset", "close" } do
  smtp[name] = function(...)
    record(name)
    for i = 1, select("#", ...) do syslog.info("ARG " .. name .. " " .. i .. " " .. kind((select(i, ...)))) end
    syslog.info("COUNT " .. name .. " " .. select("#", ...))
  end
end
function smtp.do_unknown(...) syslog.info("COUNT do_unknown " .. select("#", ...)) end
`;

const STAGES = [
  'start',
  'do_connect',
  'do_helo',
  'do_mail',
  'do_rcpt',
  'do_data',
  'do_headers',
  'do_dot',
  'rset',
];
function beginsAt(stage: Stage): string {
  return stage === 'start' ? stage : `do_${stage}`;
}

test('fields and arguments are there when the description says so, with the types described', async (t) => {
  const server = await startServer({ source: RECORD });
  t.after(() => server.close());
  const mta = await Mta.open(server);
  mta.macro('C', 'j', 'mx.example.com', '{daemon_name}', 'smtpd', '{daemon_addr}', '192.0.2.1');
  await mta.connect('192.0.2.7', 'client.example.net');
  mta.macro('H', '{tls_version}', 'TLSv1.3', '{cipher}', 'AES', '{cipher_bits}', '256');
  await mta.helo('client.example.net');
  mta.macro('M', 'i', '4Q1', '{auth_authen}', 'ann', '{auth_type}', 'PLAIN');
  await mta.mail('<a@example.net>', 'SIZE=1000');
  await mta.rcpt('<b@example.com>');
  await mta.data();
  await mta.content([['Subject', ' x']], 'body\r\n');
  await mta.quit();
  await server.log.until(/COUNT close/);

  const at = new Map<string, Map<string, string>>();
  for (const line of server.log.lines) {
    const [, event = '', rest = ''] = /AT (\S+) (.*)/.exec(line) ?? [];
    if (event !== '')
      at.set(event, new Map(rest.split(' ').map((pair) => pair.split('=') as [string, string])));
  }
  for (const [number, stage] of STAGES.entries()) {
    const values = at.get(stage);
    assert.ok(values, stage);
    for (const name of values.keys())
      assert.ok(API_NAMES.fields.has(name), `${stage}: ${name} is not described`);
    for (const { name, type, from } of API_NAMES.fields.values()) {
      const value: string = values.get(name) ?? 'nil';
      const context = `${stage}: ${name} is ${value}`;
      // A message can be taken apart in do_dot alone.
      const isOver = name.startsWith('mime.') && stage !== 'do_dot';
      if (isOver || STAGES.indexOf(beginsAt(from)) > number) assert.equal(value, 'nil', context);
      else assert.ok(allowed(type).includes(value), `${context}, described as ${type}`);
    }
  }
  // All that this session could set is set at its end, and what is of the transaction is gone after it.
  const unset = [...API_NAMES.fields.keys()].filter((name) => !at.get('do_dot')?.has(name));
  assert.deepEqual(unset, []);
  assert.deepEqual(
    [...(at.get('close')?.keys() ?? [])].filter((name) => name.startsWith('smtp.tran.')),
    [],
  );

  for (const { name, params } of DESCRIBED) {
    const spelt = name.replace('smtp.', '');
    if (spelt === 'do_unknown') continue; // Sent by no MTA in this session.
    assert.ok(
      server.log.lines.some((line) => line.endsWith(`COUNT ${spelt} ${params.length}`)),
      name,
    );
    for (const [i, param] of params.entries()) {
      const [, got = ''] = new RegExp(`ARG ${spelt} ${i + 1} (\\S+)`).exec(server.log.lines.join('\n')) ?? [];
      assert.ok(allowed(param.type).includes(got), `${name}: ${param.name} is ${got}`);
    }
  }
});

/** What `math.type(v) or type(v)` gives for values of a type. */
function allowed(type: string): string[] {
  return type.split('|').flatMap((member) => {
    if (member.endsWith('[]') || API_NAMES.classes.has(member)) return ['table'];
    if (member.startsWith('"')) return ['string'];
    return member === 'number' ? ['integer', 'float'] : [member];
  });
}

test('all types are those of Lua, or classes described here', () => {
  const plain = [
    'string',
    'integer',
    'number',
    'boolean',
    'table',
    'function',
    'any',
    'nil',
    'true',
    'false',
  ];
  const types = API.flatMap(({ entries }) =>
    entries.flatMap((entry) => {
      switch (entry.kind) {
        case 'callback':
          return entry.params.map(({ type }) => type);
        case 'function':
          return [...entry.params, ...entry.results].map(({ type }) => type);
        case 'field':
          return [entry.type];
        case 'class':
          return entry.fields.map(({ type }) => type);
        default:
          return [];
      }
    }),
  );
  for (const type of types.flatMap((union) => union.split('|'))) {
    const base = type.replace(/\[\]$/, '');
    assert.ok(plain.includes(base) || API_NAMES.classes.has(base) || /^"[a-z0-9]+"$/.test(base), type);
  }
});

test("the functions of Lua's libraries that are described exist", () => {
  for (const name of LUA_FUNCTIONS.keys()) {
    if (!name.includes(':')) assert.equal(found.get(name), 'function', name);
  }
  assert.ok(LUA_FUNCTIONS.size > 60);
});

test('the library of test files has what is described', async (t) => {
  const names = (prefix: string) =>
    sorted(
      [...API_NAMES.functions.keys()].filter(
        (name) => name.startsWith(prefix) && !name.slice(prefix.length).includes(':'),
      ),
    )
      .map((name) => `"${name.slice(prefix.length)}"`)
      .join(', ');
  const file = join(directory(t), 'api_test.lua');
  const policy = join(directory(t), 'policy.lua');
  writeFileSync(policy, 'function smtp.do_rcpt() return 550, "5.7.1 no" end\n');
  const fields = (name: string) =>
    `{ ${API_NAMES.classes
      .get(name)
      ?.fields.map(({ name: field, type }) => `${field} = "${type}"`)
      .join(', ')} }`;
  writeFileSync(
    file,
    `test.policy("${policy}")
    local function keys(t) local list = {} for k in pairs(t) do list[#list + 1] = k end table.sort(list) return list end
    local function conforms(t, types, what)
      for k, v in pairs(t) do assert(types[k], what .. " has " .. k .. ", which is not described") end
      for k, type_ in pairs(types) do
        if not type_:find("nil") then assert(t[k] ~= nil, what .. " has no " .. k) end
      end
    end
    test.case("names", function()
      test.equal(keys(test), { ${names('test.')} })
      local s = test.session { helo = "x" }
      test.equal(keys(getmetatable(s).__index), { ${names('test.smtp_session:')} })
      conforms({ greeting = s.greeting, helo_reply = s.helo_reply }, ${fields('test.smtp_session')}, "session")
      s:mail("a@b.example")
      conforms(s:rcpt("c@d.example"), ${fields('test.result')}, "result")
      conforms(s:calls()[1], ${fields('test.call')}, "call")
      for _, line in ipairs(s:log()) do assert(type(line) == "string") end
    end)`,
  );
  const { code, stdout, stderr } = await run(['test', file]);
  assert.equal(code, 0, stdout + stderr);
});
