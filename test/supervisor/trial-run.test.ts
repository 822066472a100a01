/** A trial that does not end is ended, with all that it has started. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { resolveOptions } from '../../src/options/options.ts';
import { launchHere } from '../../src/supervisor/launch.ts';
import { runTrial, type TrialEnd } from '../../src/supervisor/trial-run.ts';
import { childrenOf, isAlive, until } from '../program/milter-client.ts';
import { directory } from '../program/program.ts';

const POLICY = 'function smtp.do_mail() return 451, "first" end\n';

function trial(
  t: TestContext,
  tests: string,
  args: Readonly<Record<string, string>>,
  stop = new AbortController(),
): Promise<TrialEnd> {
  const folder = directory(t);
  const spool = join(folder, 'spool');
  mkdirSync(spool);
  writeFileSync(join(folder, 'policy.lua'), POLICY);
  writeFileSync(join(folder, 'policy_test.lua'), tests);
  const given = { script: join(folder, 'policy.lua'), spool, store: 'memory', 'on-reload': 'test', ...args };
  const options = resolveOptions(new Map(Object.entries(given).map(([name, text]) => [name, [text]])), {});
  const start = { options, spool, secrets: [], before: undefined, id: 1 };
  return runTrial(start, { launch: launchHere([]), complain: () => {}, stop: stop.signal });
}

const started = () => childrenOf(process.pid).filter(isAlive);

test('a test that hangs is ended when the time is over', async (t) => {
  const hangs = 'test.case("hangs", function() os.execute("sleep 1000.25") end)\n';
  const { verdict } = await trial(t, hangs, { 'on-reload-timeout': '3', 'allow-execute': 'true' });
  assert.match(
    verdict.refusal ?? '',
    /^its trial has not ended within 3 s \(--on-reload-timeout\): \S+policy(_test\.lua|\.lua: the main chunk) was under way$/,
  );
  await until(() => started().length === 0);
});

test('one that needs too much memory is ended by it, and is no end of the server', async (t) => {
  const eats = 'test.case("eats", function() os.execute("kill -ABRT $PPID") end)\n';
  const { verdict, found } = await trial(t, eats, { 'allow-execute': 'true', 'on-reload-timeout': '600' });
  assert.match(
    verdict.refusal ?? '',
    /^the process of its trial has ended \(SIGABRT, as where its \d+ MiB of memory are used up\): \S+policy_test\.lua was under way$/,
  );
  assert.deepEqual(found?.report.callbacks, ['do_mail']);
});

test('it ends with the server', async (t) => {
  const stop = new AbortController();
  const running = trial(t, 'test.case("hangs", function() while true do end end)\n', {}, stop);
  await until(() => started().length > 0);
  stop.abort();
  assert.equal((await running).verdict.refusal, 'the server ends');
  await until(() => started().length === 0);
});
