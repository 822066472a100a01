/** What a connection is told by the sockets of handle-socket.ts, and by a net.Socket in their place: the same. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, describe, type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { acceptHandles, type MtaSocket } from '../../src/net/handle-socket.ts';
import { directory } from '../program/program.ts';

/** No kernel takes so much of one write where nobody reads: Linux gives a sender 4 MiB, and here and there all of them at once. */
const MORE_THAN_KERNEL_BYTES = 16_000_000;

/** Both ends of a connection, and what ours was told. */
interface Ends {
  readonly socket: MtaSocket;
  readonly mta: Socket;
  readonly chunks: Buffer[];
  readonly told: string[];
  /** What the MTA has read. */
  readonly arrived: Buffer[];
}

/** A server's sockets one by one. */
interface Accepting {
  connect(): Promise<Ends>;
}

async function accepting(t: TestContext, handles: boolean, unix: boolean): Promise<Accepting> {
  const sockets: MtaSocket[] = [];
  const waiting: ((socket: MtaSocket) => void)[] = [];
  const accepted = (socket: MtaSocket): void => {
    sockets.push(socket);
    waiting.shift()?.(socket);
  };
  const server = createServer({ noDelay: true });
  const where = unix ? { path: join(directory(t), 'socket') } : { port: 0, host: '127.0.0.1' };
  await once(server.listen(where), 'listening');
  if (handles) assert.ok(acceptHandles(server, accepted));
  server.on('connection', handles ? () => assert.fail('a net.Socket') : accepted);
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    connect: async () => {
      const ours = new Promise<MtaSocket>((resolve) => waiting.push(resolve));
      const mta = connect(unix ? { path: server.address() as string } : portOf(server)).on('error', () => {});
      const socket = await ours;
      const chunks: Buffer[] = [];
      const told: string[] = [];
      socket.on('drain', () => told.push('drain'));
      socket.on('error', (error) => told.push(error.message));
      socket.on('close', () => told.push('close'));
      socket.on('data', (chunk) => chunks.push(chunk));
      const arrived: Buffer[] = [];
      mta.on('data', (chunk) => arrived.push(chunk));
      return { socket, mta, chunks, told, arrived };
    },
  };
}

function portOf(server: Server): { port: number; host: string } {
  return { port: (server.address() as AddressInfo).port, host: '127.0.0.1' };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await pause(1);
}

const lengthOf = (chunks: readonly Buffer[]) => chunks.reduce((sum, { length }) => sum + length, 0);

for (const [name, handles, unix] of [
  ['handles of TCP', true, false],
  ['net.Socket over TCP', false, false],
  ['handles of unix sockets', true, true],
  ['net.Socket over a unix socket', false, true],
] as const) {
  describe(name, () => {
    const connected = async (t: TestContext): Promise<Ends> => (await accepting(t, handles, unix)).connect();

    test('chunks are ours: what comes later, on whatever connection, leaves them be', async (t) => {
      const server = await accepting(t, handles, unix);
      const ends = [await server.connect(), await server.connect(), await server.connect()];
      const sizes = [1, 300_000, 5, 70_000, 40_000, 16_384, 16_383, 65_536, 3, 1_000_000, 2];
      const sent = await Promise.all(
        ends.map(async ({ mta, chunks }, index) => {
          const parts: Buffer[] = [];
          for (const size of [...sizes.slice(index), ...sizes.slice(0, index)]) {
            const part = randomBytes(size);
            parts.push(part);
            mta.write(part);
            await until(() => lengthOf(chunks) === lengthOf(parts));
          }
          return Buffer.concat(parts);
        }),
      );
      for (const [index, { chunks }] of ends.entries())
        assert.ok(Buffer.concat(chunks).equals(sent[index] ?? Buffer.alloc(0)));
    });

    test('an MTA that does not read: what waits is counted, and told when it is gone', async (t) => {
      const { socket, mta, told, arrived } = await connected(t);
      mta.pause();
      const bytes = randomBytes(MORE_THAN_KERNEL_BYTES);
      assert.equal(socket.write(bytes), false);
      assert.ok(socket.writableNeedDrain);
      assert.ok(socket.writableLength > 0);
      assert.equal(socket.write(Buffer.from('more')), false);
      await pause(20);
      assert.notEqual(told[0], 'close'); // Not before the kernel has taken all of it, as a large one may do at once.
      mta.resume();
      await until(() => lengthOf(arrived) === bytes.length + 4);
      await until(() => told.length > 0);
      assert.deepEqual(told, ['drain']);
      assert.equal(socket.writableLength, 0);
      assert.equal(socket.writableNeedDrain, false);
      assert.ok(Buffer.concat(arrived).equals(Buffer.concat([bytes, Buffer.from('more')])));
      assert.equal(socket.write(Buffer.from('!')), true);
    });

    test('the MTA ends', async (t) => {
      const { socket, mta, told, chunks } = await connected(t);
      mta.end('bye');
      await until(() => told.length > 0);
      assert.deepEqual(told, ['close']);
      assert.equal(Buffer.concat(chunks).toString(), 'bye');
      assert.ok(socket.destroyed);
    });

    test('the MTA ends its side before it has read: it gets all of it', async (t) => {
      const { socket, mta, told, arrived } = await connected(t);
      mta.pause();
      const bytes = randomBytes(4_000_000);
      socket.write(bytes);
      mta.end();
      await pause(20);
      assert.ok(told.indexOf('close') !== 0); // Not before the kernel has taken all: a large buffer does so at once.
      mta.resume();
      await until(() => told.includes('close'));
      await until(() => lengthOf(arrived) === bytes.length);
      assert.ok(Buffer.concat(arrived).equals(bytes));
    });

    test('destroySoon() lets go what was written', async (t) => {
      const { socket, mta, told, arrived } = await connected(t);
      mta.pause();
      const bytes = randomBytes(MORE_THAN_KERNEL_BYTES);
      socket.write(bytes);
      socket.destroySoon();
      assert.equal(socket.destroyed, false);
      mta.resume();
      await once(mta, 'close');
      await until(() => told.includes('close'));
      assert.ok(socket.destroyed);
      assert.ok(Buffer.concat(arrived).equals(bytes));
    });

    test('destroy() ends it at once, and once', async (t) => {
      const { socket, mta, told, arrived } = await connected(t);
      mta.pause();
      socket.write(Buffer.alloc(MORE_THAN_KERNEL_BYTES));
      socket.destroy();
      socket.destroy();
      assert.ok(socket.destroyed);
      assert.equal(socket.write(Buffer.from('more')), false);
      socket.pause();
      socket.resume();
      socket.setKeepAlive(true, 1000);
      mta.resume();
      await once(mta, 'close');
      await until(() => told.includes('close'));
      assert.equal(told.filter((word) => word === 'close').length, 1);
      assert.ok(lengthOf(arrived) < MORE_THAN_KERNEL_BYTES);
    });

    test('a connection that is not there any more', async (t) => {
      const { socket, mta, told } = await connected(t);
      if (unix) mta.destroy();
      else mta.resetAndDestroy();
      await until(() => told.includes('close'));
      assert.deepEqual(told, unix ? ['close'] : ['read ECONNRESET', 'close']);
      assert.ok(socket.destroyed);
    });

    test('a write to an MTA that has gone', async (t) => {
      const { socket, mta, told } = await connected(t);
      socket.pause();
      mta.destroy();
      await once(mta, 'close');
      await pause(20);
      // The first is answered with a reset, sooner or later; then none can be written.
      while (!socket.destroyed) {
        socket.write(Buffer.from('x'));
        await pause(5);
      }
      await until(() => told.includes('close'));
      // A net.Socket reads on while it is paused, and finds the end before it writes.
      assert.match(told.join(' '), handles ? /^write E(PIPE|CONNRESET) close$/ : /close$/);
    });

    test('nothing comes while it is paused', async (t) => {
      const { socket, mta, chunks } = await connected(t);
      mta.write('one');
      await until(() => lengthOf(chunks) === 3);
      assert.equal(socket.isPaused(), false);
      socket.pause();
      assert.ok(socket.isPaused());
      mta.write('two');
      await pause(20);
      assert.equal(lengthOf(chunks), 3);
      socket.resume();
      await until(() => lengthOf(chunks) === 6);
      assert.equal(Buffer.concat(chunks).toString(), 'onetwo');
    });

    for (const packet of ['read', 'written'] as const) {
      test(`silence is told of, and what is ${packet} ends it`, async (t) => {
        const { socket, mta, chunks } = await connected(t);
        let packets = 0;
        // For each packet a timer from before it: a busy machine may hold the test for longer than any of them.
        const isOver = [true];
        const told: string[] = [];
        socket.setTimeout(150, () => {
          const of = packet === 'read' ? lengthOf(chunks) : packets;
          if (!isOver[of]) told.push(`too early after packet ${of}`);
          if (of === 5) told.push('silence');
        });
        while (packets < 5) {
          const next = packets + 1;
          setTimeout(() => {
            isOver[next] = true;
          }, 140);
          if (packet === 'read') mta.write('x');
          else socket.write(Buffer.from('y'));
          packets = next;
          await pause(60);
        }
        await until(() => told.length > 0);
        assert.deepEqual(told, ['silence']);
        socket.destroy();
      });
    }

    test('who is there', async (t) => {
      const { socket, mta } = await connected(t);
      assert.equal(socket.remoteAddress, unix ? undefined : '127.0.0.1');
      assert.equal(socket.remotePort, mta.localPort);
      socket.setKeepAlive(true, 60_000);
    });
  });
}

test('there are none where nobody listens', () => {
  const server = createServer();
  after(() => server.close());
  assert.equal(
    acceptHandles(server, () => {}),
    false,
  );
});

/** Sends a word, ends, and says so. */
const PEER = `const { workerData: { peer, done } } = require('node:worker_threads');
require('node:net').connect(peer, function () {
  this.end('hello', () => {
    Atomics.store(done, 0, 1);
    Atomics.notify(done, 0);
  });
})`;

/** Has a peer in another thread send before our event loop looks at its sockets again. */
function sendMeanwhile(peer: object): void {
  const done = new Int32Array(new SharedArrayBuffer(4));
  new Worker(PEER, { eval: true, workerData: { peer, done } });
  assert.notEqual(Atomics.wait(done, 0, 0, 60_000), 'timed-out');
}

describe('what an MTA has sent before it is accepted', () => {
  for (const unix of [false, true]) {
    for (const hurries of [false, true]) {
      test(`${unix ? 'a unix socket' : 'TCP'}: ${hurries ? 'read at once' : 'the loop reads it'}`, async (t) => {
        const server = createServer();
        const where = unix ? { path: join(directory(t), 'socket') } : { port: 0, host: '127.0.0.1' };
        await once(server.listen(where), 'listening');
        t.after(() => server.close());
        const chunks: string[] = [];
        let atOnce: string | undefined;
        const closed = new Promise<void>((resolve) => {
          const accepted = (socket: MtaSocket): void => {
            socket.on('close', resolve);
            socket.on('data', (chunk) => chunks.push(chunk.toString()));
            queueMicrotask(() => {
              atOnce = chunks.join('');
            });
          };
          assert.ok(acceptHandles(server, accepted, () => hurries));
        });
        const peer = unix ? { path: server.address() } : portOf(server);
        sendMeanwhile(peer);
        await closed;
        assert.equal(atOnce, hurries ? 'hello' : '');
        assert.equal(chunks.join(''), 'hello');
      });
    }
  }

  test('nothing yet: the loop reads it when it comes', async (t) => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const chunks: string[] = [];
    const accepted = new Promise<MtaSocket>((resolve) => {
      acceptHandles(
        server,
        (socket) => {
          socket.on('data', (chunk) => chunks.push(chunk.toString()));
          resolve(socket);
        },
        () => true,
      );
    });
    const mta = connect(portOf(server));
    const socket = await accepted;
    t.after(() => {
      mta.destroy();
      socket.destroy();
      server.close();
    });
    assert.deepEqual(chunks, []);
    mta.write('hello');
    await until(() => chunks.length > 0);
    assert.deepEqual(chunks, ['hello']);
  });
});
