/** What policies remember, over workers, kills and restarts, and with the store away. */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { REDIS, type RealService, startService } from '../helpers/real-service.ts';
import { childrenOf, mailReply, startMilter } from '../program/milter-client.ts';
import { directory, run } from '../program/program.ts';

// Time enough for a busy machine.
const COUNT = `function smtp.do_mail()
  local n, err = kv.incr("mails", 1, nil, 5)
  return 550, ("5.7.1 %s"):format(n and ("%d"):format(n) or err)
end
`;

const numberIn = (reply: string) => Number(/(\d+)$/.exec(reply)?.[1] ?? Number.NaN);

async function until(what: () => Promise<string>, expected: RegExp): Promise<void> {
  const end = Date.now() + 60_000;
  for (let found = await what(); !expected.test(found); found = await what()) {
    assert.ok(Date.now() < end, `still ${found}`);
    await sleep(100);
  }
}

describe('a store in a file', () => {
  test('is shared by workers, and outlives a kill of one and of all', async (t) => {
    const store = join(directory(t), 'store');
    const begin = () => startMilter(t, COUNT, ['--workers', '2', '--store', `lmdb:${store}`]);
    const milter = await begin();
    const replies = await Promise.all(Array.from({ length: 40 }, () => mailReply(milter)));
    assert.deepEqual(
      replies.map(numberIn).sort((a, b) => a - b),
      Array.from({ length: 40 }, (_, i) => i + 1),
    );
    const [worker = 0] = childrenOf(milter.running.child.pid);
    process.kill(worker, 'SIGKILL');
    // Sessions of the worker that is killed may be cut off: what was acknowledged counts.
    const after = await Promise.allSettled(Array.from({ length: 20 }, () => mailReply(milter)));
    const numbers = after.flatMap((result) =>
      result.status === 'fulfilled' ? [numberIn(result.value)] : [],
    );
    assert.equal(new Set(numbers).size, numbers.length);
    assert.ok(numbers.every((number) => number > 40));
    milter.running.child.kill('SIGKILL');
    for (const child of childrenOf(milter.running.child.pid)) process.kill(child, 'SIGKILL');
    const again = await begin();
    assert.ok(numberIn(await mailReply(again)) > Math.max(40, ...numbers));
  });

  test('that cannot be opened is "unavailable", which is said once, and nothing else stops', async (t) => {
    const place = join(directory(t), 'file');
    mkdirSync(place);
    const milter = await startMilter(t, COUNT, ['--workers', '1', '--store', `lmdb:${place}/none/store`]);
    for (let i = 0; i < 8; i++) assert.match(await mailReply(milter), /unavailable/);
    await milter.running.until('stderr', / warning .*store lmdb:.*does not answer/);
    const lines = milter.running.stderr
      .split('\n')
      .filter((line) => / warning .*store lmdb:.*does not answer/.test(line));
    assert.equal(lines.length, 1, milter.running.stderr);
  });
});

describe('a store in Redis', () => {
  async function redis(t: TestContext): Promise<RealService> {
    const service = await startService(REDIS);
    t.after(() => service.stop());
    return service;
  }

  test('is shared by servers; stopped it is a time-out, then unavailable at once, and comes back by itself', async (t) => {
    const service = await redis(t);
    const args = ['--workers', '1', '--store', `redis://127.0.0.1:${service.port}`];
    const [one, other] = [await startMilter(t, COUNT, args), await startMilter(t, COUNT, args)];
    await until(() => mailReply(one), /5\.7\.1 \d+$/);
    await until(() => mailReply(other), /5\.7\.1 \d+$/);
    const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => mailReply(i % 2 ? one : other)));
    assert.equal(new Set(replies).size, 20);
    service.signal('SIGSTOP');
    const begin = performance.now();
    await until(() => mailReply(one), /timeout|unavailable/);
    await until(() => mailReply(one), /unavailable/);
    assert.ok(performance.now() - begin < 30_000);
    service.signal('SIGCONT');
    await until(() => mailReply(one), /5\.7\.1 \d+$/);
    await one.running.until('stderr', /warning .*store redis:.* does not answer/);
    await one.running.until('stderr', /notice .*store redis:.* answers again/);
  });

  test('with a password that is wrong, which nobody is shown', async (t) => {
    const service = await redis(t);
    const address = `redis://joe:not-this-one@127.0.0.1:${service.port}`;
    const milter = await startMilter(t, COUNT, ['--workers', '1', '--store', address]);
    const reply = await mailReply(milter);
    assert.match(reply, /unavailable|refused/);
    assert.doesNotMatch(reply + milter.running.stderr + milter.running.stdout, /not-this-one/);
  });
});

test('a store in memory is refused where each worker would have its own', async () => {
  const { code, stderr } = await run(['--listen', 'inet:0@127.0.0.1', '--workers', '2', '--store', 'memory']);
  assert.equal(code, 78);
  assert.match(
    stderr,
    /^smtpf-milter: --store memory: each of the 2 workers would have its own: --workers 1, or another store\n$/,
  );
});

test('a wrong store is refused in one line without its password', async () => {
  const { code, stderr } = await run(['--store', 'redis://joe:secret@']);
  assert.equal(code, 64);
  assert.doesNotMatch(stderr, /secret/);
  assert.match(stderr, /--store/);
});
