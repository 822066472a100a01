/** Rules on what callbacks return. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, inCallback, suggestions } from './findings.ts';

const returning = (values: string) => inCallback(`return ${values}`);

test('reply-code: what no milter can give', () => {
  for (const values of [
    '354, "go"',
    '600, "no"',
    '55, "no"',
    '5500, "no"',
    '-1',
    '550.5, "x"',
    '"354", "go"',
    '4',
  ]) {
    assert.deepEqual(findings(returning(values)), ['reply-code 2:8'], values);
  }
  for (const values of [
    'true',
    'false',
    '"no"',
    '"550 no"',
    '{ 550, "no" }',
    'smtp.tran.rcpts',
    'header.add',
  ]) {
    assert.deepEqual(findings(returning(values)), ['reply-code 2:8'], values);
  }
  assert.deepEqual(suggestions(returning('"550 no"')), ['return 550, "no"']);
  assert.deepEqual(suggestions(returning('"5.7.1 no", 550')), ['the code first, then the text']);
  assert.deepEqual(findings(returning('251')), ['reply-code? 2:8']);
});

test('reply-code: what goes on or refuses, and what is not known', () => {
  for (const values of [
    '',
    'nil',
    '0',
    '250',
    '"250"',
    'smtp.code.ok',
    'smtp.code.skip',
    '550, "no"',
    '"550", "no"',
    '599, "no"',
    '400, "no"',
    '450.0, "later"',
    'tonumber(recipient), "no"',
    'recipient and 550 or nil, "no"',
    'f()',
    '...',
  ]) {
    const text = `local f = print\nfunction smtp.do_rcpt(recipient, ...)\nreturn ${values}\nend`;
    assert.deepEqual(findings(text), [], values);
  }
  assert.deepEqual(findings('local function f() return 600 end\nprint(f())'), [], 'no answer to a client');
  assert.deepEqual(findings(inCallback('local f = function() return true end f()')), []);
});

test('reply-without-text: a refusal alone', () => {
  for (const values of ['550', 'smtp.code.reject', '"451"', '550, nil', '550, ""', 'smtp.code.again, " "']) {
    assert.deepEqual(findings(returning(values)), ['reply-without-text? 2:8'], values);
  }
  assert.deepEqual(suggestions(returning('smtp.code.again')), ['return smtp.code.again, "4.7.1 why"']);
  const helper =
    'local function refuse() return smtp.code.reject end\nfunction smtp.do_mail() return refuse() end';
  assert.deepEqual(findings(helper), ['reply-without-text? 1:32']);
});

test('reply-without-text: with one, or with one that is not known', () => {
  for (const values of [
    '550, "no"',
    '550, recipient',
    '550, { "a", "b" }',
    'recipient',
    '550, string.format("x")',
  ]) {
    assert.deepEqual(findings(returning(values)), [], values);
  }
});

test('enhanced-code: of another class, in the text or as third result', () => {
  for (const [values, column] of [
    ['550, "4.7.1 no"', 13],
    ['smtp.code.again, "5.7.1 later"', 25],
    ['451, "5.7.1 " .. recipient', 13],
    ['550, string.format("4.7.1 %s", recipient)', 13],
    ['550, ("4.7.1 %s"):format(recipient)', 13],
    ['550, { "4.7.1 no", "never" }', 13],
    ['550, "no", "4.7.1"', 19],
    ['550, "no", "5.7"', 19],
    ['550, "2.0.0 fine"', 13],
    ['#recipient > 5 and 550 or 451, "5.7.1 no"', 39],
  ] as const) {
    assert.deepEqual(findings(returning(values)), [`enhanced-code 2:${column}`], values);
  }
  const constants = 'local CODE, TEXT = 550, "4.2.1 no"\nfunction smtp.do_mail() return CODE, TEXT end';
  assert.deepEqual(findings(constants), ['enhanced-code 2:38']);
  assert.deepEqual(suggestions(returning('550, "4.7.1 no"')), ['5.7.1']);
  assert.deepEqual(suggestions(returning('450, "no", "5.1.1"')), ['"4.1.1"']);
});

test('enhanced-code: of the right class, or not one at all', () => {
  for (const values of [
    '550, "5.7.1 no"',
    '550, "5.7.1"',
    '451, "4.7.1 later"',
    '550, "4.7 is a version"',
    '550, "4.7.1.2 is an address"',
    '550, "4.7.1x"',
    '550, "no 4.7.1"',
    '550, "no", "5.7.1"',
    '550, "5.7.1 no", nil',
    '#recipient > 5 and 550 or 451, #recipient > 5 and "5.7.1 no" or "4.7.1 later"',
    'tonumber(recipient), "4.7.1 no"',
  ]) {
    assert.deepEqual(findings(returning(values)), [], values);
  }
});

test('ignored-result: in rset and close, and texts that nobody sees', () => {
  assert.deepEqual(findings('function smtp.rset() return 550, "no" end'), ['ignored-result? 1:29']);
  assert.deepEqual(findings('function smtp.close()\nif 1 then return smtp.code.ok end end'), [
    'ignored-result? 2:18',
  ]);
  for (const values of ['250, "fine"', '0, "x"', 'smtp.code.accept, "taken"', 'smtp.code.discard, "x"']) {
    assert.match(findings(returning(values)).join(), /^ignored-result\? 2:\d+$/, values);
  }
});

test('ignored-result: nothing returned, and functions inside', () => {
  for (const text of [
    'function smtp.rset() return end',
    'function smtp.rset() return nil end',
    'function smtp.close() local f = function() return 1 end f() end',
    'local done = print function smtp.close() return done() end',
    'function smtp.do_mail() return 250, nil end',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
});
