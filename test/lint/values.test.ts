/** Rules on values. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings, findingsOf, inCallback, suggestions } from './findings.ts';

test('integer-overflow: numerals and constant arithmetic beyond 32 bits', () => {
  for (const [expression, finding] of [
    ['5*1024*1024*1024', 'integer-overflow 1:7'],
    ['1024 * 1024 * 1024 * 5 + 1', 'integer-overflow 1:7'],
    ['2147483647 + 1', 'integer-overflow 1:7'],
    ['-2147483647 - 2', 'integer-overflow 1:7'],
    ['65536 * 65536', 'integer-overflow 1:7'],
    ['1 << 32', 'integer-overflow 1:7'],
    ['0x1ffffffff', 'integer-overflow 1:7'],
    ['5000000000', 'integer-overflow? 1:7'],
    ['os.time() * 1000', 'integer-overflow 1:7'],
    ['1000 * os.time()', 'integer-overflow 1:7'],
    ['(4 * 1024 * 1024 * 1024) // 2', 'integer-overflow 1:8'],
  ] as const) {
    assert.deepEqual(findings(`print(${expression})`), [finding], expression);
  }
  assert.deepEqual(findings('local KB = 1024\nlocal GB = KB * KB * KB\nprint(GB * 2)'), [
    'integer-overflow 3:7',
  ]);
  assert.deepEqual(suggestions('print(5*1024*1024*1024)'), ['5.0*1024*1024*1024']);
  assert.deepEqual(suggestions('print(5000000000)'), ['5000000000.0']);
  assert.deepEqual(suggestions('print(os.time() * 1000)'), ['os.time() * 1000.0']);
});

test('integer-overflow: what fits, floats, bit patterns and values that are not known', () => {
  for (const expression of [
    '1024*1024*1024',
    '2147483647',
    '-2147483647 - 1',
    '5.0*1024*1024*1024',
    '5*1024*1024*1024.0',
    '5e9',
    '5000000000.0',
    '2^40',
    '0xffffffff',
    '0x80000000 | 1',
    '1 << 31',
    '0xff << 24',
    'os.time() + 3600',
    'os.time() * 1000.0',
    'os.time() * 1',
    '65536 * tonumber("65536")',
    '"5000000000"',
  ]) {
    assert.deepEqual(findings(`print(${expression})`), [], expression);
  }
  assert.deepEqual(findings('local n = 65536\nn = 1\nprint(n * 65536)'), []);
});

test('wrong-type: a list for its length, a text for a number, a table in a text', () => {
  for (const [body, finding, instead] of [
    ['if smtp.tran.rcpts > 10 then return end', 'wrong-type 2:4', '#smtp.tran.rcpts'],
    ['if 10 < smtp.tran.rcpts then return end', 'wrong-type 2:9', '#smtp.tran.rcpts'],
    ['if smtp.tran.rcpts == 1 then return end', 'wrong-type 2:4', '#smtp.tran.rcpts'],
    ['if header.all("Received") > 50 then return end', 'wrong-type 2:4', '#header.all("Received")'],
    ['if params > 0 then return end', 'wrong-type 2:4', '#params'],
    ['if smtp.sess.auth == "bob" then return end', 'wrong-type 2:4', undefined],
    ['if smtp.sess.port == "25" then return end', 'wrong-type 2:4', undefined],
    ['if params.SIZE > 1000 then return end', 'wrong-type 2:4', 'tonumber(params.SIZE)'],
    ['if recipient ~= 5 then return end', 'wrong-type 2:4', undefined],
    ['print("rcpts " .. smtp.tran.rcpts)', 'wrong-type 2:19', undefined],
    ['print(smtp.tran.rcpts + 1)', 'wrong-type 2:7', '#smtp.tran.rcpts'],
    ['print(smtp.sess.port.number)', 'wrong-type 2:7', undefined],
    ['print(#smtp.code.reject)', 'wrong-type 2:8', undefined],
    ['print(smtp.sess.ip())', 'wrong-type 2:7', undefined],
    ['if smtp.macro == "x" then return end', 'wrong-type 2:4', undefined],
  ] as const) {
    const text = inCallback(body);
    assert.deepEqual(findingsOf('wrong-type', text), [finding], body);
    assert.deepEqual(suggestions(text, 'wrong-type'), [instead], body);
  }
  assert.deepEqual(findings(inCallback('if headers > 100 then return end', 'smtp.do_headers(headers)')), [
    'wrong-type 2:4',
  ]);
  assert.deepEqual(findings(inCallback('if #size > 100 then return end', 'smtp.do_chunk(chunk, size)')), [
    'wrong-type 2:5',
  ]);
});

test('wrong-type: what is right, may be nil, or is not known', () => {
  for (const body of [
    'if #smtp.tran.rcpts > 10 and #params > 0 and #recipient > 5 then return end',
    'if smtp.sess.port == 25 or smtp.sess.auth == nil or smtp.sess.auth then return end',
    'if smtp.sess.auth and smtp.sess.auth.user == "bob" then return end',
    'if tonumber(params.SIZE) > 1000 or (smtp.tran.size or 0) > 1000 then return end',
    'print("port " .. smtp.sess.port, "helo " .. smtp.sess.helo, 2 .. recipient)',
    'if dns.listed(smtp.sess.ip, "zone.example") == false then return end',
    'if dns.listed(smtp.sess.ip, "zone.example") == "127.0.0.2" then return end',
    'if smtp.tran.rcpts[1].code == 250 then return end',
    'if recipient == smtp.tran.sender or recipient < "b" then return end',
    'local open = print print(NOT_KNOWN and open / 2 or open .. 1)',
    'recipient = 5 if recipient > 4 then return end',
    'local t = setmetatable({}, { __call = print }) t()',
    'print(recipient * 2)',
    'if smtp.code.reject == 550 then return end',
  ]) {
    assert.deepEqual(findingsOf('wrong-type', inCallback(body)), [], body);
  }
});
