/** A store over another: it reads what stands below, and nothing that it writes gets there. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import * as kv from '../../src/store/kv.ts';
import type { Operation } from '../../src/store/operation.ts';
import { OverlayStore } from '../../src/store/overlay.ts';
import { parseRate, take } from '../../src/store/rate.ts';
import { patience, STORES, type TestStore, valueIn } from './stores.ts';

const at = (key: string) => ({ space: '', key: Buffer.from(key) });

for (const [name, open] of Object.entries(STORES)) {
  describe(`over the store in ${name}`, () => {
    let below: TestStore;
    let now = Date.now();
    let overlay: OverlayStore;
    const run = async <Result>(operation: Operation<Result>) =>
      valueIn(overlay.now(operation) ?? (await overlay.run(operation, patience())));
    before(async () => {
      below = await open();
      overlay = new OverlayStore(below.store, () => now, 10_000);
    });
    after(() => below.end());

    it('reads what stands below, and keeps what is written', async () => {
      await below.run(kv.set(at('n'), 5, undefined));
      assert.equal(await run(kv.get(at('n'))), 5);
      assert.equal(overlay.covers([...kv.get(at('n')).keys]), false);
      assert.deepEqual([await run(kv.incr(at('n'), 1, undefined)), await run(kv.get(at('n')))], [6, 6]);
      assert.equal(await run(kv.add(at('new'), 1, undefined)), true);
      assert.equal(await run(kv.del(at('n'))), true);
      assert.equal(await run(kv.get(at('n'))), undefined);
      assert.deepEqual(
        [await below.run(kv.get(at('n'))), await below.run(kv.get(at('new')))],
        [5, undefined],
      );
      assert.equal(overlay.covers([...kv.get(at('n')).keys]), true);
    });

    it('takes from buckets of its own', async () => {
      const rate = parseRate('2/h') ?? assert.fail();
      const taking = take(Buffer.from('joe'), [rate], 1);
      const kinds: unknown[] = [];
      for (let i = 0; i < 3; i++) kinds.push(await run(taking));
      assert.deepEqual(
        kinds.map((taken) =>
          typeof taken === 'object' && taken !== null && 'kind' in taken ? taken.kind : taken,
        ),
        ['taken', 'taken', 'refused'],
      );
      assert.deepEqual(await below.run(taking), { kind: 'taken', left: 1 });
    });

    it('forgets what has ended, and the oldest where it is too much', async () => {
      assert.equal(await run(kv.set(at('brief'), 1, 1000)), true);
      now += 2000;
      assert.equal(await run(kv.get(at('brief'))), undefined);
      for (let i = 0; i < 100; i++) await run(kv.set(at(`k${i}`), i, undefined));
      assert.deepEqual([await run(kv.get(at('k0'))), await run(kv.get(at('k99')))], [undefined, 99]);
      overlay.clear();
      assert.equal(await run(kv.get(at('k99'))), undefined);
      assert.equal(await run(kv.get(at('n'))), 5);
    });
  });
}
