/** What `status` says of the store: one for all workers, and that it is down. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { Status } from '../../src/control/status.ts';
import { REDIS, startService } from '../helpers/real-service.ts';
import { type Milter, mailReply, startMilter, statusOf, statusUntil } from '../program/milter-client.ts';
import { directory, run } from '../program/program.ts';

const POLICY = `function smtp.do_mail(sender)
  kv.set("sender", sender, nil, 30)
end`;

async function storeUntil(
  milter: Milter,
  holds: (store: NonNullable<Status['store']>) => boolean,
): Promise<NonNullable<Status['store']>> {
  const { store } = await statusUntil(milter, ({ store }) => store !== null && holds(store));
  assert.ok(store);
  return store;
}

const text = async ({ spool }: Milter) => (await run(['status', '--spool', spool])).stdout;
const isRecent = (time: string) => Math.abs(Date.parse(time) - Date.now()) < 120_000;

async function startedOn(t: TestContext, store: string, workers: string, lua = POLICY): Promise<Milter> {
  return startMilter(t, lua, [
    '--workers',
    workers,
    '--store',
    store,
    '--store-mb',
    '64',
    '--deadline',
    '100',
    // On a busy machine a worker may be silent for longer than it may be else, and its sessions end with it.
    '--worker-timeout',
    '300',
  ]);
}

describe('status', () => {
  test('shows a store in a file, once for all workers, with its size', async (t) => {
    const address = `lmdb:${join(directory(t), 'store')}`;
    const milter = await startedOn(t, address, '2');
    await mailReply(milter);
    const { since, usedBytes, ...store } = await storeUntil(milter, ({ state }) => state === 'up');
    assert.deepEqual(store, { kind: 'lmdb', address, state: 'up', problem: null, maxBytes: 67_108_864 });
    assert.ok(isRecent(since), since);
    // Some pages of 4 KiB.
    assert.ok(usedBytes !== null && usedBytes >= 4096 && usedBytes < 1_000_000, String(usedBytes));
    const [line = '', ...more] = (await text(milter)).split('\n').filter((row) => row.startsWith('store '));
    assert.deepEqual(more, []);
    assert.match(line, /^store {7}lmdb:\/\S+, up since 2\S+Z, 0(\.\d)? of 64 MiB used$/);
  });

  test('says that nobody has used a store, and that one cannot be opened', async (t) => {
    const unused = `lmdb:${join(directory(t), 'store')}`;
    const milter = await startedOn(t, unused, '0', 'function smtp.do_mail() end');
    const { state, usedBytes } = await storeUntil(milter, () => true);
    assert.deepEqual([state, usedBytes], ['unused', null]);
    assert.match(await text(milter), /^store {7}lmdb:\S+, not used yet$/m);
    const away = await startedOn(t, `${unused}/no/such`, '0');
    await mailReply(away);
    const { problem } = await storeUntil(away, (store) => store.state === 'down');
    assert.equal(problem, 'unavailable no such file or directory');
  });

  test('shows Redis going down and coming back, without its password', async (t) => {
    const service = await startService(REDIS);
    t.after(() => service.stop());
    const milter = await startedOn(t, `redis://joe:secret@127.0.0.1:${service.port}`, '0');
    const address = `redis://127.0.0.1:${service.port}`;
    await mailReply(milter);
    const refused = await storeUntil(milter, ({ state }) => state === 'down');
    assert.deepEqual([refused.kind, refused.address], ['redis', address]);
    assert.match(refused.problem ?? '', /^(refused WRONGPASS|refused ERR|protocol ERR)/);
    assert.doesNotMatch(JSON.stringify(await statusOf(milter)), /secret/);

    const open = await startedOn(t, address, '2');
    const up = async () => {
      await mailReply(open).catch((error: unknown) => assert.fail(`${error}\n${open.running.stderr}`));
      return storeUntil(open, ({ state, usedBytes }) => state === 'up' && usedBytes !== null);
    };
    const { usedBytes, maxBytes } = await up();
    assert.equal(maxBytes, 67_108_864);
    assert.ok(Number(usedBytes) > 100_000, String(usedBytes));
    service.signal('SIGKILL');
    const down = await storeUntil(open, ({ state }) => state === 'down');
    assert.match(down.problem ?? '', /^(unavailable|timeout) /);
    assert.ok(isRecent(down.since), down.since);
    assert.match(
      await text(open),
      /^store {7}redis:\/\/127\.0\.0\.1:\d+, down since 2\S+Z(, [\d.]+ of 64 MiB used)?\n {12}(unavailable|timeout) \S.*$/m,
    );
    const again = await startService(REDIS, service.port);
    t.after(() => again.stop());
    assert.equal((await up()).problem, null);
  });
});
