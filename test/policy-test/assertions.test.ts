/** What a failing assertion says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureOf, passes, run } from './run-tests.ts';

const POLICY = `
function smtp.do_mail(sender)
  if sender ~= "" then return 550, "5.7.1 not you" end
end`;

test('assertions that hold say nothing', async (t) => {
  await passes(
    t,
    POLICY,
    `
    local f = function() end
    test.equal(1, 1.0)
    test.equal("a\\0b", "a\\0b")
    test.equal({ 1, { x = "y" }, f }, { 1, { x = "y" }, f })
    test.equal(nil, nil)
    test.match("one two", "e t")
    test.match("one two", "^one%s+two$")
    test.match("100% (sure)", "% (")
    test.match({ "a", "b" }, "^b$")
    local s = test.session { helo = "x" }
    local refused, taken = s:mail "a@b.example", s:mail ""
    test.reply(refused, 550)
    test.reply(refused, 550, "5.7.1 not you")
    test.reply(refused, 550, "^5%.7%.1 not")
    test.reply(refused, smtp.code.reject)
    test.refused(refused)
    test.refused(refused, 550)
    test.accepted(taken)`,
  );
});

test('a failure says what was expected, what there was, and where it came from', async (t) => {
  const say = (body: string) => failureOf(t, POLICY, `local s = test.session { helo = "x" }\n${body}`);
  assert.equal(
    await say('test.accepted(s:mail "a@b.example")'),
    'MAIL FROM:<a@b.example>\n  expected: no refusal\n  got:      550 5.7.1 not you\n  from:     smtp.do_mail, DIR/p.lua:3',
  );
  assert.equal(
    await say('test.reply(s:mail "a@b.example", 550, "5.7.2")'),
    'MAIL FROM:<a@b.example>\n  expected: 550, with "5.7.2"\n  got:      550 5.7.1 not you\n  from:     smtp.do_mail, DIR/p.lua:3',
  );
  assert.equal(
    await say('test.reply(s:mail "a@b.example", 451, nil, "the stranger")'),
    'the stranger\n  expected: 451\n  got:      550 5.7.1 not you\n  from:     smtp.do_mail, DIR/p.lua:3',
  );
  assert.equal(
    await say('test.refused(s:mail "", 550)'),
    'MAIL FROM:<>\n  expected: a refusal with 550\n  got:      250 2.1.0 Ok\n  from:     smtp.do_mail, DIR/p.lua:4',
  );
  assert.match(await say('test.refused(s:mail "")'), /expected: a refusal\n/);
  assert.equal(
    await say('test.match("one", "two")'),
    'no match\n  expected: a text that has "two"\n  got:      "one"',
  );
  assert.equal(
    await say('test.match({}, "two", "the log")'),
    'the log\n  expected: one that has "two"\n  got:      none',
  );
  assert.equal(await say('test.equal(1, "1")'), 'not equal\n  expected: "1"\n  got:      1');
  assert.equal(
    await say('test.equal("caf\\xc3\\xa9\\t", "caf\\xe9\\\\")'),
    'not equal\n  expected: "caf\\xe9\\\\"\n  got:      "caf\xe9\\t"',
  );
  assert.equal(
    await say('test.equal({ a = 1 }, { a = 1, [2] = true })'),
    'not equal\n  expected: { [2] = true, a = 1 }\n  got:      { a = 1 }',
  );
  assert.equal(
    await say('test.equal(function() end, function() end)'),
    'not equal\n  expected: function 2\n  got:      function 1',
  );
});

test('long tables and texts are compared line by line', async (t) => {
  const say = (body: string) => failureOf(t, POLICY, body);
  assert.equal(
    await say('test.equal("one\\ntwo\\nthree", "one\\n2\\nthree\\nfour")'),
    'not equal\n  - expected, + got:\n    one\n  - 2\n  + two\n    three\n  - four',
  );
  const long = (word: string) => `{ "${'x'.repeat(60)}", "${word.repeat(20)}" }`;
  assert.equal(
    await say(`test.equal(${long('a')}, ${long('b')})`),
    [
      'not equal',
      '  - expected, + got:',
      '    {',
      `      "${'x'.repeat(60)}",`,
      `  -   "${'b'.repeat(20)}",`,
      `  +   "${'a'.repeat(20)}",`,
      '    }',
    ].join('\n'),
  );
});

test('a failure names the line of the assertion, those that led to it, and shows the session', async (t) => {
  const report = await run(t, {
    'p.lua': POLICY,
    'p_test.lua': [
      'local function check(sender)',
      '  local s = test.session { ip = "192.0.2.9", helo = "x" }',
      '  test.accepted(s:mail(sender))',
      '  return true',
      'end',
      'test.case("caf\xe9", function()',
      '  check "a@b.example"',
      '  return',
      'end)',
      'test.case("plain assert", function() assert(1 == 2) end)',
      'test.case("with a text", function() error("my words", 0) end)',
      'test.case("with a table", function() error({}) end)',
    ].join('\n'),
  });
  const [first, plain, words, object] = report.cases.map(({ failure }) => failure);
  const short = (where = '') => where.replace(/^.*\//, '');
  assert.equal(report.cases[0]?.name, 'caf\xe9');
  assert.equal(short(first?.where), 'p_test.lua:3');
  assert.equal(first?.source, 'test.accepted(s:mail(sender))');
  assert.deepEqual(first.callers.map(short), ['p_test.lua:7']);
  assert.deepEqual(
    first.transcripts.map((lines) =>
      lines.map(({ command, reply, where }) => [command, reply, short(where)]),
    ),
    [
      [
        ['connect 192.0.2.9', '220 mx.example ESMTP Postfix', ''],
        ['EHLO x', '250 mx.example', ''],
        ['MAIL FROM:<a@b.example>', '550 5.7.1 not you', 'p.lua:3'],
      ],
    ],
  );
  assert.deepEqual([short(plain?.where), plain?.message], ['p_test.lua:10', 'assertion failed!']);
  assert.deepEqual([short(words?.where), words?.message], ['p_test.lua:11', 'my words']);
  assert.match(object?.message ?? '', /error object is a table value/);
});

test('a case over a budget is ended, and the next one runs in a context of its own', async (t) => {
  const report = await run(t, {
    'p.lua': POLICY,
    'p_test.lua': `
      local count = 0
      test.case("too much", function()
        count = count + 1
        local all = {}
        while true do all[#all + 1] = { count } end
      end)
      test.case("next", function() test.equal(count, 0) end)`,
  });
  assert.deepEqual(
    report.cases.map(({ name, failure }) => [name, failure?.message.replace(/\d+/g, 'N')]),
    [
      ['too much', 'memory grew by more than N MiB'],
      ['next', undefined],
    ],
  );
});
