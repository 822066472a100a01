/** Rules on the callbacks that a policy defines. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, suggestions } from './findings.ts';

test('misspelt-callback: names that are almost those of callbacks', () => {
  for (const [name, meant] of [
    ['do_rctp', 'smtp.do_rcpt'],
    ['do_conect', 'smtp.do_connect'],
    ['do_header', 'smtp.do_headers'],
    ['do_hello', 'smtp.do_helo'],
    ['do_DATA', 'smtp.do_data'],
    ['rest', 'smtp.rset'],
    ['chnuk', 'smtp.chunk'],
    ['unkown', 'smtp.unknown'],
    ['do_envelope', undefined],
  ] as const) {
    const text = `function smtp.${name}() end`;
    assert.deepEqual(findings(text), ['misspelt-callback 1:10'], name);
    assert.deepEqual(suggestions(text), [meant], name);
    assert.deepEqual(findings(`smtp.${name} = function() end`), ['misspelt-callback 1:1'], name);
    assert.deepEqual(
      findings(`local s = smtp\ns["${name}"] = function() end`),
      ['misspelt-callback 2:1'],
      name,
    );
  }
  assert.deepEqual(findings('function do_rcpt() end'), ['misspelt-callback 1:10']);
  assert.deepEqual(findings('local function do_rcpt() end'), ['misspelt-callback 1:16']);
});

test("misspelt-callback: callbacks, the script's own functions and other tables are left alone", () => {
  for (const text of [
    'function smtp.do_rcpt() end function smtp.close() end function smtp.do_rset() end function smtp.chunk() end',
    'function smtp.refuse() end function smtp.do_data() return smtp.refuse() end',
    'function smtp.rest() end function smtp.do_data() smtp.rest() end',
    'local t = {} function t.do_rctp() end',
    'smtp.limit = 5',
    'local function do_rcpt() end smtp.do_rcpt = do_rcpt',
    'function do_rcpt() end smtp.do_rcpt = do_rcpt',
    'smtp.note.do_rctp = function() end',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
});

test('double-callback: both spellings, or the same one twice', () => {
  assert.deepEqual(findings('function smtp.do_rcpt() end\nfunction smtp.rcpt() end'), [
    'double-callback? 2:10',
  ]);
  assert.deepEqual(findings('function smtp.do_close() end\nsmtp.close = print'), ['double-callback? 1:10']);
  assert.deepEqual(findings('function smtp.do_rcpt() end\nfunction smtp.do_rcpt() end'), [
    'double-callback? 2:10',
  ]);
  const text = 'both smtp.do_rcpt and smtp.rcpt are defined: smtp.rcpt is never called';
  const warnings = [{ code: 'double-callback', subject: 'smtp.do_rcpt', text }];
  assert.deepEqual(findings('require "rules"', { warnings }), ['double-callback? 1:1']);
  assert.deepEqual(findings('function smtp.do_rcpt() end\nfunction smtp.rcpt() end', { warnings }), [
    'double-callback? 2:10',
  ]);
});

test('uncallable-callback: what the run found, where the text has it', () => {
  const said = 'smtp.do_rcpt is a table and no function: it is never called';
  const warnings = [{ code: 'uncallable-callback', subject: 'smtp.do_rcpt', text: said }];
  for (const [text, at] of [
    ['smtp.do_rcpt = {}', '1:1'],
    ['local s = smtp\ns.do_rcpt = setmetatable({}, {})', '2:1'],
    ['require "rules"', '1:1'],
    ['function smtp.rcpt() end\nsmtp.do_rcpt = {}', '2:1'],
  ] as const) {
    assert.deepEqual(findings(text, { warnings }), [`uncallable-callback? ${at}`], text);
  }
  assert.deepEqual(findings('smtp.do_rcpt = {} -- smtpf: ignore uncallable-callback', { warnings }), []);
});

test('double-callback: one of two by a condition, and different callbacks', () => {
  for (const text of [
    'if os.getenv("X") then function smtp.do_rcpt() end else function smtp.do_rcpt() end end',
    'function smtp.do_rcpt() end function smtp.do_mail() end',
    'function smtp.do_rcpt() end smtp.do_rcpt = nil',
    'function smtp.do_rcpt() end function smtp.do_mail() smtp.do_rcpt = nil end',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
});

test('late-callback: first defined inside another one', () => {
  const text = 'function smtp.do_connect()\nfunction smtp.do_rcpt() end\nend';
  const early = new Set(['smtp', 'smtp.do_connect']);
  assert.deepEqual(findings(text, { defined: early }), ['late-callback? 2:10']);
  const handed = 'local s = smtp\nfunction s.do_connect() s.do_rcpt = print end';
  assert.deepEqual(findings(handed, { defined: early }), ['late-callback? 2:25']);
});

test('late-callback: defined by a function that the main chunk calls, anew, or in a script that was not run', () => {
  const both = new Set(['smtp', 'smtp.do_connect', 'smtp.do_rcpt']);
  for (const [text, defined] of [
    ['local function define() function smtp.do_rcpt() end end define()', both],
    ['function smtp.do_rcpt() end function smtp.do_connect() function smtp.do_rcpt() end end', both],
    ['function smtp.do_connect() function smtp.rcpt() end end', both],
    ['function smtp.do_connect() smtp.do_rcpt = nil end', new Set(['smtp.do_connect'])],
    ['function smtp.do_connect() function smtp.do_rcpt() end end', undefined],
  ] as const) {
    assert.deepEqual(findings(text, { defined }), [], text);
  }
});

test('callback-parameters: a colon, and parameters that never get a value', () => {
  assert.deepEqual(findings('function smtp:do_rcpt(recipient) end'), ['callback-parameters 1:10']);
  assert.deepEqual(suggestions('function smtp:do_rcpt(recipient) end'), ['smtp.do_rcpt']);
  assert.deepEqual(findings('function smtp.do_helo(name, ip) end'), ['callback-parameters? 1:29']);
  assert.deepEqual(findings('function smtp.rset(id) end'), ['callback-parameters? 1:20']);
});

test('callback-parameters: fewer, all, or any number', () => {
  for (const text of [
    'function smtp.do_rcpt() end',
    'function smtp.do_rcpt(r, p) end',
    'function smtp.do_rcpt(...) end',
    'function smtp.do_rcpt(r, p, ...) end',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
});

test('hidden-api: a table smtp of its own, or one in the place of the API', () => {
  assert.deepEqual(findings('local smtp = {}\nfunction smtp.do_rcpt() end'), ['hidden-api 1:7']);
  assert.deepEqual(findings('smtp = {}'), ['hidden-api 1:1']);
  assert.deepEqual(findings('header = nil'), ['hidden-api 1:1']);
});

test('hidden-api: other names of the same table, and local variables with names of tables', () => {
  for (const text of [
    'local smtp = smtp function smtp.do_rcpt() end',
    'local smtp, syslog = smtp, syslog',
    'for _, header in ipairs {} do print(header) end',
    'local header, body = {}, ""',
    'local function f(smtp) return smtp end f()',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
});
