/** The server over real sockets: connections that last are watched by the kernel. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { test } from 'node:test';
import { SliceQueue } from '../../src/lua/context/slice-queue.ts';
import { DEFAULT_MESSAGE_LIMITS } from '../../src/milter/transaction.ts';
import { Connection } from '../../src/net/connection.ts';
import { parseListenAddress } from '../../src/net/listen-address.ts';
import { bindAll } from '../../src/net/listener.ts';
import { Server } from '../../src/net/server.ts';
import { Logger } from '../../src/syslog/log.ts';

/** The timer that the kernel runs for our end of the connection to `port`; 2 is that of keep-alive. */
function kernelTimer(port: number, peerPort: number): number {
  const hex = (number: number): string => number.toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'latin1').split('\n');
  const line = lines.find((text) => text.includes(`0100007F:${hex(port)} 0100007F:${hex(peerPort)} 01 `));
  return Number(line?.trim().split(/\s+/)[5]?.split(':')[0]);
}

test('the kernel is asked to watch a connection that lasts', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const [listener] = await bindAll([parseListenAddress('inet:0@127.0.0.1')], {
    mode: 0o600,
    uid: undefined,
    gid: undefined,
  });
  assert.ok(listener && listener.address.kind === 'inet4');
  const { port } = listener.address;
  const log = new Logger({ write: () => {}, close: async () => {}, dropped: 0 }, 'error');
  const server = new Server([listener], {
    maxConnections: 0,
    serve: (socket) =>
      new Connection(socket, {
        policies: { open: () => Promise.reject(new Error('nobody negotiates here')) },
        log,
        timeouts: { negotiationMs: 10_000, packetMs: 10_000, idleMs: 10_000, progressMs: 10_000 },
        limits: DEFAULT_MESSAGE_LIMITS,
        slices: new SliceQueue(),
        nextSessionId: () => 's',
      }),
    warn: assert.fail,
    lookMs: 200,
  });
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const { localPort = 0 } = socket;
  while (server.connections === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  // A look is due when the test says so: a busy machine may hold it for longer than is between two.
  t.mock.timers.tick(199);
  assert.notEqual(kernelTimer(port, localPort), 2);
  t.mock.timers.tick(1);
  assert.equal(kernelTimer(port, localPort), 2);
  socket.destroy();
  assert.equal(await server.shutdown(60_000, new AbortController().signal), 0);
});
