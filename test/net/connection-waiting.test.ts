/** Connection over real sockets when time passes: slow policies, peers that do not read or wait, silence. */
import assert from 'node:assert/strict';
import { afterEach, describe, type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { MtaSocket } from '../../src/net/handle-socket.ts';
import { hex, mta } from '../helpers/packet-builder.ts';
import { TestServer, type TestServerSettings } from './connection-server.ts';
import { BEGIN, CONTINUED, holdAt, message, OPTNEG } from './connection-session.ts';

let running: TestServer[] = [];
async function serve(settings: TestServerSettings = {}): Promise<TestServer> {
  const server = await TestServer.start(settings);
  running.push(server);
  return server;
}
afterEach(async () => {
  const servers = running;
  running = [];
  await Promise.all(servers.map((server) => server.stop()));
});

describe('a policy that takes its time', () => {
  test('keeps everything in order', async () => {
    const server = await serve({
      decide: ({ kind }) =>
        new Promise((resolve) =>
          setImmediate(() => resolve(kind === 'rcpt' ? { kind: 'reject' } : CONTINUED)),
        ),
    });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, ...BEGIN, ...message(1), ...message(2)]));
    assert.equal(await peer.letters(11), 'Occcrcccrcc');
    await peer.send(mta.quit());
    assert.equal((await peer.rest()).length, 0);
    assert.equal(
      server.policies[0]?.kinds,
      'connect helo mail rcpt data headers chunk endOfMessage reset mail rcpt data headers chunk endOfMessage reset close',
    );
  });

  test('the next event waits for reset', async () => {
    const held = holdAt('reset');
    const server = await serve({ decide: held.decide });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.helo('x')]));
    const goOn = await held.held();
    assert.equal(server.policies[0]?.kinds, 'mail reset');
    goOn(CONTINUED);
    assert.equal(await peer.letters(3), 'Occ');
    assert.equal(server.policies[0]?.kinds, 'mail reset helo');
  });

  test('PROGRESS while it works on the end of a message, and at no other event', async () => {
    const early = holdAt('rcpt', 'headers');
    const late = holdAt('endOfMessage');
    const server = await serve({
      decide: (event, policy) => (policy.session.id === 's1' ? early : late).decide(event, policy),
      timeouts: { progressMs: 5 },
    });
    const first = await server.connect();
    await first.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.rcpt('<c@d.example>')]));
    assert.equal(await first.letters(2), 'Oc');
    const atRcpt = await early.held();
    const second = await server.connect();
    const send = Buffer.concat([mta.mail('<a@b.example>'), mta.eom()]);
    await second.send(Buffer.concat([OPTNEG, send]));
    assert.equal(await second.letters(6), 'Ocpppp');
    assert.equal(first.pending.length, 0, 'nothing at RCPT meanwhile');
    atRcpt(CONTINUED);
    assert.equal(await first.letters(1), 'c');

    await first.send(Buffer.concat([mta.eoh(), mta.body('x')]));
    const atHeaders = await early.held();
    assert.equal(await second.letters(4), 'pppp');
    assert.equal(first.pending.length, 0, 'nothing at the headers');
    atHeaders(CONTINUED);

    (await late.held())({ kind: 'accept' });
    const letters = await second.letters(1);
    assert.match(letters, /^[pa]/);
    while (letters !== 'a' && (await second.letters(1)) !== 'a');
    // A second message of that connection: no PROGRESS is left over.
    await second.send(mta.mail('<a@b.example>'));
    assert.equal(await second.letters(1), 'c');
  });

  test('a wrong length comes while it works on the headers: the connection is closed after them', async () => {
    const held = holdAt('headers');
    const server = await serve({ decide: held.decide, timeouts: { progressMs: 5 } });
    const other = await server.connect();
    await other.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.eoh(), mta.eom()]));
    const atHeaders = await held.held();
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.eoh(), hex('ff ff ff ff 42 00')]));
    const goOn = await held.held();
    assert.equal(await other.letters(6), 'Ocpppp');
    goOn(CONTINUED);
    assert.equal(await peer.letters(3), 'Oc#');
    assert.match(server.log.join('\n'), /^s\d+: connection from \S+ closed: frame: length 4294967295/m);
    atHeaders(CONTINUED);
  });

  for (const kind of ['connect', 'mail', 'rcpt', 'headers', 'endOfMessage', 'unknown'] as const) {
    test(`the MTA goes while it works on ${kind}: cancelled, told once of each end`, async () => {
      const held = holdAt(kind);
      const server = await serve({ decide: held.decide });
      const peer = await server.connect();
      await peer.send(Buffer.concat([OPTNEG, ...BEGIN, ...message(1), mta.unknown('WHAT')]));
      await held.held();
      peer.socket.destroy();
      await peer.peer.connection.closed;
      const [policy] = server.policies;
      assert.equal(policy?.cancelled, 1);
      const inMessage = kind !== 'connect' && kind !== 'unknown';
      assert.match(policy?.kinds ?? '', new RegExp(`(^| )${kind}${inMessage ? ' reset' : ''} close$`));
      assert.equal(policy?.disposed, 1);
    });
  }

  test('the MTA goes while it is told of an end: it finishes', async () => {
    const held = holdAt('reset');
    const server = await serve({ decide: held.decide });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.helo('x')]));
    const goOn = await held.held();
    peer.socket.destroy();
    await peer.peer.closed;
    goOn(CONTINUED);
    await peer.peer.connection.closed;
    assert.equal(server.policies[0]?.kinds, 'mail reset close');
    assert.equal(server.policies[0]?.cancelled, 0);
  });

  test('the MTA goes while a new MAIL waits for the end of the old transaction: one reset', async () => {
    const held = holdAt('reset');
    const server = await serve({ decide: held.decide });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.mail('<c@d.example>')]));
    const goOn = await held.held();
    peer.socket.destroy();
    await peer.peer.closed;
    goOn(CONTINUED);
    await peer.peer.connection.closed;
    assert.equal(server.policies[0]?.kinds, 'mail reset close');
  });

  test('the MTA goes while the policy is being opened', async () => {
    const server = await serve({ openLater: true });
    const peer = await server.connect();
    peer.socket.write(Buffer.concat([OPTNEG, mta.helo('x')]));
    peer.socket.destroy();
    await peer.peer.connection.closed;
    assert.ok(server.policies.every(({ kinds }) => kinds === '' || kinds === 'helo close'));
  });
});

describe('backpressure', () => {
  async function whenPaused(socket: MtaSocket): Promise<void> {
    while (!socket.isPaused()) await nextTurn();
  }

  test('a peer that never reads its replies', async () => {
    const server = await serve({
      decide: ({ kind }) =>
        kind === 'rcpt'
          ? { kind: 'reply', code: 550, lines: Array<string>(30).fill('x'.repeat(900)) }
          : CONTINUED,
    });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>')]));
    assert.equal(await peer.letters(2), 'Oc');
    peer.socket.pause();
    const { socket } = peer.peer;
    const rcpt = Buffer.concat(Array<Buffer>(200).fill(mta.rcpt(`<${'c'.repeat(500)}@d.example>`)));
    const rounds = 10;
    for (let i = 0; i < rounds; i++) peer.socket.write(rcpt);
    await whenPaused(socket);
    assert.ok(socket.writableLength < 256 * 1024, `${socket.writableLength} bytes wait to be written`);
    assert.ok(peer.peer.bytesRead < 4 * 1024 * 1024, `${peer.peer.bytesRead} bytes were read`);
    const handled = server.policies[0]?.events.length ?? 0;
    assert.ok(handled < 1000, `${handled} events were handled`);

    peer.socket.resume();
    let replies = 0;
    while (replies < 200 * rounds) {
      const packet = await peer.packet();
      assert.equal(packet?.letter, 'y');
      replies += 1;
    }
    assert.equal(peer.pending.length, 0);
  });

  for (const [name, size, bytes] of [
    ['large packets', 60_000, 8_000_000],
    ['the smallest packets', 0, 1_000_000],
  ] as const) {
    test(`a peer that sends without waiting: ${name}`, async () => {
      const held = holdAt('connect');
      const server = await serve({ decide: held.decide });
      const peer = await server.connect();
      await peer.send(Buffer.concat([OPTNEG, BEGIN[1] as Buffer]));
      const goOn = await held.held();
      const { socket } = peer.peer;
      const packet = size > 0 ? mta.unknown('x'.repeat(size)) : mta.helo('');
      const count = Math.ceil(bytes / packet.length / 10);
      const load = Buffer.concat(Array<Buffer>(count).fill(packet));
      for (let i = 0; i < 10; i++) peer.socket.write(load);
      await whenPaused(socket);
      assert.ok(peer.peer.bytesRead < 512 * 1024, `${peer.peer.bytesRead} bytes were read`);
      assert.equal(server.policies[0]?.kinds, 'connect');
      goOn(CONTINUED);
      const expected = 2 + count * 10;
      let replies = 0;
      while (replies < expected) {
        assert.ok(await peer.packet());
        replies += 1;
      }
      assert.equal(peer.pending.length, 0);
    });
  }

  test('a peer that sends single bytes while the policy works is paused early', async () => {
    const held = holdAt('connect');
    const server = await serve({ decide: held.decide });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, BEGIN[1] as Buffer]));
    const goOn = await held.held();
    const { socket } = peer.peer;
    const before = peer.peer.bytesRead;
    const bytes = Buffer.concat(Array<Buffer>(300).fill(mta.helo('x')));
    let sent = 0;
    while (!socket.isPaused() && sent < bytes.length) {
      await peer.send(bytes.subarray(sent, sent + 1));
      sent += 1;
    }
    assert.ok(socket.isPaused());
    assert.ok(peer.peer.bytesRead - before < 1000, `${peer.peer.bytesRead - before} chunks are kept`);
    peer.socket.write(bytes.subarray(sent));
    goOn(CONTINUED);
    assert.equal(await peer.letters(302), `O${'c'.repeat(301)}`);
  });
});

describe('time limits', () => {
  /** Time passes when the test says so: a busy machine may hold both ends for longer than any of these limits. */
  function stopClock({ mock }: TestContext): (ms: number) => void {
    mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    return (ms) => mock.timers.tick(ms);
  }

  for (const [name, bytes] of [
    ['nothing', ''],
    ['half a negotiation', '00 00 00 0d 4f 00'],
  ] as const) {
    test(`a peer that sends ${name}`, async (t) => {
      const pass = stopClock(t);
      const server = await serve({ timeouts: { negotiationMs: 30 } });
      const peer = await server.connect();
      await peer.send(hex(bytes));
      pass(29);
      assert.equal(peer.peer.socket.destroyed, false);
      pass(1);
      assert.equal((await peer.rest()).length, 0);
      assert.equal(server.policies.length, 0);
      assert.equal(server.log.length, 1);
      assert.match(
        server.log[0] ?? '',
        /^s1: connection from 127\.0\.0\.1:\d+ closed: no milter negotiation within 0\.03 s$/,
      );
    });
  }

  test('half a packet, and silence between packets, which is nothing wrong', async (t) => {
    const pass = stopClock(t);
    const server = await serve({ timeouts: { packetMs: 100, negotiationMs: 100 } });
    const silent = await server.connect();
    await silent.send(OPTNEG);
    assert.equal(await silent.letters(1), 'O');
    for (const packet of [mta.helo('x'), mta.mail('<a@b.example>')]) {
      const peer = await server.connect();
      await peer.send(OPTNEG, packet.subarray(0, 3));
      pass(99);
      assert.equal(peer.peer.socket.destroyed, false);
      pass(1);
      await peer.rest();
      await silent.send(packet);
      assert.equal(await silent.letters(1), 'c');
    }
    assert.equal(server.log.length, 2);
    for (const line of server.log) assert.match(line, /closed: a packet not complete after 0\.1 s$/);
  });

  test('not packets that follow one another without a moment between them', async (t) => {
    const pass = stopClock(t);
    const server = await serve({ timeouts: { packetMs: 60 } });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.rcpt('<c@d.example>')]));
    const packet = mta.header('Received', ' x');
    await peer.send(packet.subarray(0, 7));
    for (let i = 0; i < 20; i++) {
      pass(15);
      await peer.send(Buffer.concat([packet.subarray(7), packet.subarray(0, 7)]));
    }
    await peer.send(Buffer.concat([packet.subarray(7), mta.eoh(), mta.eom()]));
    assert.match(await peer.letters(4), /^Occ/);
    assert.deepEqual(server.log, []);
  });

  test('a packet in many pieces has the time of one packet', async (t) => {
    const pass = stopClock(t);
    const server = await serve({ timeouts: { packetMs: 50 } });
    const peer = await server.connect();
    const slow = mta.helo('x'.repeat(1000));
    await peer.send(OPTNEG);
    let sent = 0;
    for (; sent < slow.length - 1 && !peer.peer.socket.destroyed; sent++) {
      await peer.send(slow.subarray(sent, sent + 1));
      pass(1);
    }
    assert.equal(sent, 50);
    await peer.rest();
    await peer.peer.connection.closed;
    assert.match(server.log.join('\n'), /closed: a packet not complete after 0\.05 s$/);
    assert.equal(server.policies[0]?.kinds, '');
  });

  test('the time of a packet does not pass while the policy works', async (t) => {
    const pass = stopClock(t);
    const held = holdAt('helo');
    const server = await serve({ decide: held.decide, timeouts: { packetMs: 100 } });
    const peer = await server.connect();
    await peer.send(OPTNEG, Buffer.concat([mta.helo('x'), mta.mail('<a@b.example>').subarray(0, 4)]));
    const goOn = await held.held();
    pass(250);
    goOn(CONTINUED);
    assert.equal(await peer.letters(2), 'Oc');
    pass(99);
    await peer.send(mta.mail('<a@b.example>').subarray(4));
    assert.equal(await peer.letters(1), 'c');
  });

  test('a peer that is silent for too long', async (t) => {
    const pass = stopClock(t);
    const server = await serve({ timeouts: { idleMs: 30 } });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>')]));
    assert.equal(await peer.letters(2), 'Oc');
    pass(30);
    assert.equal(peer.peer.socket.destroyed, false);
    pass(10);
    await peer.rest();
    await peer.peer.connection.closed;
    assert.match(server.log.join('\n'), /closed: idle for 0\.03 s$/);
    assert.equal(server.policies[0]?.kinds, 'mail reset close');
  });

  test("silence while the policy works is not the peer's", async (t) => {
    const pass = stopClock(t);
    const held = holdAt('helo');
    const server = await serve({ decide: held.decide, timeouts: { idleMs: 30 } });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.helo('x')]));
    const goOn = await held.held();
    pass(250);
    goOn(CONTINUED);
    assert.equal(await peer.letters(2), 'Oc');
    pass(30);
    assert.equal(peer.peer.socket.destroyed, false);
    pass(10);
    await peer.rest();
    assert.match(server.log.join('\n'), /closed: idle for 0\.03 s$/);
  });
});

test('who makes little work is not behind all who make much', async () => {
  const handled: string[] = [];
  const server = await serve({
    decide: (event) => {
      if (event.kind !== 'rcpt') return CONTINUED;
      handled.push(event.address);
      if (event.address.startsWith('much')) {
        const began = performance.now();
        while (performance.now() - began < 2);
        server.slices.noteLong(began);
      }
      return CONTINUED;
    },
  });
  const begin = Buffer.concat([OPTNEG, mta.mail('<a@b.example>')]);
  const many = await Promise.all(Array.from({ length: 30 }, () => server.connect()));
  const one = await server.connect();
  for (const peer of [...many, one]) {
    await peer.send(begin);
    assert.equal(await peer.letters(2), 'Oc');
  }
  for (let round = 0; round < 2; round++) {
    handled.length = 0;
    for (const peer of many) peer.socket.write(mta.rcpt('<much@d.example>'));
    one.socket.write(mta.rcpt('<little@d.example>'));
    for (const peer of [one, ...many]) assert.equal(await peer.letters(1), 'c');
  }
  assert.equal(handled.length, 31);
  assert.ok(handled.indexOf('little@d.example') < 10, `${handled.indexOf('little@d.example')} were before`);
});
