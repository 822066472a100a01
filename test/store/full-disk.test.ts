/** A full disk is an error to who writes, and nothing more: in a process of its own, for it was the end of one. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { it } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as kv from '../../src/store/kv.ts';
import { openStore, patience, scratch, valueIn } from './stores.ts';

const at = (key: string) => ({ space: '', key: Buffer.from(key) });
const [, self, directory] = process.argv;

if (self === fileURLToPath(import.meta.url) && directory !== undefined) {
  const { store } = openStore(`lmdb:${directory}/store`);
  const large = Buffer.alloc(60_000, 1);
  let written = 0;
  let answer = await store.run(kv.set(at('0'), large, undefined), patience());
  while (answer.kind === 'known' && written < 500) {
    written += 1;
    answer = await store.run(kv.set(at(String(written)), large, undefined), patience());
  }
  const full = valueIn(answer);
  const refused = [];
  for (let index = 0; index < 10; index += 1) {
    refused.push(valueIn(await store.run(kv.set(at('more'), large, undefined), patience())));
  }
  const read = valueIn(await store.run(kv.get(at('0')), patience()));
  for (let index = 0; index < written; index += 1) await store.run(kv.del(at(String(index))), patience());
  const again = valueIn(await store.run(kv.set(at('again'), 1, undefined), patience()));
  await store.close();
  const isSame = Buffer.isBuffer(read) && read.equals(large);
  process.stdout.write(JSON.stringify({ written, full, refused, isSame, again }));
  process.exit(0);
} else {
  it('loses nothing and ends nobody', { timeout: 120_000 }, () => {
    const mounted = scratch();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', mounted]);
    try {
      const { stdout, stderr, status } = spawnSync(
        process.execPath,
        [
          ...process.execArgv.filter((argument) => !argument.startsWith('--test')),
          fileURLToPath(import.meta.url),
          mounted,
        ],
        { encoding: 'utf8', env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
      );
      assert.equal(status, 0, stderr);
      const { written, full, refused, isSame, again } = JSON.parse(stdout);
      assert.ok(written > 20 && written < 70, String(written));
      assert.match(full, /^limit no space left/);
      for (const reason of refused) assert.match(String(reason), /^limit |^true$/);
      assert.equal(isSame, true);
      assert.equal(again, true);
    } finally {
      execFileSync('umount', ['-l', mounted]);
      rmSync(mounted, { recursive: true, force: true });
    }
  });
}
