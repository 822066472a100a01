/** Sessions begin with a copy of what the main chunk leaves, where nobody can tell that from running it. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { startServer, type TestServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';
import { unheld } from '../helpers/unheld.ts';

async function start(t: TestContext, source: string, options = {}): Promise<TestServer> {
  const server = await startServer({ source }, options);
  t.after(() => server.close());
  return server;
}

/** What the script answers to MAIL in a session of its own: `return 550, text`. */
async function answer(server: TestServer, mails = 1): Promise<string> {
  const mta = await Mta.open(server);
  await mta.connect('192.0.2.7');
  let text = '';
  for (let i = 0; i < mails; i++) text = (await mta.mail('<a@b.example>')).text;
  await mta.quit();
  await server.whenIdle();
  return text.replace(/^550 5\.0\.0 /, '');
}

async function answers(server: TestServer, count = 4): Promise<string[]> {
  const texts: string[] = [];
  for (let i = 0; i < count; i++) texts.push(await answer(server));
  return texts;
}

describe('each session begins as if it had run the main chunk', () => {
  /** Main chunks that only set variables, what a callback does to them, and what it answers in each session. */
  const chunks: Record<string, [chunk: string, callback: string, answer: string]> = {
    'a variable': ['n = 0', 'n = n + 1 return n', '1'],
    'a local variable': ['local n = 0', 'n = n + 1 return n', '1'],
    'a local variable of two functions': [
      'local n = 0 local function add(k) n = n + k end',
      'add(2) add(3) n = n + 1 return n',
      '6',
    ],
    'a list': ['local t = { "a", "b" }', 't[#t + 1] = "c" return table.concat(t)', 'abc'],
    'a list that is taken from': [
      'local t = { 1, 2, 3 }',
      'table.remove(t, 1) t[2] = nil return #t .. t[1]',
      '12',
    ],
    'a map': [
      'local t = {} for i = 1, 20 do t["k" .. i] = i end',
      't.k1 = nil t.new = 1 local n = 0 for _ in pairs(t) do n = n + 1 end return n .. tostring(t.k1) .. t.k20',
      '20nil20',
    ],
    'an emptied table': [
      'local t = {}',
      'local was = next(t) t.x = 1 return tostring(was) .. next(t)',
      'nilx',
    ],
    'tables in tables': [
      'local t = { a = { b = { c = 1 } } } t.a.self = t',
      't.a.b.c = t.a.b.c + 1 return t.a.self.a.b.c .. tostring(t.a.self == t)',
      '2true',
    ],
    'a table as a key': [
      'local k = {} local t = { [k] = 1, [print] = 2 }',
      't[k] = t[k] + 5 return t[k] + t[print]',
      '8',
    ],
    'the order of a table': [
      'local t = { x = 1, 10, 20 } t[3] = 30 t.y = 2 t[5] = 50 t[4] = 40',
      'local s = "" for k in pairs(t) do s = s .. tostring(k) end t[1] = nil t[6] = 1 return s',
      '12345xy',
    ],
    'a metatable': [
      'local m = { __index = function(_, k) return k .. "!" end, n = 0 } local t = setmetatable({}, m)',
      'm.n = m.n + 1 rawset(t, "set", m.n) return t.hello .. t.set .. tostring(getmetatable(t) == m)',
      'hello!1true',
    ],
    'a changed library': [
      'function string.shout(s) return s:upper() .. "!" end table.unpack = nil',
      'local s = ("a"):shout() string.shout = nil return s .. tostring(table.unpack) .. tostring(string.shout)',
      'A!nilnil',
    ],
    'a method of strings': [
      'getmetatable("").__call = function(s) return s .. s end',
      'return ("ab")()',
      'abab',
    ],
    'a function that calls itself': [
      'local function fact(n) if n < 2 then return 1 end return n * fact(n - 1) end',
      'return fact(5)',
      '120',
    ],
    'functions of functions': [
      'local function counter() local n = 0 return function() n = n + 1 return n end end local a, b = counter(), counter() a()',
      'return a() .. b() .. a()',
      '213',
    ],
    'what was loaded': ['local f = load("local x = ... v = (v or 0) + x return v")', 'f(1) return f(2)', '3'],
    'what was caught': [
      'local ok, why = pcall(error, { code = 7 })',
      'why.code = why.code + 1 return tostring(ok) .. why.code',
      'false8',
    ],
    'an iterator that was run through': [
      'local s = 0 for i in coroutine.wrap(function() for i = 1, 4 do coroutine.yield(i) end end) do s = s + i end',
      's = s + 1 return s',
      '11',
    ],
    'a coroutine that is kept': [
      'local co = coroutine.wrap(function() local n = 0 while true do n = n + 1 coroutine.yield(n) end end) co()',
      'return co() .. co()',
      '23',
    ],
    'another table smtp': [
      'local old = smtp smtp = { code = old.code }',
      'return tostring(old.sess.ip) .. old.tran.sender',
      '192.0.2.7a@b.example',
    ],
    'no table smtp.sess': ['smtp.sess = nil', 'smtp.sess = (smtp.sess or 0) return smtp.sess', '0'],
    'a field of smtp.tran': [
      'smtp.tran.mine = 1',
      'smtp.tran.mine = smtp.tran.mine + 1 return smtp.tran.mine',
      '2',
    ],
    'very many functions': [
      'local f = function() return 0 end for _ = 1, 3000 do local g = f f = function() return g end end',
      'local n, g = 0, f while g() ~= 0 do g, n = g(), n + 1 end return n',
      '3000',
    ],
    'more than is copied': [
      'local t = {} for i = 1, 60000 do t[i] = { i } end',
      't[7][1] = t[7][1] + 1 return t[7][1] + t[60000][1]',
      '60008',
    ],
    'a long list': [
      'local t = {} for i = 1, 40000 do t[i] = "n" .. i end',
      't[#t + 1] = "more" return #t .. t[40000]',
      '40001n40000',
    ],
  };
  for (const [what, [chunk, callback, expected]] of Object.entries(chunks)) {
    it(what, async (t) => {
      const server = await start(
        t,
        `${chunk}\nfunction smtp.do_mail() return 550, (function() ${callback} end)() end`,
      );
      assert.deepEqual(await answers(server), [expected, expected, expected, expected]);
    });
  }

  it('two sessions at a time', async (t) => {
    const server = await start(
      t,
      'local n, t = 0, {} function smtp.do_mail() n = n + 1 t[n] = n return 550, n .. #t end',
    );
    assert.equal(await answer(server), '11');
    const both = [await Mta.open(server), await Mta.open(server)];
    for (const mta of both) await mta.connect('192.0.2.7');
    for (const expected of ['11', '22', '33']) {
      for (const mta of both)
        assert.match((await mta.mail('<a@b.example>')).text, new RegExp(` ${expected}$`));
    }
    for (const mta of both) await mta.quit();
  });

  it('a version of the script after the other', async (t) => {
    const version = (n: number) => `local v = "version ${n}" function smtp.do_mail() return 550, v end`;
    const server = await start(t, version(1));
    assert.deepEqual(await answers(server, 3), Array(3).fill('version 1'));
    server.writeScript(version(2));
    assert.deepEqual(await answers(server, 3), Array(3).fill('version 2'));
    server.writeScript(version(1));
    assert.deepEqual(await answers(server, 3), Array(3).fill('version 1'));
  });
});

describe('a main chunk is run for each session', () => {
  /** What makes one session's main chunk differ from another's, or leaves a trace. The chunk sets `v`. */
  const differing: Record<string, string> = {
    'that asks for the time': 'v = os.clock()',
    'that asks for it in a protected call': 'v = select(2, pcall(os.clock))',
    'that asks for it in a metamethod':
      'v = setmetatable({}, { __index = function() return os.clock() end }).x',
    'that asks for it where a library calls back': 'string.gsub("x", "x", function() v = os.clock() end)',
    'that asks for it where it sorts': 'table.sort({ 2, 1 }, function(a, b) v = os.clock() return a < b end)',
    'that asks for it in a coroutine': 'v = coroutine.wrap(function() return os.clock() end)()',
    'that asks for it in a chunk it loads': 'v = load("return os.clock()")()',
    'that asks for it by another name': 'local f = os["cl" .. "ock"] v = f()',
    'that throws dice': 'v = math.random(1000000000)',
    'that looks at the session': 'v = smtp.sess.id',
    'that traverses the session': 'for _, id in pairs(smtp.sess) do v = id end',
  };
  for (const [what, chunk] of Object.entries(differing)) {
    it(what, async (t) => {
      const server = await start(t, `${chunk} function smtp.do_mail() return 550, tostring(v) end`);
      const seen = await answers(server);
      assert.equal(new Set(seen).size, seen.length, seen.join(' '));
    });
  }

  it('that prints', async (t) => {
    const server = await start(t, 'print("it runs") function smtp.do_mail() return 550, "no" end');
    await answers(server, 3);
    const runs = server.log.lines.filter((line) => /: s\d+ it runs|s\d+ it runs/.test(line));
    assert.equal(runs.length, 3, server.log.lines.join('\n'));
  });

  it('that writes to a file', async (t) => {
    const server = await start(t, '');
    const file = join(server.directory, 'runs');
    writeFileSync(file, '');
    server.writeScript(
      `local f = io.open("${file}", "a") f:write("x") f:close() function smtp.do_mail() return 550, "no" end`,
    );
    await answers(server, 1);
    const before = readFileSync(file).length;
    await answers(server, 3);
    assert.equal(readFileSync(file).length, before + 3);
  });
});

/** Whether sessions, one after another, begin with more work than a time slice holds: such a one ends in a later turn. */
async function opened(server: TestServer): Promise<boolean[]> {
  const waits: boolean[] = [];
  for (let i = 0; i < 6; i++) {
    const info = { id: `t${i}`, macros: { get: () => undefined }, grantedActions: () => 0 };
    const policy = server.policies.open(info);
    waits.push(policy instanceof Promise);
    (await policy).dispose();
    // What is kept for the next ones is made in turns with others.
    for (let turn = 0; turn < 1000; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  return waits;
}

const LONG_AGO = new Date(2020, 0);

/** Writes a file that has not been edited for long, as most have not. */
function writeOld(file: string, text: string): void {
  writeFileSync(file, text);
  utimesSync(file, LONG_AGO, LONG_AGO);
}

describe('a main chunk that requires modules', () => {
  const script =
    'local lists = require "lists" function smtp.do_mail() return 550, #lists .. lists[#lists] end';

  async function withModule(t: TestContext, text: string): Promise<[TestServer, string]> {
    const server = await start(t, '');
    const module = join(server.directory, 'lists.lua');
    writeOld(module, text);
    server.writeScript(script);
    return [server, module];
  }

  it('is not run again while they stay as they are', async (t) => {
    const work = 'for i = 1, 100000 do n = (n or 0) + i % 3 end';
    const [quick] = await withModule(t, `${work} return { "one" }`);
    assert.equal((await opened(quick))[0], true);
    // A process that is held has no time left in its slice.
    await unheld(2, async () => assert.deepEqual(await opened(quick), Array(6).fill(false)));
    const [slow] = await withModule(t, `os.clock() ${work} return { "one" }`);
    assert.deepEqual(await opened(slow), Array(6).fill(true));
  });

  it('is run again when one was edited, even to the same length and time', async (t) => {
    const [server, module] = await withModule(t, 'return { "one" }');
    assert.deepEqual(await answers(server, 3), ['1one', '1one', '1one']);
    writeOld(module, 'return { "two" }');
    assert.deepEqual(await answers(server, 3), ['1two', '1two', '1two']);
    writeFileSync(module, 'return { "one", "two" }');
    assert.deepEqual(await answers(server, 3), ['2two', '2two', '2two']);
    writeFileSync(module, 'return { "one", "six" }');
    assert.deepEqual(await answers(server, 3), ['2six', '2six', '2six']);
  });

  it('is run again when another file comes before the one it had', async (t) => {
    const folder = join((await start(t, '')).directory, 'modules');
    mkdirSync(folder);
    const path = `${join(folder, '?.lua')};${join(folder, '?', 'init.lua')}`;
    const server = await start(t, `package.path = ${JSON.stringify(path)} ${script}`);
    mkdirSync(join(folder, 'lists'));
    writeOld(join(folder, 'lists', 'init.lua'), 'return { "one" }');
    assert.deepEqual(await answers(server, 3), ['1one', '1one', '1one']);
    writeOld(join(folder, 'lists.lua'), 'return { "two" }');
    assert.deepEqual(await answers(server, 3), ['1two', '1two', '1two']);
    rmSync(join(folder, 'lists.lua'));
    assert.deepEqual(await answers(server, 2), ['1one', '1one']);
  });

  it('is run again when a folder comes that has another one', async (t) => {
    const { directory } = await start(t, '');
    const path = ['one', 'two'].map((name) => join(directory, name, 'deep', '?.lua')).join(';');
    const server = await start(t, `package.path = ${JSON.stringify(path)} ${script}`);
    mkdirSync(join(directory, 'two', 'deep'), { recursive: true });
    writeOld(join(directory, 'two', 'deep', 'lists.lua'), 'return { "two" }');
    assert.deepEqual(await answers(server, 3), ['1two', '1two', '1two']);
    mkdirSync(join(directory, 'one', 'deep'), { recursive: true });
    assert.deepEqual(await answers(server, 3), ['1two', '1two', '1two']);
    writeOld(join(directory, 'one', 'deep', 'lists.lua'), 'return { "one" }');
    assert.deepEqual(await answers(server, 3), ['1one', '1one', '1one']);
  });

  it('does not run any more without them', async (t) => {
    const [server, module] = await withModule(t, 'return { "one" }');
    assert.deepEqual(await answers(server, 3), ['1one', '1one', '1one']);
    rmSync(module);
    assert.equal(await answer(server), '');
    assert.match(server.log.lines.join('\n'), /smtpf\.lua:1: module 'lists' not found/);
    writeOld(module, 'return { "two" }');
    assert.deepEqual(await answers(server, 3), ['1two', '1two', '1two']);
  });

  it('shares nothing of them between sessions', async (t) => {
    const [server] = await withModule(t, 'return { "one", n = 0 }');
    server.writeScript(
      'local lists = require "lists" function smtp.do_mail() local l = require "lists" l.n = l.n + 1 ' +
        'l[#l + 1] = "x" return 550, tostring(l == lists) .. #lists .. lists.n end',
    );
    assert.deepEqual(await answers(server, 3), ['true21', 'true21', 'true21']);
  });
});

it('a main chunk that opens a map is not run again, and sees what becomes of its file', async (t) => {
  const server = await start(t, '');
  const access = join(server.directory, 'access');
  writeOld(access, 'b.example one\n');
  const work = 'for i = 1, 100000 do n = (n or 0) + i % 3 end';
  const callback = 'function smtp.do_mail() return 550, (access:addr("a@b.example")) end';
  server.writeScript(`${work} access = map.open "${access}" ${callback}`);
  assert.deepEqual(await opened(server), [true, false, false, false, false, false]);
  assert.equal(await answer(server), 'one');
  writeFileSync(access, 'b.example two\n');
  const end = performance.now() + 60_000;
  while ((await answer(server)) !== 'two') assert.ok(performance.now() < end, 'the old version serves on');
  // A later chunk finds the same map, and a session that is copied from it.
  server.writeScript(`access = map.open "${access}" ${callback}`);
  assert.deepEqual(await answers(server, 3), ['two', 'two', 'two']);
});

it('a main chunk that takes long is not run again where that makes no difference', async (t) => {
  const chunk = (first: string) =>
    `${first} local n = 0 for i = 1, 500000 do n = n + i % 3 end function smtp.do_mail() return 550, n end`;
  assert.deepEqual(await opened(await start(t, chunk('os.clock()'))), Array(6).fill(true));
  assert.deepEqual(await opened(await start(t, chunk(''))), [true, false, false, false, false, false]);
});
