/** Rules on names: fields of tables, constants, global variables. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, findingsOf, inCallback, suggestions } from './findings.ts';

test('unknown-field: of the API, of Lua, of strings and of what the API hands out', () => {
  for (const [body, column, meant] of [
    ['print(smtp.sess.hello)', 7, 'smtp.sess.helo'],
    ['if smtp.sess.user then return end', 4, undefined],
    ['print(smtp.trans.sendr)', 7, 'smtp.tran.sender'],
    ['header.ad("X", "y")', 1, 'header.add'],
    ['dns.lookup("x")', 1, undefined],
    ['print(smtp["ses"])', 7, 'smtp.sess'],
    ['smtp.addrcpt("a@b.example")', 1, 'smtp.add_rcpt'],
    ['print(string.trim(recipient))', 7, undefined],
    ['table.lenght({})', 1, undefined],
    ['print(os.tme())', 7, 'os.time'],
    ['print(recipient:trim())', 7, undefined],
    ['print(recipient:lowr())', 7, 'lower'],
    ['print(smtp.sess.ip:mach("x"))', 7, 'match'],
    ['print(params.size)', 7, 'SIZE'],
    ['print(params:match("SIZE=(%d+)"))', 7, undefined],
    ['print(smtp.sess.auth.username)', 7, undefined],
    ['print(smtp.sess.tls.versoin)', 7, 'version'],
    ['print(smtp.tran.rcpts[1].adr)', 7, 'addr'],
    ['for _, m in ipairs(header.addr("From")) do print(m.domian) end', 50, 'domain'],
    ['local tran = smtp.tran print(tran.sendr)', 30, 'smtp.tran.sender'],
    ['dns.start(dns.a, "x"):wiat()', 1, 'wait'],
    ['print(must(dns.mx("x"))[1].hosts)', 7, 'host'],
  ] as const) {
    const text = inCallback(body);
    assert.deepEqual(findingsOf('unknown-field', text), [`unknown-field 2:${column}`], body);
    assert.deepEqual(suggestions(text, 'unknown-field'), [meant], body);
  }
});

test('unknown-field: what exists, what the script makes, and what is only asked for', () => {
  for (const text of [
    'function smtp.log(x) print(x) end smtp.log(1)',
    'function string.trim(s) return s end print(("x"):trim(), string.trim("x"))',
    'smtp.note.seen = 1 print(smtp.note.seen, smtp.note.other)',
    inCallback('print(smtp.tran.note.anything, params.SIZE, params["BODY"], params[1], #params)'),
    inCallback('params.own = 1 print(params.own)'),
    'if dns.resolve then print(1) end',
    'local later = smtp.defer or print later()',
    'print(package.loaded.mine, package.config)',
    'local smtp2 = { sess = {} } print(smtp2.sess.hello)',
    'local sess = smtp.sess sess = {} print(sess.hello)',
    'local name = "hello" print(smtp.sess[name])',
    inCallback('print(smtp.trans.sender, smtp.sess.helo, smtp.sess.auth.user, recipient:lower():upper())'),
    '_G.limit = 5 print(_G.limit)',
  ]) {
    assert.deepEqual(findingsOf('unknown-field', text), [], text);
  }
  assert.deepEqual(findings('print(smtp.helper(1))', { defined: new Set(['smtp.helper']) }), []);
});

test('unknown-constant: of smtp.code and syslog', () => {
  assert.deepEqual(findings('print(smtp.code.rejekt)'), ['unknown-constant 1:7']);
  assert.deepEqual(suggestions('print(smtp.code.rejekt)'), ['smtp.code.reject']);
  assert.deepEqual(suggestions('print(syslog.LOG_WARN)'), ['syslog.LOG_WARNING']);
  assert.deepEqual(findings('if smtp.code.tempfail then print(1) end'), ['unknown-constant 1:4']);
  assert.deepEqual(findings('local code = smtp.code\nprint(code["rejct"])'), ['unknown-constant 2:7']);
});

test('unknown-constant: those that exist, and those that the script adds', () => {
  for (const text of [
    'print(smtp.code.reject, smtp.code.continue, syslog.LOG_WARNING)',
    'smtp.code.mine = 599 print(smtp.code.mine)',
    'local code = { rejekt = 1 } print(code.rejekt)',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
});

test('read-only-field: assignments that change nothing', () => {
  assert.deepEqual(findings(inCallback('smtp.tran.sender = "x"')), ['read-only-field? 2:1']);
  assert.deepEqual(suggestions(inCallback('smtp.tran.sender = "x"')), ['smtp.set_sender']);
  assert.deepEqual(findings(inCallback('smtp.sess.ip = "x"')), ['read-only-field? 2:1']);
  assert.deepEqual(findings('smtp.code.reject = 551'), ['read-only-field? 1:1']);
});

test("read-only-field: notes and the script's own fields", () => {
  for (const text of [
    'smtp.note = {}',
    inCallback('smtp.tran.note = {} smtp.tran.note.x = 1 smtp.sess.own = 1'),
    'local tran = {} tran.sender = 1',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
});

test('accidental-global: assigned in a function, declared nowhere', () => {
  assert.deepEqual(findings(inCallback('count = 1')), ['accidental-global? 2:1']);
  assert.deepEqual(
    findings(inCallback('count = 1\ncount = 2')),
    ['accidental-global? 2:1'],
    'once for each name',
  );
  assert.deepEqual(suggestions(inCallback('count = 1')), ['local count']);
  const misspelt = 'local seen\nfunction smtp.do_mail() sene = 1 print(seen) end';
  assert.deepEqual(findings(misspelt), ['accidental-global? 2:25']);
  assert.deepEqual(suggestions(misspelt), ['seen']);
});

test('accidental-global: declared in the main chunk, local, or there when it has run', () => {
  for (const text of [
    'count = 0\nfunction smtp.do_mail() count = count + 1 end',
    'local count\nfunction smtp.do_mail() count = 1 end',
    inCallback('local count = 1 count = 2'),
    'function helper() end\nfunction smtp.do_mail() helper = nil end',
    'function helper() end helper()',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
  assert.deepEqual(findings(inCallback('count = 1'), { defined: new Set(['count']) }), []);
});

test('unknown-global: called, indexed or read', () => {
  assert.deepEqual(findings('refuse()'), ['unknown-global 1:1']);
  assert.deepEqual(findings('print(stmp.code)'), ['unknown-global 1:7']);
  assert.deepEqual(suggestions('print(stmp.code)'), ['smtp']);
  assert.deepEqual(findings('print(maximum)'), ['unknown-global? 1:7']);
  assert.deepEqual(suggestions('print(reject)'), ['smtp.code.reject']);
  assert.deepEqual(suggestions('syslog.syslog(LOG_INFO, "x")'), ['syslog.LOG_INFO']);
  const misspelt = 'local listed = true\nif lsited then print(listed) end';
  assert.deepEqual(findings(misspelt), ['unknown-global? 2:4']);
  assert.deepEqual(suggestions(misspelt), ['listed']);
  assert.deepEqual(findings('test.case("x", print)'), ['unknown-global 1:1']);
});

test('unknown-global: known, assigned anywhere, asked for, or from code loaded at run time', () => {
  for (const text of [
    'print(smtp, syslog, header, body, dns, must, string, _VERSION)',
    'answers = answers or {}',
    'if DEBUG then print(1) end',
    'if VERBOSE_MODE == nil then print(1) end',
    'print(type(GLOBAL_TABLE))',
    inCallback('seen = 1 print(seen)') && 'seen = 1 function smtp.do_mail() print(seen) end',
    'function a() b() end function b() end a()',
    'require "rules" refuse()',
    'local _ENV = { print = print } print(whatever)',
    'goto done ::done::',
    'local t = { name = 1 } print(t.name)',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
  assert.deepEqual(findings('require "rules" refuse()', { defined: new Set(['refuse']) }), []);
  assert.deepEqual(findings('require "rules" refuse()', { defined: new Set() }), ['unknown-global 1:17']);
  assert.deepEqual(findings('test.case("x", print)', { isTest: true }), []);
});
