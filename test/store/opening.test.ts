/** Processes that open and close a store in a file all the time, and end while they write. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
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
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as kv from '../../src/store/kv.ts';
import { LmdbTable, LOCK_FILE } from '../../src/store/lmdb-table.ts';
import { openByHand } from '../../src/store/open-engine.ts';
import { alone } from '../../src/store/opening.ts';
import { parseStoreAddress } from '../../src/store/store-address.ts';
import { openStore, patience, scratch, valueIn } from './stores.ts';

const PROCESSES = 4;
const ROUNDS = 30;
/** As opener.ts. */
const ADDS = 5;
const OPENER = fileURLToPath(new URL('opener.ts', import.meta.url));
const HOLDER = fileURLToPath(new URL('holder.ts', import.meta.url));
const n = { space: '', key: Buffer.from('n') };

function folder(t: TestContext): string {
  const directory = scratch();
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** In another process: one that closes a descriptor of the lock file gives up its locks. */
function setBack(path: string, by: number): void {
  const program = `
    const { openSync, readSync, writeSync } = require('node:fs');
    const file = openSync(process.argv[1], 'r+');
    const id = Buffer.alloc(8);
    readSync(file, id, 0, 8, 8);
    id.writeBigUInt64LE(id.readBigUInt64LE() - ${by}n);
    writeSync(file, id, 0, 8, 8);`;
  assert.equal(spawnSync(process.execPath, ['-e', program, join(path, LOCK_FILE)]).status, 0);
}

/** How often it has added. */
async function opener(path: string): Promise<number> {
  const child = spawn(process.execPath, ['--import', 'tsx', OPENER, path, String(ROUNDS)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  assert.deepEqual(await once(child, 'close'), [0, null], text);
  return Number(text);
}

describe('a store in a file', () => {
  it('is opened by some while others close it, and all that is added is there', {
    timeout: 300_000,
  }, async (t) => {
    const path = join(folder(t), 'store');
    mkdirSync(path);
    const all = await Promise.all(Array.from({ length: PROCESSES }, () => opener(path)));
    const { store } = openStore(`lmdb:${path}`);
    t.after(() => store.close());
    const sum = all.reduce((total, added) => total + added, 0);
    assert.equal(sum, PROCESSES * ROUNDS * 6);
    assert.equal(valueIn(await store.run(kv.get(n), patience(60_000))), sum);
  });

  it('keeps no process that ends while another has the lock', { timeout: 300_000 }, async (t) => {
    const path = join(folder(t), 'store');
    mkdirSync(path);
    const start = (program: string, ...args: readonly string[]) => {
      const child = spawn(process.execPath, ['--import', 'tsx', program, path, ...args], {
        stdio: ['pipe', 'pipe', 'inherit'],
        env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      });
      t.after(() => child.kill('SIGKILL'));
      return child;
    };
    const child = start(OPENER, '0');
    await once(child.stdout, 'data');
    await once(start(HOLDER).stdout, 'data');
    child.stdin.end('add');
    assert.deepEqual(await once(child, 'exit'), [0, null]);
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

  it('loses nothing where the number of the last transaction goes back', async (t) => {
    // As lmdb sets it in the process that opens the file, from what it has read a moment before.
    const path = join(folder(t), 'store');
    mkdirSync(path);
    const { store } = openStore(`lmdb:${path}`);
    const add = () => store.run(kv.incr(n, 1, undefined), patience(60_000));
    for (let sum = 1; sum <= 5; sum++) assert.deepEqual(await add(), { kind: 'known', value: sum });
    for (const back of [1, 2, 4]) {
      setBack(path, back);
      const before = valueIn(await add());
      setBack(path, back);
      const answer = store.now?.(kv.incr(n, 1, undefined));
      assert.deepEqual(answer, { kind: 'known', value: Number(before) + 1 });
    }
    assert.equal(valueIn(await store.run(kv.get(n), patience(60_000))), 11);
    await store.close();
    assert.equal(await opener(path), ROUNDS * (ADDS + 1));
  });

  it('writes at once where nobody writes, and not while another transaction is under way', async (t) => {
    const path = join(folder(t), 'store');
    mkdirSync(path);
    const table = new LmdbTable(path, 1e9);
    t.after(() => table.close());
    const key = Buffer.from('k');
    // Not for a while after a transaction that took long, as on a busy machine.
    const atOnce = async (step: () => void) => {
      while (table.atOnce(step) === undefined) await sleep(50);
    };
    await atOnce(() => table.write(key, Buffer.from('v')));
    assert.deepEqual(table.read(key), Buffer.from('v'));
    const failing = atOnce(() => {
      table.write(key, Buffer.from('w'));
      throw new Error('within');
    });
    await assert.rejects(failing, /within/);
    assert.deepEqual(table.read(key), Buffer.from('v'));
    const later = table.atomically(() => table.write(key, Buffer.from('x')));
    assert.equal(
      table.atOnce(() => assert.fail('before its turn')),
      undefined,
    );
    await later;
    assert.deepEqual(table.read(key), Buffer.from('x'));
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
