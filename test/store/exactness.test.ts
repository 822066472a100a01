/** Processes that share a store, some of them killed: nothing is lost, nothing is counted twice. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { REDIS, startService } from '../helpers/real-service.ts';
import { proveExactness, summary } from './exactness.ts';
import { openStore, patience, scratch } from './stores.ts';

const TIMEOUT = { timeout: 600_000 };

describe('a store that processes share', () => {
  const directory = scratch();
  after(() => rmSync(directory, { recursive: true, force: true }));

  it('in a file is exact while they are killed', TIMEOUT, async () => {
    const address = `lmdb:${directory}/store`;
    const proof = await proveExactness({ address, processes: 8, operations: 2000, kills: 6 });
    assert.deepEqual(proof.faults, [], summary(proof));
    assert.equal(proof.killed, 6);
    assert.equal(proof.failures.size, 0, summary(proof));
    assert.deepEqual(proof.lines, []);
  });

  it('in Redis is exact while they are killed', TIMEOUT, async () => {
    const service = await startService(REDIS);
    try {
      const address = `redis://127.0.0.1:${service.port}`;
      const proof = await proveExactness({ address, processes: 8, operations: 2000, kills: 6 });
      assert.deepEqual(proof.faults, [], summary(proof));
      assert.equal(proof.killed, 6);
      assert.equal(proof.failures.size, 0, summary(proof));
    } finally {
      await service.stop();
    }
  });

  it('begins anew for all together where its file is damaged', TIMEOUT, async () => {
    const path = join(directory, 'damaged');
    const { store } = openStore(`lmdb:${path}`);
    store.prepare();
    await store.list(Buffer.from('none'), undefined, patience());
    await store.close();
    writeFileSync(join(path, 'data.mdb'), Buffer.alloc(65_536, 0x5a));
    const proof = await proveExactness({ address: `lmdb:${path}`, processes: 6, operations: 400, kills: 0 });
    assert.deepEqual(proof.faults, [], summary(proof));
    assert.equal(proof.failures.size, 0, summary(proof));
    assert.equal(
      proof.lines.filter((line) => line.includes('was damaged')).length,
      1,
      proof.lines.join('\n'),
    );
    assert.equal(readdirSync(path).filter((name) => name.startsWith('damaged-')).length, 1);
  });

  it('is not taken for damaged while another process makes its file', async () => {
    const path = join(directory, 'new');
    const first = openStore(`lmdb:${path}`);
    await first.store.close();
    const { store, lines } = openStore(`lmdb:${directory}/made`);
    await store.list(Buffer.from('none'), undefined, patience());
    await store.close();
    // As it is between its making and its first page.
    writeFileSync(join(directory, 'made', 'data.mdb'), '');
    const { ino } = statSync(join(directory, 'made', 'data.mdb'));
    const again = openStore(`lmdb:${directory}/made`);
    const answer = await again.store.list(Buffer.from('none'), undefined, patience(60_000));
    assert.equal(answer.kind, 'known');
    assert.equal(statSync(join(directory, 'made', 'data.mdb')).ino, ino);
    assert.deepEqual([...lines, ...again.lines], []);
    await again.store.close();
  });
});
