/** Connections that bring no SMTP session: load balancers and monitors look whether somebody listens, or negotiates. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { startServer } from '../helpers/milter-server.ts';
import { mta } from '../helpers/packet-builder.ts';

const OPTNEG = mta.optneg(6, 0x1ff, 0x1fffff);
const SESSION = [mta.connect('client.example', '4', 4242, '192.0.2.7'), mta.helo('client.example')];

const POLICY = `
  function smtp.do_helo() syslog.info("helo") end
  function smtp.rset() syslog.info("rset") end
  function smtp.close() syslog.info("close") end`;

/** Says the packets, as soon as each is answered, and ends the connection, or leaves that to the milter. */
async function say(port: number, packets: readonly Buffer[], answers: number, end: 'fin' | 'rst' | 'wait') {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  let letters = 0;
  let bytes = Buffer.alloc(0);
  const closed = once(socket, 'close');
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    while (bytes.length >= 4 && bytes.length >= 4 + bytes.readUInt32BE(0)) {
      bytes = bytes.subarray(4 + bytes.readUInt32BE(0));
      letters += 1;
    }
  });
  for (const packet of packets) socket.write(packet);
  while (letters < answers && !socket.closed) await Promise.race([once(socket, 'data'), closed]);
  if (end === 'fin') socket.end();
  else if (end === 'rst') socket.resetAndDestroy();
  await closed;
}

for (const end of ['fin', 'rst'] as const) {
  for (const [what, packets, answers] of [
    ['connects', [], 0],
    ['sends a part of a negotiation', [OPTNEG.subarray(0, 9)], 0],
    ['negotiates', [OPTNEG], 1],
    ['negotiates and sends a part of a packet', [OPTNEG, SESSION[0]?.subarray(0, 7)], 1],
    ['negotiates and sends macros', [OPTNEG, mta.macro('C', 'j', 'mx.example')], 1],
    ['negotiates and aborts', [OPTNEG, mta.abort()], 1],
    ['negotiates and sends QUIT_NC', [OPTNEG, mta.quitNc()], 1],
  ] as [string, Buffer[], number][]) {
    test(`who only ${what} and goes (${end}) has no session: no callback, no line in the log`, async (t) => {
      const server = await startServer({ source: POLICY }, { 'log-level': 'info' });
      t.after(() => server.close());
      await say(server.port, packets, answers, end);
      await server.whenIdle();
      assert.deepEqual(server.log.lines, []);
      assert.deepEqual([server.stats.counts.sessions, server.stats.openSessions], [0, 0]);
    });
  }
}

test('negotiation and QUIT are no session', async (t) => {
  const server = await startServer({ source: POLICY }, { 'log-level': 'info' });
  t.after(() => server.close());
  await say(server.port, [OPTNEG, mta.quit()], 1, 'wait');
  await say(server.port, [OPTNEG, mta.quitNc(), mta.quit()], 1, 'wait');
  await server.whenIdle();
  assert.deepEqual(server.log.lines, []);
  assert.equal(server.stats.counts.sessions, 0);
});

test('a session after QUIT_NC is closed once', async (t) => {
  const server = await startServer({ source: POLICY }, { 'log-level': 'info' });
  t.after(() => server.close());
  await say(server.port, [OPTNEG, mta.quitNc(), ...SESSION, mta.quit()], 2, 'wait');
  await server.whenIdle();
  assert.deepEqual(
    server.log.lines.map((line) => line.replace(/^.* /, '')),
    ['helo', 'close'],
  );
  assert.deepEqual([server.stats.counts.sessions, server.stats.openSessions], [1, 0]);
});
