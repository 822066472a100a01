/** What a policy is told while the store is away, slow, full or locked: in its time, once in the log, and no more is said. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Answer } from '../../src/asking/answer.ts';
import * as kv from '../../src/store/kv.ts';
import { parseRate, take } from '../../src/store/rate.ts';
import type { SharedStore, StoreSettings } from '../../src/store/store.ts';
import { REDIS, type RealService, startService } from '../helpers/real-service.ts';
import { connected, openStore, patience, scratch, valueIn } from './stores.ts';

const TIMEOUT = { timeout: 300_000 };
/** A busy machine may take longer than the time of a call to tell that it is over. */
const SLACK_MS = 20_000;

const at = (key: string) => ({ space: '', key: Buffer.from(key) });

async function redis(t: TestContext, port?: number): Promise<RealService> {
  const service = await startService(REDIS, port);
  t.after(() => service.stop());
  return service;
}

function opened(t: TestContext, address: string, settings: Partial<StoreSettings> = {}) {
  const { store, lines } = openStore(address, settings);
  t.after(() => store.close());
  return { store, lines };
}

function folder(t: TestContext): string {
  const directory = scratch();
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** Resolves when it is so. */
async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = performance.now() + 60_000;
  while (!(await isSo())) {
    assert.ok(performance.now() < end, `${what} does not come`);
    await sleep(20);
  }
}

/** The reason why an answer is not known, which must come in its time. */
async function failure(
  asking: (timeoutMs: number) => Promise<Answer<unknown>>,
  timeoutMs: number,
): Promise<string> {
  const began = performance.now();
  const answer = await asking(timeoutMs);
  const took = performance.now() - began;
  assert.ok(took < timeoutMs + SLACK_MS, `${took} ms`);
  assert.equal(answer.kind, 'unknown');
  return answer.kind === 'unknown' ? answer.reason : '';
}

const adding = (store: SharedStore) => (timeoutMs: number) =>
  store.run(kv.incr(at('n'), 1, undefined), patience(timeoutMs));

/** Until the breaker is open, calls fail by themselves. */
async function goesAway(store: SharedStore, lines: readonly string[], reason: RegExp): Promise<void> {
  await until(async () => {
    assert.match(await failure(adding(store), 1000), reason);
    return lines.length > 0;
  }, 'the line in the log');
  assert.match(await failure(adding(store), 60_000), /^unavailable store .* does not answer/);
  assert.equal(store.status.state, 'down');
}

async function comesBack(store: SharedStore, lines: readonly string[]): Promise<void> {
  await until(() => store.status.state === 'up', 'the store');
  assert.equal((await adding(store)(60_000)).kind, 'known');
  assert.equal(lines.length, 2, lines.join('\n'));
  assert.match(lines[0] ?? '', /^store \S+: does not answer: /);
  assert.match(lines[1] ?? '', /^store \S+: answers again$/);
}

describe('Redis', () => {
  it('is killed, and comes back with an empty memory', TIMEOUT, async (t) => {
    const service = await redis(t);
    const { store, lines } = opened(t, `redis://127.0.0.1:${service.port}`);
    await connected(store);
    for (let count = 1; count <= 3; count += 1) assert.equal(valueIn(await adding(store)(60_000)), count);
    await service.stop();
    await goesAway(store, lines, /^(?:unavailable|timeout) /);
    await redis(t, service.port);
    await comesBack(store, lines);
    // The script of each operation is gone too.
    assert.equal(valueIn(await adding(store)(60_000)), 2);
    assert.equal(valueIn(await store.run(kv.add(at('first'), 1, undefined), patience(60_000))), true);
  });

  it('is stopped, and goes on', TIMEOUT, async (t) => {
    const service = await redis(t);
    const { store, lines } = opened(t, `redis://127.0.0.1:${service.port}`);
    await connected(store);
    service.signal('SIGSTOP');
    const asked = Array.from({ length: 50 }, () => failure(adding(store), 1000));
    for (const reason of await Promise.all(asked)) assert.match(reason, /^timeout kv\.incr n/);
    await goesAway(store, lines, /^unavailable /);
    service.signal('SIGCONT');
    await comesBack(store, lines);
  });

  it('is full: a limit to who writes, and nothing lost', TIMEOUT, async (t) => {
    const service = await redis(t);
    const { store, lines } = opened(t, `redis://127.0.0.1:${service.port}`);
    await connected(store);
    const run = store.run.bind(store);
    const large = Buffer.alloc(60_000, 1);
    let written = 0;
    let answer = await run(kv.set(at(`v${written}`), large, undefined), patience(60_000));
    while (answer.kind === 'known' && written < 2000) {
      written += 1;
      answer = await run(kv.set(at(`v${written}`), large, undefined), patience(60_000));
    }
    assert.ok(written > 500 && written < 2000, String(written));
    assert.equal(valueIn(answer), 'limit the server is out of memory');
    const rate = parseRate('10/d') ?? assert.fail();
    const passed = async (): Promise<boolean> => {
      const taken = valueIn(await run(take(Buffer.from('k'), [rate], 1), patience(60_000)));
      if (typeof taken === 'string') assert.equal(taken, 'limit the server is out of memory');
      return typeof taken !== 'string' && taken.kind === 'taken';
    };
    // There may be room for something small.
    let takes = 0;
    for (let index = 0; index < 20; index += 1) if (await passed()) takes += 1;
    for (let index = 0; index < written; index += 1) {
      const found = await run(kv.get(at(`v${index}`)), patience(60_000));
      assert.ok(
        found.kind === 'known' && Buffer.isBuffer(found.value) && found.value.equals(large),
        String(index),
      );
    }
    assert.equal(valueIn(await run(kv.get(at(`v${written}`)), patience(60_000))), undefined);
    for (let index = 0; index < 10; index += 1) await run(kv.del(at(`v${index}`)), patience(60_000));
    for (let index = 0; index < 20; index += 1) if (await passed()) takes += 1;
    assert.equal(takes, 10);
    assert.deepEqual(lines, []);
  });

  it('is slow: away for who has no time, until it is fast again', TIMEOUT, async (t) => {
    const service = await redis(t);
    const slow = await SlowWay.to(service.port);
    t.after(() => slow.close());
    const { store, lines } = opened(t, `redis://127.0.0.1:${slow.port}`);
    await connected(store);
    slow.delayMs = 800;
    assert.match(await failure(adding(store), 400), /^timeout /);
    // It answers who looks after it within a second, but nobody in time.
    const looks = slow.pieces + 4;
    await until(async () => {
      await failure(adding(store), 400);
      return slow.pieces >= looks;
    }, 'an answer');
    assert.equal(lines.length, 1, lines.join('\n'));
    assert.equal(store.status.state, 'down');
    slow.delayMs = 0;
    await comesBack(store, lines);
  });

  for (const [name, user] of [
    ['a password that is asked for', ''],
    ['another password', ':first-secret@'],
  ] as const) {
    it(`wants ${name} in mid-traffic`, TIMEOUT, async (t) => {
      const service = await redis(t);
      const master = await Talk.to(service.port);
      t.after(() => master.close());
      if (user !== '') await master.say('CONFIG SET requirepass first-secret', /OK/);
      const { store, lines } = opened(t, `redis://${user}127.0.0.1:${service.port}`);
      await connected(store);
      assert.equal(valueIn(await adding(store)(60_000)), 1);
      if (user !== '') await master.say('AUTH first-secret', /OK/);
      await master.say('CONFIG SET requirepass other-secret', /OK/);
      await master.say('CLIENT KILL TYPE normal SKIPME yes', /:\d/);
      await goesAway(store, lines, /^(?:refused|unavailable|timeout) /);
      await master.say(`CONFIG SET requirepass ${user === '' ? '""' : 'first-secret'}`, /OK/);
      await comesBack(store, lines);
      assert.equal(valueIn(await adding(store)(60_000)), 3);
      assert.doesNotMatch(lines.join('\n'), /secret/);
    });
  }
});

describe('a file', () => {
  it('is locked by a process that is stopped, and free when it was killed', TIMEOUT, async (t) => {
    const directory = folder(t);
    const { store, lines } = opened(t, `lmdb:${directory}/store`);
    assert.equal(valueIn(await adding(store)(60_000)), 1);
    const holder = await hold(`${directory}/store`);
    t.after(() => holder.kill('SIGKILL'));
    assert.match(await failure(adding(store), 1000), /^timeout kv\.incr n/);
    await goesAway(store, lines, /^(?:unavailable|timeout) /);
    holder.kill('SIGKILL');
    await comesBack(store, lines);
    // Nothing of what the killed one was about to write is there.
    assert.equal(valueIn(await store.run(kv.get(at('held')), patience(60_000))), undefined);
  });

  it('that has reached its size takes no more, and gives what it has', TIMEOUT, async (t) => {
    const directory = folder(t);
    const { store, lines } = opened(t, `lmdb:${directory}/store`, { maxBytes: 4 * 1024 * 1024 });
    const run = store.run.bind(store);
    const large = Buffer.alloc(60_000, 1);
    let written = 0;
    let answer = await run(kv.set(at(`v${written}`), large, undefined), patience(60_000));
    while (answer.kind === 'known' && written < 500) {
      written += 1;
      answer = await run(kv.set(at(`v${written}`), large, undefined), patience(60_000));
    }
    assert.ok(written > 30 && written < 120, String(written));
    assert.match(String(valueIn(answer)), /^limit kv\.set v\d+: the store is full, see --store-mb$/);
    for (let index = 0; index < written; index += 1) {
      const found = await run(kv.get(at(`v${index}`)), patience(60_000));
      assert.ok(
        found.kind === 'known' && Buffer.isBuffer(found.value) && found.value.equals(large),
        String(index),
      );
    }
    for (let index = 0; index < written; index += 1) {
      assert.equal(valueIn(await run(kv.del(at(`v${index}`)), patience(60_000))), true);
    }
    // It looks at its size once a second.
    await until(
      async () => (await run(kv.set(at('again'), large, undefined), patience(60_000))).kind === 'known',
      'room',
    );
    assert.deepEqual(lines, []);
  });

  const damages: Readonly<Record<string, (path: string) => void>> = {
    'that is cut off': (path) => truncateSync(path, 5000),
    'of other bytes': (path) => writeFileSync(path, Buffer.alloc(100_000, 0x5a)),
    'without its first pages': (path) => {
      const bytes = readFileSync(path);
      bytes.fill(0, 0, 8192);
      writeFileSync(path, bytes);
    },
    'with other bytes within': (path) => {
      const bytes = readFileSync(path);
      bytes.fill(0xff, 8192);
      writeFileSync(path, bytes);
    },
  };
  for (const [name, damage] of Object.entries(damages)) {
    it(`${name} is set aside, with a line, and not changed`, TIMEOUT, async (t) => {
      const directory = folder(t);
      const path = join(directory, 'store');
      const first = opened(t, `lmdb:${path}`);
      for (let index = 0; index < 200; index += 1) {
        await first.store.run(
          kv.set(at(`v${index}`), Buffer.alloc(1000, index), undefined),
          patience(60_000),
        );
      }
      await first.store.close();
      damage(join(path, 'data.mdb'));
      const damaged = readFileSync(join(path, 'data.mdb'));
      const { store, lines } = opened(t, `lmdb:${path}`);
      assert.equal(valueIn(await adding(store)(60_000)), 1);
      assert.equal(valueIn(await store.run(kv.get(at('v1')), patience(60_000))), undefined);
      const [aside = ''] = readdirSync(path).filter((file) => file.startsWith('damaged-'));
      assert.deepEqual(lines, [
        `store lmdb:${path}: its file was damaged: it is ${path}/${aside} now, and the store begins empty`,
      ]);
      assert.ok(readFileSync(join(path, aside)).equals(damaged));
    });
  }

  it('written before the machine was started is replaced by its copy, once', TIMEOUT, async (t) => {
    const path = join(folder(t), 'store');
    await filled(path, 300);
    const { ino } = statSync(join(path, 'data.mdb'));
    writeFileSync(join(path, 'boot'), 'another start');
    const second = opened(t, `lmdb:${path}`);
    for (let index = 0; index < 300; index += 1) {
      const found = await second.store.run(kv.get(at(`v${index}`)), patience(60_000));
      assert.deepEqual(valueIn(found), Buffer.alloc(1000, index), String(index));
    }
    await second.store.close();
    const copy = statSync(join(path, 'data.mdb')).ino;
    assert.notEqual(copy, ino);
    const third = opened(t, `lmdb:${path}`);
    assert.equal(valueIn(await adding(third.store)(60_000)), 1);
    assert.equal(statSync(join(path, 'data.mdb')).ino, copy);
    assert.deepEqual([...second.lines, ...third.lines], []);
    assert.deepEqual(readdirSync(path).sort(), ['boot', 'data.mdb', 'lock.mdb']);
  });

  for (const seed of [1, 2, 3, 4]) {
    it(`of which the power took some pages (${seed}) is used no worse than empty`, TIMEOUT, async (t) => {
      const path = join(folder(t), 'store');
      const data = join(path, 'data.mdb');
      await filled(path, 300);
      const before = readFileSync(data);
      await filled(path, 300, 150);
      // As the system had brought some pages to the disk, and others not.
      const after = readFileSync(data);
      for (let at = 8192; at + 4096 <= before.length; at += 4096) {
        if ((at / 4096) % (seed + 1) === 0) before.copy(after, at, at, at + 4096);
      }
      writeFileSync(data, after);
      writeFileSync(join(path, 'boot'), 'another start');
      const { store, lines } = opened(t, `lmdb:${path}`);
      for (let index = 0; index < 450; index += 1) {
        const key = at(`v${index}`);
        await store.run(kv.get(key), patience(60_000));
        const value = Buffer.alloc(1500, index);
        assert.equal(valueIn(await store.run(kv.set(key, value, undefined), patience(60_000))), true);
        assert.deepEqual(valueIn(await store.run(kv.get(key), patience(60_000))), value);
      }
      assert.ok(lines.length <= 1, lines.join('\n'));
      for (const line of lines) assert.match(line, /was damaged/);
    });
  }
});

/** A store with so many values. */
async function filled(path: string, count: number, from = 0): Promise<void> {
  const { store } = openStore(`lmdb:${path}`);
  for (let index = from; index < from + count; index += 1) {
    const set = kv.set(at(`v${index}`), Buffer.alloc(1000, index), undefined);
    assert.equal(valueIn(await store.run(set, patience(60_000))), true);
  }
  await store.close();
}

/** A process that holds the lock for writers, and does nothing any more. */
async function hold(path: string): Promise<ChildProcess> {
  const program = fileURLToPath(new URL('holder.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', program, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  await once(child.stdout ?? assert.fail(), 'data');
  return child;
}

/** A way to a server on which each piece of an answer takes a while. */
class SlowWay {
  delayMs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** That have come to the client. */
  pieces = 0;

  private constructor(port: number) {
    this.#server = createServer((client) => {
      const server = createConnection({ host: '127.0.0.1', port });
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          client.destroy();
          server.destroy();
        });
      }
      client.on('data', (bytes) => server.write(bytes));
      server.on('data', async (bytes) => {
        await sleep(this.delayMs);
        client.write(bytes);
        this.pieces += 1;
      });
    });
  }

  static async to(port: number): Promise<SlowWay> {
    const way = new SlowWay(port);
    way.#server.listen(0, '127.0.0.1');
    await once(way.#server, 'listening');
    return way;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** A connection on which commands are said as a person would. */
class Talk {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async to(port: number): Promise<Talk> {
    const socket = createConnection({ host: '127.0.0.1', port });
    await once(socket, 'connect');
    return new Talk(socket);
  }

  async say(line: string, answer: RegExp): Promise<void> {
    this.#socket.write(`${line}\r\n`);
    const [bytes] = await once(this.#socket, 'data');
    assert.match(String(bytes), answer, line);
  }

  close(): void {
    this.#socket.destroy();
  }
}
