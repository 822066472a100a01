/** Library calls that would run or grow without end: each ends within its budget, and others get their turn meanwhile. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { outputOf, runLua } from './run-lua.ts';

const ENDLESS = {
  'a pattern with many ways to fail': `('a'):rep(30000):find('.-.-.-.-b')`,
  'the same in gsub': `('a'):rep(30000):gsub('.-.-.-b', 'x')`,
  'the same in gmatch': `for w in ('a'):rep(30000):gmatch('.-.-.-b') do end`,
  'a match of brackets that fails everywhere': `('('):rep(200000):find('%b()x')`,
  'back references': `(('ab'):rep(50000)):find('(.+)%1%1%1%1c')`,
  'an endless replacement function': `('a'):gsub('a', function() while true do end end)`,
  'an endless order function': `table.sort({2, 1}, function() while true do end end)`,
  'sorting what is never sorted': `local t = setmetatable({}, {__index = function(_, i) return i end, __newindex = function() end, __len = function() return 1000000 end}) table.sort(t)`,
  'inserting into a table that says it is huge': `table.insert(setmetatable({}, {__len = function() return 2^31 - 2 end}), 1, 0)`,
  'moving the whole range of integers': `table.move({}, 1, 2^31 - 3, 1)`,
  'concatenating empty strings': `table.concat(setmetatable({}, {__index = function() return '' end}), '', 1, 2^31 - 3)`,
  'an endless __tostring': `print(setmetatable({}, {__tostring = function() while true do end end}))`,
  'an endless __pairs': `pairs(setmetatable({}, {__pairs = function() while true do end end}))`,
  'a device without an end': `for l in io.lines('/dev/urandom', 1) do end`,
};

describe('endless library calls', () => {
  for (const [name, source] of Object.entries(ENDLESS)) {
    test(name, async () => {
      let turns = 0;
      const timer = setInterval(() => turns++, 1);
      const { outcome } = await runLua(`pcall(function() ${source} end) pcall(function() ${source} end)`, {
        limits: { cpuMs: 200 },
      });
      clearInterval(timer);
      assert.equal(outcome.kind, 'overBudget', JSON.stringify(outcome));
      assert.equal(outcome.kind === 'overBudget' && outcome.what, 'cpu');
      assert.ok(turns >= 5, `others had ${turns} turns in 200 ms`);
    });
  }
});

describe('results that are too large', () => {
  const limits = { stringBytes: 1_000_000, cpuMs: 5000 };
  const LARGE = {
    'string.rep': `string.rep('x', 1000001)`,
    'string.rep with a separator': `string.rep('', 1000002, ',')`,
    'string.format': `string.format('%s%s', ('x'):rep(600000), ('y'):rep(600000))`,
    'table.concat': `table.concat({('x'):rep(600000), ('y'):rep(600000)})`,
    'string.gsub': `('x'):rep(600000):gsub('x', 'yy')`,
    'string.pack': `string.pack('c1000001', 'x')`,
    'the .. operator': `('x'):rep(600000) .. ('y'):rep(600000)`,
  };
  for (const [name, source] of Object.entries(LARGE)) {
    test(`${name} raises a memory error that a script can catch`, async () => {
      assert.equal(
        await outputOf(`print(pcall(function() return ${source} end))`, { limits }),
        'false\tnot enough memory\n',
      );
    });
  }

  test('the limit itself is allowed', async () => {
    assert.equal(await outputOf(`print(#string.rep('x', 1000000))`, { limits }), '1000000\n');
  });
});

test('a paused search finds what an unpaused one finds', async () => {
  // Some 10 ms of backtracking before the only match, at the very end.
  const output = await outputOf(`
    local s = ('a'):rep(3000) .. 'b' print(s:find('.-.-b$')) print(#s:match('(a-)(a-)b'))
    local n = 0 for w in (('a'):rep(400) .. 'b'):rep(20):gmatch('a-a-b') do n = n + #w end print(n)
    local r, c = (('a'):rep(400) .. 'b'):rep(20):gsub('a-a-b', function(w) return #w .. ',' end) print(r, c)
    print(pcall(string.find, ('('):rep(3000) .. 'x', '(%b()x'))`);
  assert.equal(output, `1\t3001\n0\n8020\n${'401,'.repeat(20)}\t20\ntrue\tnil\n`);
});

test('a search over a long subject finds what PUC Lua finds', async () => {
  const output = await outputOf(`
    local n = 200000 local as, x = ('a'):rep(n), ('x'):rep(n)
    print((as .. 'b'):find('a*b')) print((as .. 'b'):find('a-b')) print((as .. 'b'):find('[b-z]')) print(as:find('[b-z]'))
    print(#(as .. 'b'):match('(a+)ab'), #(as .. 'c'):match('.*'), (as .. 'ca'):match('.*c()'))
    print((x .. '(' .. as .. '(' .. x .. ')' .. as .. ')' .. x):find('%b()')) print((x .. '(' .. as):find('%b()'))
    print((as .. 'cb'):find('%f[b]')) print(#as:gsub('a', '%0'), #(as .. 'b' .. as):gsub('b', ''))
    print((as .. 'b'):match('^a-()b$'), as:find('^b'), #(as .. as .. 'b'):match('^(a*)%1b$'))
    local words = 0 for w in ((as .. ' '):rep(3)):gmatch('a+') do words = words + #w end print(words)`);
  assert.deepEqual(output.split('\n'), [
    '1\t200001',
    '1\t200001',
    '200001\t200001',
    'nil',
    '199999\t200001\t200002',
    '200001\t800004',
    'nil',
    '200002\t200001',
    '200000\t400000',
    '200001\tnil\t200000',
    '600000',
    '',
  ]);
});

test('a long string is no more than the beginning of it in an error message, and whole in a traceback', async () => {
  const results = [
    "#select(2, pcall(os.setlocale, 'C', s)) < 66000",
    '#select(2, pcall(collectgarbage, s)) < 66000',
    "select(2, pcall(os.setlocale, 'C', 'x')):match('%(.*')",
    "select(2, pcall(require, s)):match('path.*')",
    '#debug.traceback(s) > 1000000 and debug.traceback(s):sub(-1000):match("xx\\n(stack traceback:)")',
    'debug.traceback("a\\0b", 1):sub(1, 4) == "a\\0b\\n"',
    'debug.traceback(nil) == debug.traceback()',
    'debug.traceback(true)',
    '(s):find(s .. "x"), (s):find(s), pcall(string.find, s, s .. "[")',
  ];
  assert.equal(
    await outputOf(`local s = ('x'):rep(1000000)\n${results.map((one) => `print(${one})`).join('\n')}`),
    `true
true
(invalid option 'x')
path or name too long
stack traceback:
true
true
true
nil\t1\tfalse\tpattern too complex
`,
  );
});

test('a pattern nested too deeply is refused as in C', async () => {
  assert.equal(
    await outputOf(`print(pcall(string.match, ('a'):rep(1000), ('.?'):rep(1000)))`),
    'false\tpattern too complex\n',
  );
});

test('the replacement function of gsub and the order function of sort may yield', async () => {
  const output = await outputOf(`
    local co = coroutine.wrap(function() return (('abc'):gsub('.', coroutine.yield)) end)
    print(co(), co('1'), co(false), co('3'))
    local so = coroutine.wrap(function() local t = {3, 1, 2} table.sort(t, function(a, b) coroutine.yield() return a < b end) return table.concat(t, ' ') end)
    local r repeat r = so() until r print(r)`);
  assert.equal(output, 'a\tb\tc\t1b3\n1 2 3\n');
});
