/** Every store does the same: in memory, in a file, in Redis. */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import * as grey from '../../src/store/grey.ts';
import * as kv from '../../src/store/kv.ts';
import * as places from '../../src/store/places.ts';
import { parseRate, type Rate, reset, take } from '../../src/store/rate.ts';
import { Float, type Value } from '../../src/store/value.ts';
import { patience, STORES, type TestStore, valueIn } from './stores.ts';

const at = (key: string, space = '') => ({ space, key: Buffer.from(key, 'latin1') });
const rate = (text: string): Rate => parseRate(text) ?? assert.fail(text);
const bytes = (text: string) => Buffer.from(text, 'latin1');

for (const [name, open] of Object.entries(STORES)) {
  describe(`the store in ${name}`, () => {
    let t: TestStore;
    const whyOf = async (attempt: grey.Attempt): Promise<string> => {
      const seen = await t.run(grey.check(attempt));
      return typeof seen === 'string' ? seen : seen.why;
    };
    before(async () => {
      t = await open();
    });
    after(() => t.end());

    it('gives back every value as it was', async () => {
      const values: Value[] = [
        bytes(''),
        bytes('text'),
        Buffer.from([...Array(256).keys()]),
        Buffer.alloc(65_536, 0xff),
        ...[0, 1, -1, 2 ** 31, -(2 ** 31), 2 ** 53, -(2 ** 53)],
        new Float(0.1),
        new Float(3),
        new Float(Number.POSITIVE_INFINITY),
        true,
        false,
        [],
        [
          [bytes('a'), bytes('\0\xff')],
          [1, 2 ** 53],
          [bytes(''), new Float(1.5)],
          [-7, false],
        ],
      ];
      for (const [index, value] of values.entries()) {
        assert.equal(await t.run(kv.set(at(`v${index}`), value, undefined)), true);
        assert.deepEqual(await t.run(kv.get(at(`v${index}`))), value);
      }
    });

    it('keeps keys of any bytes apart, long ones and those of other spaces too', async () => {
      const long = 'x'.repeat(5000);
      const keys = [
        'a',
        'A',
        'a\0',
        '\0',
        'a\0b',
        '\xff',
        long,
        `${long}y`,
        'x'.repeat(1024),
        'x'.repeat(512),
      ];
      const all = keys.flatMap((key) => [at(key), at(key, 'a'), at(key, 'other')]);
      for (const [index, place] of all.entries()) await t.run(kv.set(place, index, undefined));
      for (const [index, place] of all.entries()) assert.equal(await t.run(kv.get(place)), index);
      for (const place of all) assert.equal(await t.run(kv.del(place)), true);
      for (const place of all) assert.equal(await t.run(kv.get(place)), undefined);
    });

    it('sets, adds and deletes', async () => {
      assert.equal(await t.run(kv.get(at('absent'))), undefined);
      assert.equal(await t.run(kv.del(at('absent'))), false);
      assert.equal(await t.run(kv.add(at('k'), 1, undefined)), true);
      assert.equal(await t.run(kv.add(at('k'), 2, undefined)), false);
      assert.equal(await t.run(kv.get(at('k'))), 1);
      assert.equal(await t.run(kv.set(at('k'), 3, undefined)), true);
      assert.equal(await t.run(kv.get(at('k'))), 3);
      assert.equal(await t.run(kv.del(at('k'))), true);
      assert.equal(await t.run(kv.add(at('k'), 4, undefined)), true);
    });

    it('counts', async () => {
      assert.equal(await t.run(kv.incr(at('n'), 1, undefined)), 1);
      assert.equal(await t.run(kv.incr(at('n'), 41, undefined)), 42);
      assert.equal(await t.run(kv.incr(at('n'), -50, undefined)), -8);
      assert.equal(await t.run(kv.get(at('n'))), -8);
      await t.run(kv.set(at('n'), 2 ** 53 - 1, undefined));
      assert.equal(await t.run(kv.incr(at('n'), 1, undefined)), 2 ** 53);
      assert.match(String(await t.run(kv.incr(at('n'), 1000, undefined))), /^limit /);
      assert.equal(await t.run(kv.get(at('n'))), 2 ** 53);
      for (const value of [bytes('12'), true, []]) {
        await t.run(kv.set(at('s'), value, undefined));
        assert.match(String(await t.run(kv.incr(at('s'), 1, undefined))), /^protocol /);
        assert.deepEqual(await t.run(kv.get(at('s'))), value);
      }
      await t.run(kv.set(at('f'), new Float(0.5), undefined));
      assert.equal(await t.run(kv.incr(at('f'), 1, undefined)), 1.5);
      assert.deepEqual(await t.run(kv.get(at('f'))), new Float(1.5));
    });

    it('lets what has ended be absent', () =>
      t.timely(async (id) => {
        await t.run(kv.set(at(`${id} 1`), 1, 300));
        await t.run(kv.set(at(`${id} 2`), 1, 300));
        await t.run(kv.set(at(`${id} 2`), 2, undefined));
        await t.run(kv.incr(at(`${id} 3`), 1, 300));
        await t.run(kv.incr(at(`${id} 3`), 1, 100_000));
        assert.equal(await t.run(kv.get(at(`${id} 1`))), 1);
        assert.equal(await t.run(kv.add(at(`${id} 1`), 2, undefined)), false);
        await t.pass(300);
        assert.equal(await t.run(kv.get(at(`${id} 1`))), undefined);
        assert.equal(await t.run(kv.del(at(`${id} 1`))), false);
        assert.equal(await t.run(kv.add(at(`${id} 1`), 2, undefined)), true);
        assert.equal(await t.run(kv.get(at(`${id} 2`))), 2);
        assert.equal(await t.run(kv.incr(at(`${id} 3`), 5, undefined)), 5);
      }));

    it('has one winner, loses no sum and lets through what a rate says', async () => {
      const many = <T>(count: number, one: () => Promise<T>) =>
        Promise.all(Array.from({ length: count }, one));
      const won = await many(200, () => t.run(kv.add(at('race'), 1, undefined)));
      assert.equal(won.filter((answer) => answer === true).length, 1);
      const sums = await many(500, () => t.run(kv.incr(at('sum'), 1, undefined)));
      assert.equal(new Set(sums).size, 500);
      assert.equal(await t.run(kv.get(at('sum'))), 500);
      const taken = await many(1000, () => t.run(take(bytes('race'), [rate('100/h')], 1)));
      assert.equal(
        taken.filter((answer) => typeof answer === 'object' && answer.kind === 'taken').length,
        100,
      );
    });

    it('takes from a bucket until it is empty, and it fills again', () =>
      t.timely(async (id) => {
        const key = bytes(id);
        for (const left of [2, 1, 0]) {
          assert.deepEqual(await t.run(take(key, [rate('3/s')], 1)), { kind: 'taken', left });
        }
        const refused = await t.run(take(key, [rate('3/s')], 1));
        assert.ok(typeof refused === 'object' && refused.kind === 'refused' && refused.spec === '3/s');
        assert.ok(refused.retryMs > 0 && refused.retryMs <= 334, String(refused.retryMs));
        await t.pass(334);
        const again = await t.run(take(key, [rate('3/s')], 1));
        assert.equal(typeof again === 'object' && again.kind, 'taken');
      }));

    it('lets through exactly the count for rates that do not divide the period', async () => {
      for (const text of ['7/m', '13/h', '999/d', '70/h,7']) {
        const { burst } = rate(text);
        let passed = 0;
        for (let index = 0; index < Math.min(burst, 40); index += 1) {
          const taken = await t.run(take(bytes(text), [rate(text)], 1));
          if (typeof taken === 'object' && taken.kind === 'taken') passed += 1;
        }
        assert.equal(passed, Math.min(burst, 40), text);
        if (burst <= 40)
          assert.match(JSON.stringify(await t.run(take(bytes(text), [rate(text)], 1))), /refused/);
      }
    });

    it('takes from all buckets or from none, and looks at a cost of 0', async () => {
      const key = bytes('both');
      const both = [rate('2/h'), rate('100/d')];
      assert.deepEqual(await t.run(take(key, both, 2)), { kind: 'taken', left: 0 });
      const refused = await t.run(take(key, both, 1));
      assert.ok(typeof refused === 'object' && refused.kind === 'refused' && refused.spec === '2/h');
      assert.deepEqual(await t.run(take(key, [rate('100/d')], 0)), { kind: 'taken', left: 98 });
      assert.deepEqual(await t.run(take(key, [rate('2/h')], 0)), { kind: 'taken', left: 0 });
      assert.equal(await t.run(reset(key, rate('2/h'))), true);
      assert.equal(await t.run(reset(key, rate('2/h'))), false);
      assert.deepEqual(await t.run(take(key, both, 1)), { kind: 'taken', left: 1 });
      assert.deepEqual(await t.run(take(bytes('unseen'), both, 0)), { kind: 'taken', left: 2 });
    });

    it('greylists', () =>
      t.timely(async (id) => {
        const attempt = (key: string) => ({
          key: bytes(`${id} ${key}`),
          network: bytes(`${id} 192.0.2.0/24`),
          delayMs: 400,
          windowMs: 3000,
          ttlMs: 60_000,
          auto: 2,
        });
        const check = (key: string) => whyOf(attempt(key));
        assert.deepEqual(await t.run(grey.check(attempt('a'))), { passed: false, why: 'new', leftMs: 400 });
        const early = await t.run(grey.check(attempt('a')));
        assert.ok(typeof early === 'object' && !early.passed && early.why === 'early' && early.leftMs <= 400);
        assert.equal(await check('b'), 'new');
        await t.pass(400);
        assert.equal(await check('a'), 'passed');
        assert.equal(await check('a'), 'known');
        assert.equal(await check('c'), 'new');
        assert.equal(await check('b'), 'passed');
        assert.equal(await check('never seen'), 'client');
      }));

    it('greylists on from first sights that were kept without their delay', () =>
      t.timely(async (id) => {
        const attempt = {
          key: bytes(id),
          network: bytes(id),
          delayMs: 300,
          windowMs: 3000,
          ttlMs: 3000,
          auto: 0,
        };
        const look = async () => {
          const { data } = (await t.run(kv.lookUp(bytes(`grey\0${id}`)))) as { data: Buffer };
          return data.length;
        };
        await t.run(grey.check(attempt));
        assert.equal(await look(), 17);
        // As it was: a letter and the time of the first sight.
        const found = (await t.run(kv.lookUp(bytes(`grey\0${id}`)))) as { data: Buffer; expires: number };
        await t.run(kv.restore(bytes(`grey\0${id}`), { ...found, data: found.data.subarray(0, 9) }));
        assert.equal(await look(), 9);
        const early = await t.run(grey.check(attempt));
        assert.equal(typeof early === 'object' && early.why, 'early');
        await t.pass(300);
        assert.deepEqual(await t.run(grey.check(attempt)), { passed: true, why: 'passed' });
      }));

    it('shows and puts back entries by hand, with their ends', async () => {
      const key = bytes('kv\0\0by hand \xff');
      const place = at('by hand \xff');
      assert.equal(await t.run(kv.lookUp(key)), undefined);
      await t.run(kv.set(place, 7, undefined));
      const data = Buffer.from('69401c000000000000', 'hex');
      assert.deepEqual(await t.run(kv.lookUp(key)), { data, expires: Number.POSITIVE_INFINITY });
      await t.run(kv.set(place, 7, 60_000));
      const began = performance.now();
      const kept = (await t.run(kv.lookUp(key))) as { data: Buffer; expires: number };
      assert.deepEqual(kept.data, data);
      await t.run(kv.del(place));
      assert.equal(await t.run(kv.restore(key, kept)), true);
      assert.equal(await t.run(kv.get(place)), 7);
      const again = (await t.run(kv.lookUp(key))) as { data: Buffer; expires: number };
      // Of a server the time that is left is known, which is reckoned from when its answer comes.
      const way = t.jump === undefined ? performance.now() - began : 0;
      assert.ok(Math.abs(again.expires - kept.expires) <= 1 + way, `${again.expires} ${kept.expires}`);
    });

    it('begins anew after the window', () =>
      t.timely(async (id) => {
        const attempt = {
          key: bytes(id),
          network: bytes(id),
          delayMs: 50,
          windowMs: 200,
          ttlMs: 300,
          auto: 0,
        };
        const check = () => whyOf(attempt);
        assert.equal(await check(), 'new');
        await t.pass(200);
        assert.equal(await check(), 'new');
        await t.pass(60);
        assert.equal(await check(), 'passed');
        await t.pass(300);
        assert.equal(await check(), 'new');
      }));

    it('has so many places', () =>
      t.timely(async (id) => {
        const key = bytes(id);
        const holder = (index: number) => Buffer.alloc(16, index);
        const acquire = (index: number, ttl = 60_000) => t.run(places.acquire(key, 2, ttl, holder(index)));
        assert.deepEqual([await acquire(1), await acquire(2), await acquire(3)], [true, true, false]);
        await t.run(places.release(key, 60_000, holder(1)));
        assert.deepEqual([await acquire(3), await acquire(4)], [true, false]);
        await t.run(places.release(key, 60_000, holder(2)));
        await t.run(places.release(key, 60_000, holder(3)));
        // A dead holder's place is free at its end, a living one's is not.
        assert.deepEqual([await acquire(5, 300), await acquire(6, 300)], [true, true]);
        await t.pass(200);
        assert.equal(await t.run(places.renew(key, 300, holder(6))), true);
        await t.pass(150);
        assert.deepEqual([await acquire(7, 300), await acquire(8, 300)], [true, false]);
      }));

    it('locks nobody out when the clock is set back', async (context) => {
      if (t.jump === undefined) return context.skip('the clock of a server is its own');
      const hours = 3_600_000;
      const key = bytes('jump');
      for (let index = 0; index < 2; index += 1) await t.run(take(key, [rate('2/m')], 1));
      t.jump(-5 * hours);
      assert.match(JSON.stringify(await t.run(take(key, [rate('2/m')], 1))), /refused/);
      t.jump(60_000);
      assert.deepEqual(await t.run(take(key, [rate('2/m')], 2)), { kind: 'taken', left: 0 });
      const attempt = { key, network: bytes('j'), delayMs: 1000, windowMs: hours, ttlMs: hours, auto: 0 };
      await t.run(grey.check(attempt));
      t.jump(-5 * hours);
      await t.run(grey.check(attempt));
      t.jump(1000);
      assert.deepEqual(await t.run(grey.check(attempt)), { passed: true, why: 'passed' });
      const acquire = (index: number) => t.run(places.acquire(key, 1, 60_000, Buffer.alloc(16, index)));
      assert.equal(await acquire(1), true);
      t.jump(-5 * hours);
      assert.equal(await acquire(2), false);
      await t.run(places.renew(key, 60_000, Buffer.alloc(16, 1)));
      t.jump(60_000);
      assert.equal(await acquire(2), true);
    });

    it('lists what begins so, part by part, and restores it', async () => {
      for (let index = 0; index < 450; index += 1) await t.run(kv.set(at(`list*${index}`), index, 900_000));
      const prefix = bytes('kv\0\0list*');
      const keys = new Set<string>();
      let from: Buffer | undefined;
      do {
        const page = valueIn(await t.store.list(prefix, from, patience()));
        assert.ok(typeof page === 'object', String(page));
        for (const { key, expires } of page.entries) {
          keys.add(key.toString('latin1'));
          assert.ok(Number.isFinite(expires));
        }
        from = page.next;
      } while (from !== undefined);
      assert.equal(keys.size, 450);
      const data = Buffer.from([0x62, 1]);
      await t.run(kv.restore(bytes('kv\0\0back'), { data, expires: Number.POSITIVE_INFINITY }));
      assert.equal(await t.run(kv.get(at('back'))), true);
    });
  });
}
