/** What a test may give as the answer of a service: values, failures, and functions of the call's arguments. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LuaFunction } from 'fengari';
import type { Answer } from '../../src/asking/answer.ts';
import { LuaContext, type Outcome } from '../../src/lua/context/context.ts';
import { Template } from '../../src/lua/context/template.ts';
import { ascii, lua } from '../../src/lua/engine/engine.ts';
import type { Plain } from '../../src/lua/engine/plain.ts';
import { libraries } from '../../src/lua/lib/libraries.ts';
import { compile } from '../../src/lua/script/compilation.ts';
import { checkFakeAnswer, type FakeAnswer, fails } from '../../src/modules/fake-answer.ts';

/** The answers that a source gives to the function `answer`. */
async function answersIn(source: string): Promise<{ answers: FakeAnswer[]; outcome: Outcome<void> }> {
  const answers: FakeAnswer[] = [];
  const answer: LuaFunction = (L) => {
    answers.push(checkFakeAnswer(L, 1));
    return 0;
  };
  const install = (L: Parameters<LuaFunction>[0]): void => {
    for (const [name, call] of Object.entries({ fails, answer })) {
      lua.lua_pushcfunction(L, call);
      lua.lua_setglobal(L, ascii(name));
    }
  };
  const template = new Template([...libraries, { install }]);
  const context = new LuaContext({ template, script: compile(Buffer.from(source), 'test.lua') });
  return { answers, outcome: await context.run() };
}

/** What one expression gives for these arguments. */
async function answerOf(expression: string, ...args: Plain[]): Promise<Answer<Plain>> {
  const { answers, outcome } = await answersIn(`answer(${expression})`);
  assert.equal(outcome.kind, 'done', JSON.stringify(outcome));
  const [answer] = answers;
  assert.ok(answer);
  return JSON.parse(JSON.stringify(answer(args))) as Answer<Plain>;
}

test('a value is what the function returns', async () => {
  for (const [expression, value] of [
    ['false', false],
    ['"Eicar-Test"', 'Eicar-Test'],
    ['12.5', 12.5],
    ['{ "a", "b" }', ['a', 'b']],
    [
      '{ spam = true, score = 6, symbols = { A = 1 }, list = {} }',
      { spam: true, score: 6, symbols: { A: 1 }, list: [] },
    ],
    ['{ __proto__ = 1 }', { ['__proto__']: 1 }],
  ] as const) {
    assert.deepEqual(await answerOf(expression), { kind: 'known', value }, expression);
  }
  assert.deepEqual(await answerOf('nil'), { kind: 'known' });
});

test('test.fails is nil, err', async () => {
  assert.deepEqual(await answerOf('fails "timeout"'), {
    kind: 'unknown',
    failure: 'timeout',
    reason: 'timeout as the test says',
  });
});

test('a function is given the arguments, and its result is the answer', async () => {
  const byName =
    'function(name, options) if name == "bad" then return fails "servfail" end return name .. options.x end';
  assert.deepEqual(await answerOf(byName, 'a', { x: 'b' }), { kind: 'known', value: 'ab' });
  assert.equal((await answerOf(byName, 'bad')).kind, 'unknown');
  await assert.rejects(answerOf('function() error("oops") end'), /test\.lua:1: oops/);
});

test('what is no answer raises an error at its line', async () => {
  for (const [expression, message] of [
    ['', /value expected/],
    ['coroutine.create(print)', /a value, test\.fails\(\.\.\.\) or a function expected/],
    ['{ f = print }', /a value, test\.fails\(\.\.\.\) or a function expected/],
    ['fails "sometimes"', /timeout, servfail, refused, unavailable, protocol or limit expected/],
    ['(function() local t = {} t[1] = t return t end)()', /a value, test\.fails/],
  ] as const) {
    const { outcome } = await answersIn(`answer(${expression})`);
    assert.match('message' in outcome ? outcome.message : '', message, expression);
  }
});
