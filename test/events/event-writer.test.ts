/** Where events go: files, pipes and sockets, with readers that are slow, away, or gone. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { constants, existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { parseEventTarget } from '../../src/events/event-target.ts';
import type { EventWriter } from '../../src/events/event-writer.ts';
import { openEventWriter } from '../../src/events/open-writer.ts';
import { until } from '../program/milter-client.ts';
import { directory } from '../program/program.ts';

const LINE = `{"text":"${'x'.repeat(1000)}"}`;
/** More than waits at most, and more than a pipe or a socket holds besides. */
const MANY = 8000;

function writer(t: TestContext, target: string): { events: EventWriter; said: string[] } {
  const said: string[] = [];
  const events = openEventWriter(parseEventTarget(target), (message) => said.push(message));
  assert.ok(events);
  t.after(() => events.close());
  return { events, said };
}

const linesOf = (text: string) => text.split('\n').filter(Boolean);

describe('events into a file', () => {
  it('are appended, and go into a new one when that is asked for', async (t) => {
    const path = join(directory(t), 'events');
    const { events, said } = writer(t, `file:${path}`);
    events.write('{"a":1}');
    events.write('{"a":2}');
    const text = () => (existsSync(path) ? readFileSync(path, 'latin1') : '');
    await until(() => text() === '{"a":1}\n{"a":2}\n');
    assert.equal(statSync(path).mode & 0o137, 0);
    renameSync(path, `${path}.1`);
    events.reopen();
    await until(() => statSync(path, { throwIfNoEntry: false }) !== undefined);
    events.write('{"a":3}');
    await events.close();
    assert.equal(readFileSync(path, 'latin1'), '{"a":3}\n');
    assert.equal(readFileSync(`${path}.1`, 'latin1'), '{"a":1}\n{"a":2}\n');
    assert.deepEqual([events.dropped, said], [0, []]);
  });

  it('wait until it can be opened, as many as may, and one line says so', async (t) => {
    const folder = join(directory(t), 'later');
    const { events, said } = writer(t, `file:${folder}/events`);
    for (let i = 0; i < MANY; i++) events.write(LINE);
    await until(() => said.length > 0);
    const { dropped } = events;
    assert.ok(dropped > 0 && dropped < MANY);
    assert.equal(said.length, 1);
    mkdirSync(folder);
    const written = () => statSync(`${folder}/events`, { throwIfNoEntry: false })?.size ?? 0;
    await until(() => written() === (MANY - dropped) * (LINE.length + 1));
    assert.deepEqual(new Set(linesOf(readFileSync(`${folder}/events`, 'latin1'))), new Set([LINE]));
  });

  it('wait in a pipe that nobody reads, or that is full, and never hold the writer', async (t) => {
    const path = join(directory(t), 'pipe');
    execFileSync('mkfifo', [path]);
    const { events, said } = writer(t, `file:${path}`);
    events.write('{"first":1}');
    await until(() => said.length > 0);
    assert.deepEqual(said, [
      `--events file:${path}: nobody reads the pipe: events wait, and are dropped when they are too many`,
    ]);
    const reader = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    t.after(() => reader.close());
    const began = performance.now();
    for (let i = 0; i < MANY; i++) events.write(LINE);
    // The reader is this process: who waited for it would wait for ever.
    const held = performance.now() - began;
    assert.ok(held < 30_000, `${held} ms`);
    assert.ok(events.dropped > 0);
    let text = '';
    const chunk = Buffer.alloc(65536);
    const expected = MANY + 1 - events.dropped;
    while (linesOf(text).length < expected || !text.endsWith('\n')) {
      const { bytesRead } = await reader.read(chunk).catch(() => ({ bytesRead: 0 }));
      text += chunk.toString('latin1', 0, bytesRead);
      if (bytesRead === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const [first, ...others] = linesOf(text);
    assert.equal(first, '{"first":1}');
    assert.deepEqual(new Set(others), new Set([LINE]));
  });
});

describe('events to a socket', () => {
  it('arrive in order, also after the reader was away', async (t) => {
    const path = join(directory(t), 'socket');
    const { events, said } = writer(t, `unix:${path}`);
    events.write('{"a":1}');
    await until(() => said.length > 0);
    assert.match(said[0] ?? '', /^--events unix:.*: no such file or directory: events wait/);
    let text = '';
    const connections: Socket[] = [];
    const server = createServer((socket) => {
      connections.push(socket);
      socket.on('data', (bytes) => {
        text += bytes.toString('latin1');
      });
    }).listen(path);
    t.after(() => {
      server.close();
      for (const socket of connections) socket.destroy();
    });
    await until(() => text === '{"a":1}\n');
    connections[0]?.destroy();
    await until(() => said.length > 1);
    events.write('{"a":2}');
    await until(() => text === '{"a":1}\n{"a":2}\n');
    assert.equal(events.dropped, 0);
    events.write('{"a":3}');
    await events.close();
    await until(() => text.endsWith('{"a":3}\n'));
  });

  it('are dropped and counted where the reader does not keep up', async (t) => {
    const path = join(directory(t), 'socket');
    const connected: Socket[] = [];
    const server = createServer((socket) => connected.push(socket.pause())).listen(path);
    await once(server, 'listening');
    t.after(() => server.close());
    const { events, said } = writer(t, `unix:${path}`);
    events.write(LINE);
    await until(() => connected.length === 1);
    for (let i = 0; i < MANY; i++) events.write(LINE);
    assert.ok(events.dropped > 0);
    assert.match(said[0] ?? '', /does not keep up: events are dropped/);
    let text = '';
    connected[0]?.on('data', (bytes) => {
      text += bytes.toString('latin1');
    });
    connected[0]?.resume();
    const expected = MANY + 1 - events.dropped;
    await until(() => text.length === expected * (LINE.length + 1));
    assert.deepEqual(new Set(linesOf(text)), new Set([LINE]));
    connected[0]?.destroy();
  });
});
