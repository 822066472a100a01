/** Which lines of a policy a test has run. */
import assert from 'node:assert/strict';
import { basename } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { type CoverageSummary, summarize } from '../../src/policy-test/coverage.ts';
import { run } from './run-tests.ts';

async function covered(
  t: TestContext,
  files: Readonly<Record<string, string>>,
): Promise<Map<string, CoverageSummary>> {
  const report = await run(t, files, { coverage: true });
  assert.deepEqual(
    report.cases.map(({ failure }) => failure?.message),
    report.cases.map(() => undefined),
  );
  return new Map(report.coverage.map((file) => [basename(file.file), summarize(file)]));
}

const POLICY = `-- 1
local limit = 3
local function unused(x)
  local y = x + 1
  return y
end
function smtp.do_mail(sender)
  if sender == "" then
    return
  end
  if #sender > limit then
    return 550,
      "long"
  elseif sender == "x" then
    return 551, "x"
  else
    limit = limit + 1
  end
  for i = 1, 3 do
    limit = limit + i
  end
end
`;

test('lines that ran, and stretches of those that could have', async (t) => {
  const files = await covered(t, {
    'p.lua': POLICY,
    'p_test.lua': 'test.case("a", function() test.session { helo = "x" }:mail "a@b.example" end)',
  });
  const { lines, covered: ran, uncovered } = files.get('p.lua') ?? assert.fail('no coverage');
  assert.deepEqual(uncovered, [
    [4, 5],
    [9, 9],
    [14, 20],
  ]);
  assert.equal(ran, lines - 8);
});

test('lines of modules count, of the test do not', async (t) => {
  const files = await covered(t, {
    'p.lua': 'local m = require "m"\nfunction smtp.do_mail() return m.reply() end\n',
    'm.lua':
      'local m = {}\nfunction m.reply()\n  return 550, "no"\nend\nfunction m.other()\n  return 1\nend\nreturn m\n',
    'p_test.lua': 'test.case("a", function() test.session { helo = "x" }:mail "a" end)',
  });
  assert.deepEqual([...files.keys()].sort(), ['m.lua', 'p.lua']);
  assert.deepEqual(files.get('m.lua')?.uncovered, [[6, 6]]);
  assert.equal(files.get('p.lua')?.percent, 100);
});

test('lines in coroutines, behind waits and behind caught errors count', async (t) => {
  const files = await covered(t, {
    'p.lua': `function smtp.do_mail()
  local co = coroutine.wrap(function()
    smtp.delay(1)
    coroutine.yield(1)
    dns.a("x.example")
    return 2
  end)
  co()
  local sum = co()
  pcall(function()
    error("caught")
  end)
  for i = 1, 3e5 do
    sum = sum + i
  end
  return 550, "x"
end
`,
    'p_test.lua': 'test.case("a", function() test.reply(test.session { helo = "x" }:mail "a", 550) end)',
  });
  assert.deepEqual(files.get('p.lua')?.uncovered, []);
});

test('a policy that no session has run is not covered at all', async (t) => {
  const files = await covered(t, { 'p.lua': POLICY, 'p_test.lua': 'test.case("a", function() end)' });
  assert.equal(files.get('p.lua')?.covered, 0);
});

test('budgets hold while lines are counted', async (t) => {
  const report = await run(
    t,
    {
      'p.lua': 'function smtp.do_mail()\n  while true do\n    local x = 1\n  end\nend\n',
      'p_test.lua': 'test.case("a", function() test.session { helo = "x" }:mail "a" end)',
    },
    { coverage: true },
  );
  assert.match(
    report.cases[0]?.failure?.message ?? '',
    // Where other programs have the processor, the time of the callback is over first.
    /error in smtp\.do_mail: .*p\.lua:[23]: (more than 1000 ms of CPU time|the time for this callback is over)/,
  );
});
