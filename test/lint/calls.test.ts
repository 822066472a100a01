/** Rules on calls. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, findingsOf, inCallback, suggestions } from './findings.ts';

test('unavailable-call: refused here, of other versions of Lua, or behind an option', () => {
  for (const call of [
    'os.exit()',
    'string.dump(print)',
    'debug.sethook()',
    'debug.setmetatable("", {})',
    'package.loadlib("a", "b")',
    'os.execute("ls")',
    'io.popen("ls")',
    'require "js"',
    'require("js")',
    'collectgarbage("generational")',
    'dofile()',
    'loadfile()',
  ]) {
    assert.deepEqual(findings(call), ['unavailable-call 1:1'], call);
  }
  for (const [text, instead] of [
    ['print(unpack({}))', 'table.unpack'],
    ['print(loadstring("x"))', 'load'],
    ['print(table.getn({}))', '#t'],
    ['print(math.pow(2, 3))', 'x ^ y'],
    ['print(bit32.band(1, 2))', 'the operators & | ~ << >>'],
  ] as const) {
    assert.deepEqual(findings(text), ['unavailable-call 1:7'], text);
    assert.deepEqual(suggestions(text), [instead], text);
  }
});

test('unavailable-call: allowed by an option, defined by the script, or asked for', () => {
  assert.deepEqual(findings('os.execute("ls") io.popen("ls")', { allowExecute: true }), []);
  assert.deepEqual(findings('local js = require "js" print(js)', { allowJs: true }), []);
  for (const text of [
    'print(os.execute())',
    'local unpack = unpack or table.unpack print(unpack({}))',
    'local unpack = table.unpack or unpack print(unpack({}))',
    'function unpack(t) return t end print(unpack({}))',
    'local exit = print exit()',
    'local t = { unpack = print } t.unpack()',
    'collectgarbage() collectgarbage("count")',
    'package.preload.js = print require "js"',
    'debug.traceback() require "json"',
  ]) {
    assert.deepEqual(findings(text), [], text);
  }
});

test('wrong-arguments: too few, too many, of another type, or by a colon', () => {
  for (const [body, finding] of [
    ['header.add()', 'wrong-arguments 2:1'],
    ['header.insert("X: y")', 'wrong-arguments 2:1'],
    ['header.modify("X", 1)', 'wrong-arguments 2:1'],
    ['dns.listed(smtp.sess.ip)', 'wrong-arguments 2:1'],
    ['smtp.quarantine {}', 'wrong-arguments 2:17'],
    ['syslog.syslog("info", "x")', 'wrong-arguments 2:15'],
    ['syslog.info("a %s", recipient)', 'wrong-arguments? 2:21'],
    ['body.replace("x", 1)', 'wrong-arguments? 2:19'],
    ['header:add("X", "y")', 'wrong-arguments 2:1'],
    ['smtp:delay(1)', 'wrong-arguments 2:1'],
    ['smtp.delay("long")', 'wrong-arguments 2:12'],
    ['smtp.delay(nil)', 'wrong-arguments 2:12'],
    ['header.add("X", smtp.tran.rcpts)', 'wrong-arguments 2:17'],
    ['dns.start("a", "x")', 'wrong-arguments 2:11'],
    ['dns.start(dns.a("x"))', 'wrong-arguments 2:11'],
    ['header.insert(1, "X: y")', 'wrong-arguments 2:18'],
    ['header.add("X Y", "z")', 'wrong-arguments 2:12'],
    ['header.add("no colon")', 'wrong-arguments 2:12'],
    ['header.get("Subject:")', 'wrong-arguments 2:12'],
    ['local add = header.add add("X:", "y")', 'wrong-arguments 2:28'],
  ] as const) {
    assert.deepEqual(findingsOf('wrong-arguments', inCallback(body)), [finding], body);
  }
  assert.deepEqual(suggestions(inCallback('syslog.info("a %s", recipient)')), ['string.format']);
});

test('wrong-arguments: as described, with optional ones, lists of results and values that are not known', () => {
  for (const body of [
    'header.add("X: y")',
    'header.add("X", "y")',
    'header.add("X", 5)',
    'header.add(table.unpack({ "X", "y" }))',
    'header.modify("X", 1, nil)',
    'header.modify("X", "1", "y")',
    'header.insert("X: y", 0)',
    'header.delete("X", nil)',
    'dns.listed(smtp.sess.ip, "zone.example", { "127.0.0.2" }, 2.5)',
    'dns.listed(smtp.sess.ip, "zone.example", nil, 2)',
    'dns.a(recipient:match("@(.*)"))',
    'dns.start(dns.listed, smtp.sess.ip, "zone.example")',
    'smtp.delay("0.5") smtp.delay(1e-1)',
    'syslog.info(("x"):gsub("x", "y"))',
    'syslog.info(string.format("a %s", recipient))',
    'syslog.openlog() syslog.openlog("x", syslog.LOG_PID | syslog.LOG_CONS)',
    'syslog.info(smtp.tran.size or 0) smtp.add_rcpt("a@b.example", { "NOTIFY=NEVER" })',
    'must(dns.a("x")) must()',
    'local t = { add = print } t:add("x")',
  ]) {
    assert.deepEqual(findingsOf('wrong-arguments', inCallback(body)), [], body);
  }
});
