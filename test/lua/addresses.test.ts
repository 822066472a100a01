/** Objects as text: `table: 0x...` is one object of one session, as an address is. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { LuaContext } from '../../src/lua/context/context.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { evaluate, template } from '../helpers/lua-context.ts';
import { startServer } from '../helpers/milter-server.ts';
import { Mta } from '../helpers/mta.ts';

/** What each session answers to MAIL and to each of two recipients. */
async function answers(t: TestContext, source: string, sessions = 5): Promise<string[][]> {
  const server = await startServer({ source });
  t.after(() => server.close());
  const all: string[][] = [];
  for (let session = 0; session < sessions; session++) {
    const mta = await Mta.open(server);
    await mta.connect('192.0.2.7');
    const replies = [await mta.mail('<a@b.example>'), await mta.rcpt('<a@b>'), await mta.rcpt('<c@d>')];
    await mta.quit();
    await server.whenIdle();
    all.push(replies.map(({ text }) => text.replace(/^450 4\.0\.0 /, '')));
  }
  return all;
}

/** The callbacks answer with an expression; MAIL is not refused, or no recipient could be named. */
const answering = (chunk: string, expression: string): string => `${chunk}
  function smtp.do_mail() first = ${expression} end
  function smtp.do_rcpt() return 450, first .. " " .. (${expression}) end`;

const OBJECTS = {
  'a table': '{}',
  'a function': 'function() return n end',
  'a function of the library': 'print',
  'a coroutine': 'coroutine.create(print)',
  'a metatable': 'getmetatable("")',
  'a table with a name': 'setmetatable({}, { __name = "thing" })',
};

describe('an object as text', () => {
  for (const [what, expression] of Object.entries(OBJECTS)) {
    it(`${what}: made by the main chunk, in each session another text, in one the same`, async (t) => {
      // A coroutine is not copied: each session runs such a chunk.
      const all = await answers(t, answering(`local object = ${expression}`, 'tostring(object)'));
      const texts = all.map(([, one = '', other]) => {
        assert.equal(one, other);
        const [first = '', second] = one.split(/ (?=\w+:)/);
        assert.equal(first, second);
        assert.match(first, /^(table|function|thread|thing): 0x[0-9a-f]{12,}$/);
        return first;
      });
      assert.equal(new Set(texts).size, texts.length, texts.join('\n'));
    });
  }

  it('kept by the main chunk as a key, is found again', async (t) => {
    const chunk = 'local object = {} local names = { [tostring(object)] = "found" }';
    const all = await answers(t, answering(chunk, 'names[tostring(object)] or "lost"'));
    for (const [, text] of all) assert.equal(text, 'found found');
    const copied = await answers(t, answering('local object = {}', 'tostring(object)'));
    assert.equal(new Set(copied.flat()).size, copied.length + 1, 'as many as sessions, and the empty reply');
  });

  it('is another for each object, in a copy of what the main chunk leaves too', async (t) => {
    const chunk = `local all = {} for i = 1, 1000 do all[i] = i % 2 == 0 and {} or function() return i end end
      local function count()
        local seen, n = {}, 0
        for i = 1, #all do all[#all + 1] = i % 3 == 0 and coroutine.create(print) or {} end
        for _, object in ipairs(all) do
          local text = string.format("%s", object):match "0x.*"
          if not seen[text] then seen[text], n = true, n + 1 end
        end
        return n .. "/" .. #all
      end`;
    for (const [, text] of await answers(t, answering(chunk, 'count()'), 3)) {
      assert.match(text ?? '', /^(\d+)\/\1 (\d+)\/\2$/);
    }
  });

  it('is no text of another session that was open at the same time', async () => {
    const texts = new Set<string>();
    for (let session = 0; session < 300; session++) {
      const script = compile(Buffer.from('return tostring({}) .. " " .. tostring({})'), 'a.lua');
      const outcome = await evaluate(new LuaContext({ template, script }));
      assert.equal(outcome.kind, 'done');
      if (outcome.kind === 'done') for (const text of outcome.value.split(/ (?=table)/)) texts.add(text);
    }
    assert.equal(texts.size, 600);
  });

  it('costs a session nothing that asks for none', async () => {
    for (const [source, seen] of [
      ['local t = { {}, print } return #t .. tostring(1)', false],
      ['return tostring(print)', true],
    ] as const) {
      const context = new LuaContext({ template, script: compile(Buffer.from(source), 'a.lua') });
      await evaluate(context);
      assert.equal(context.addressSeen, seen);
    }
  });
});
