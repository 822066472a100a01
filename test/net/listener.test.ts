/** Real sockets: who may be replaced, who is left alone, and who may connect. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, lstatSync, readdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parseListenAddress } from '../../src/net/listen-address.ts';
import { bindAll, type Listener } from '../../src/net/listener.ts';
import { directory } from '../program/program.ts';

const ACCESS = { mode: 0o660, uid: undefined, gid: undefined };

async function bind(t: TestContext, ...written: string[]): Promise<Listener[]> {
  const listeners = await bindAll(written.map(parseListenAddress), ACCESS);
  t.after(() => {
    for (const listener of listeners) listener.close();
  });
  return listeners;
}

/** Serves one line to each connection, so that a client knows who has answered. */
function greet(listener: Listener, word: string): void {
  listener.serve(
    (socket) => {
      socket.on('error', () => {}).end(word);
    },
    () => {},
  );
}

async function answer(where: string | number, host = '127.0.0.1'): Promise<string> {
  const socket: Socket = typeof where === 'string' ? connect(where) : connect(where, host);
  let text = '';
  socket.setEncoding('latin1').on('data', (part) => {
    text += part;
  });
  await once(socket, 'close');
  return text;
}

function portOf(listener: Listener): number {
  assert.ok(listener.address.kind !== 'unix');
  return listener.address.port;
}

/** A socket nobody listens on any more, as a killed program leaves it. */
async function leaveStale(path: string): Promise<void> {
  const server = createServer().listen(`${path}.bound`);
  await once(server, 'listening');
  renameSync(`${path}.bound`, path);
  server.close();
  await once(server, 'close');
  assert.ok(lstatSync(path).isSocket());
}

test('all addresses are bound, IPv4, IPv6 and unix, and each answers', async (t) => {
  const path = join(directory(t), 'milter.sock');
  const listeners = await bind(t, 'inet:0@127.0.0.1', 'inet6:0@::1', `unix:${path}`, 'inet:localhost:0');
  const [inet, inet6, , named] = listeners;
  for (const listener of listeners) greet(listener, listener.address.kind);
  assert.ok(inet && inet6 && named);
  assert.equal(await answer(portOf(inet)), 'inet4');
  assert.equal(await answer(portOf(inet6), '::1'), 'inet6');
  assert.equal(await answer(path), 'unix');
  assert.equal(await answer(portOf(named)), 'inet4');
});

test('inet:PORT and inet6:PORT are all addresses of one family each', async (t) => {
  const [inet] = await bind(t, 'inet:0');
  assert.ok(inet);
  const [inet6] = await bind(t, `inet6:${portOf(inet)}`);
  assert.ok(inet6);
  greet(inet, 'four');
  greet(inet6, 'six');
  assert.equal(await answer(portOf(inet)), 'four');
  assert.equal(await answer(portOf(inet), '::1'), 'six');
});

test('a connection that comes before serving begins is served then, with what it sent', async (t) => {
  const [listener] = await bind(t, 'inet:0@127.0.0.1');
  assert.ok(listener);
  const client = connect(portOf(listener), '127.0.0.1');
  t.after(() => client.destroy());
  client.end('early');
  await once(client, 'connect');
  await new Promise(setImmediate);
  const received = await new Promise<string>((resolve, reject) => {
    listener.serve((socket) => {
      socket.setEncoding('latin1').on('data', resolve);
    }, reject);
  });
  assert.equal(received, 'early');
});

test('a port that is taken is refused, and what was bound before it is free again', async (t) => {
  const path = join(directory(t), 'milter.sock');
  const taken: Server = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => taken.close());
  const address = taken.address();
  assert.ok(address !== null && typeof address === 'object');
  const written = `inet:${address.port}@127.0.0.1`;
  await assert.rejects(bind(t, `unix:${path}`, written), {
    name: 'OperatorError',
    message: /^--listen inet:\d+@127\.0\.0\.1: address in use: process \d+ \(.+\) listens there$/,
    exitCode: 75,
  });
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('an address of another machine is refused', async (t) => {
  await assert.rejects(bind(t, 'inet:0@192.0.2.1'), {
    message: '--listen inet:0@192.0.2.1: not an address of this machine at present',
    exitCode: 75,
  });
});

test('a unix socket on which somebody listens is refused and left alone', async (t) => {
  const path = join(directory(t), 'milter.sock');
  const [first] = await bind(t, `unix:${path}`);
  assert.ok(first);
  greet(first, 'first');
  await assert.rejects(bind(t, `unix:${path}`), {
    message: `--listen unix:${path}: address in use: a program listens there, and does not answer as a milter`,
    exitCode: 75,
  });
  assert.equal(await answer(path), 'first');
  assert.deepEqual(readdirSync(join(path, '..')), ['milter.sock']);
});

test('a stale unix socket is replaced', async (t) => {
  const path = join(directory(t), 'milter.sock');
  await leaveStale(path);
  const [listener] = await bind(t, `unix:${path}`);
  assert.ok(listener);
  greet(listener, 'new');
  assert.equal(await answer(path), 'new');
});

for (const [kind, make] of [
  ['a file', (path: string) => writeFileSync(path, 'precious')],
  ['a symbolic link', (path: string) => symlinkSync('/nowhere', path)],
] as const) {
  test(`${kind} in the place of the socket is refused and left alone`, async (t) => {
    const path = join(directory(t), 'milter.sock');
    make(path);
    const before = lstatSync(path);
    await assert.rejects(bind(t, `unix:${path}`), {
      message: `--listen unix:${path}: there is something that is not a socket, and it is left alone`,
      exitCode: 78,
    });
    assert.equal(lstatSync(path).ino, before.ino);
    assert.deepEqual(readdirSync(join(path, '..')), ['milter.sock']);
  });
}

test('a directory that is not there is named', async (t) => {
  const path = join(directory(t), 'none', 'milter.sock');
  await assert.rejects(bind(t, `unix:${path}`), {
    message: `--listen unix:${path}: there is no directory ${join(path, '..')} (install -d -o ${userInfo().username} ${join(path, '..')})`,
    exitCode: 75,
  });
});

test('a path too long for a socket is refused instead of being cut off', async (t) => {
  const path = join(directory(t), 'x'.repeat(108));
  await assert.rejects(bind(t, `unix:${path}`), {
    message: `--listen unix:${path}: longer than the 107 bytes that a socket's path may have`,
  });
});

test('mode and group are right when the socket appears, whatever the umask', async (t) => {
  const path = join(directory(t), 'milter.sock');
  const group = process.getgroups?.().at(-1) ?? process.getgid?.();
  const umask = process.umask(0o077);
  t.after(() => process.umask(umask));
  const [listener] = await bindAll([parseListenAddress(`unix:${path}`)], {
    mode: 0o620,
    uid: undefined,
    gid: group,
  });
  t.after(() => listener?.close());
  const { mode, gid } = lstatSync(path);
  assert.equal(mode & 0o777, 0o620);
  assert.equal(gid, group);
  assert.equal(process.umask(), 0o077);
});

test('closing removes the socket, but not one that another program has put there', async (t) => {
  const folder = directory(t);
  const [mine, replaced] = await bind(t, `unix:${folder}/mine.sock`, `unix:${folder}/replaced.sock`);
  assert.ok(mine && replaced);
  const other = createServer().listen(join(folder, 'other.sock'));
  await once(other, 'listening');
  t.after(() => other.close());
  renameSync(join(folder, 'other.sock'), join(folder, 'replaced.sock'));
  assert.equal(mine.close(), undefined);
  assert.equal(replaced.close(), undefined);
  await new Promise(setImmediate);
  assert.equal(existsSync(join(folder, 'mine.sock')), false);
  assert.equal(existsSync(join(folder, 'replaced.sock')), true);
});

test('200 connections at once are all accepted', async (t) => {
  const [listener] = await bind(t, 'inet:0@127.0.0.1');
  assert.ok(listener);
  greet(listener, 'ok');
  const port = portOf(listener);
  const answers = await Promise.all(Array.from({ length: 200 }, () => answer(port)));
  assert.deepEqual(new Set(answers), new Set(['ok']));
});
