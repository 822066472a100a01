/** Processes that open and close a store in a file all the time, and one that is opened by hand. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as kv from '../../src/store/kv.ts';
import { LmdbTable } from '../../src/store/lmdb-table.ts';
import { openByHand } from '../../src/store/open-engine.ts';
import { alone } from '../../src/store/opening.ts';
import { parseStoreAddress } from '../../src/store/store-address.ts';
import { openStore, patience, scratch, valueIn } from './stores.ts';

const PROCESSES = 4;
const ROUNDS = 6;
const OPENER = fileURLToPath(new URL('opener.ts', import.meta.url));
const n = { space: '', key: Buffer.from('n') };

function folder(t: TestContext): string {
  const directory = scratch();
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Processes one after the other. @returns how often they have added */
async function openers(path: string): Promise<number> {
  let added = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const child = spawn(process.execPath, ['--import', 'tsx', OPENER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
    assert.deepEqual(await once(child, 'close'), [0, null], text);
    added += Number(text);
  }
  return added;
}

describe('a store in a file', () => {
  it('is opened by some while others close it, and all that is added is there', {
    timeout: 300_000,
  }, async (t) => {
    const path = join(folder(t), 'store');
    mkdirSync(path);
    const all = await Promise.all(Array.from({ length: PROCESSES }, () => openers(path)));
    const { store } = openStore(`lmdb:${path}`);
    t.after(() => store.close());
    const sum = all.reduce((total, added) => total + added, 0);
    assert.equal(sum, PROCESSES * ROUNDS * 6);
    assert.equal(valueIn(await store.run(kv.get(n), patience(60_000))), sum);
  });

  it('is not closed while another process opens it', async (t) => {
    const path = join(folder(t), 'store');
    mkdirSync(path);
    const table = new LmdbTable(path, 1e9);
    let closed: Promise<void> | undefined;
    let isClosed = false;
    await alone(path, async () => {
      closed = table.close().then(() => {
        isClosed = true;
      });
      await table.atomically(() => {});
      assert.equal(isClosed, false);
    });
    await closed;
    assert.equal(isClosed, true);
  });
});

describe('a store that is opened by hand', () => {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, groups: [] };
  async function byHand(path: string) {
    const address = parseStoreAddress(`lmdb:${path}`);
    const lines: string[] = [];
    const settings = { address, maxBytes: 1e9, prefix: '', now: Date.now };
    const engine = await openByHand(settings, { writes: false, owner }, (line) => lines.push(line));
    const answer = await engine.run(kv.get(n));
    await engine.close();
    return { found: valueIn(answer), lines };
  }

  async function writtenBefore(t: TestContext): Promise<{ path: string; file: string; ino: number }> {
    const path = join(folder(t), 'store');
    const { store } = openStore(`lmdb:${path}`);
    assert.equal(valueIn(await store.run(kv.incr(n, 7, undefined), patience(60_000))), 7);
    await store.close();
    writeFileSync(join(path, 'boot'), 'another start');
    const file = join(path, 'data.mdb');
    return { path, file, ino: statSync(file).ino };
  }

  it('is replaced by its copy where the machine was started since it was written, once', async (t) => {
    const { path, file, ino } = await writtenBefore(t);
    assert.deepEqual(await byHand(path), { found: 7, lines: [] });
    const copy = statSync(file).ino;
    assert.notEqual(copy, ino);
    assert.deepEqual(await byHand(path), { found: 7, lines: [] });
    assert.equal(statSync(file).ino, copy);
    assert.deepEqual(readdirSync(path).sort(), ['boot', 'data.mdb', 'lock.mdb']);
  });

  it('is set aside then where it is damaged', async (t) => {
    const { path, file, ino } = await writtenBefore(t);
    truncateSync(file, 5000);
    await assert.rejects(byHand(path), /ENOENT/);
    assert.equal(statSync(join(path, `damaged-${ino}-data.mdb`)).size, 5000);
  });

  it('is made by root for the user whose directory it is', { skip: process.getuid?.() !== 0 }, async (t) => {
    const { path, file } = await writtenBefore(t);
    for (const name of ['', ...readdirSync(path)]) chownSync(join(path, name), 65_534, 65_534);
    chmodSync(dirname(path), 0o755);
    await byHand(path);
    for (const each of [file, join(path, 'boot'), join(path, 'lock.mdb')]) {
      assert.equal(statSync(each).uid, 65_534, each);
    }
  });
});

describe('the file that says that somebody opens a store', () => {
  const leave: Readonly<Record<string, (path: string) => void>> = {
    'by a process that is no more': (path) => writeFileSync(path, '4194305'),
    'without a sign': (path) => {
      writeFileSync(path, String(process.pid));
      utimesSync(path, 1000, 1000);
    },
  };
  for (const [name, make] of Object.entries(leave)) {
    it(`left behind ${name} keeps nobody, and all others work one at a time`, async (t) => {
      const directory = folder(t);
      make(join(directory, 'opening'));
      let working = 0;
      let most = 0;
      const one = () =>
        alone(directory, async () => {
          working += 1;
          most = Math.max(most, working);
          await new Promise((resolve) => setImmediate(resolve));
          working -= 1;
        });
      await Promise.all(Array.from({ length: 10 }, one));
      assert.equal(most, 1);
      assert.deepEqual(readdirSync(directory), []);
    });
  }
});
