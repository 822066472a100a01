/** Connection over real sockets. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { afterEach, describe, test } from 'node:test';
import type { PolicyEvent, Verdict } from '../../src/milter/policy.ts';
import { everyCut, hex, mta } from '../helpers/packet-builder.ts';
import { type Decide, type Mta, TestServer, type TestServerSettings } from './connection-server.ts';

const OPTNEG = mta.optneg(6, 0x1ff, 0x1fffff);
/** HDR_LEADSPC, NR_HDR, NR_EOH and NR_BODY are what a policy that answers everything asks for. */
const OPTNEG_ANSWER = hex('00 00 00 0d 4f 00 00 00 06 00 00 00 ff 00 1c 00 80');
const CONTINUE = hex('00 00 00 01 63');
const NO = Buffer.from('\0\0\0\x0ey550 5.7.1 No\0', 'latin1');

const BEGIN = [
  mta.macro('C', 'j', 'mx.example'),
  mta.connect('client.example', '4', 4242, '192.0.2.7'),
  mta.macro('H'),
  mta.helo('client.example'),
];
const message = (n: number) => [
  mta.macro('M', 'i', `Q${n}`),
  mta.mail(`<a${n}@a.example>`, 'SIZE=42'),
  mta.rcpt(`<b${n}@b.example>`),
  mta.data(),
  mta.header('Subject', ` \xe9 ${n}`),
  mta.eoh(),
  mta.body(`Hello ${n}\r\n`),
  mta.eom(),
];

const CONTINUED: Verdict = { kind: 'continue' };

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

/** Makes the policy wait at each event of the kind until the test answers. */
function holdAt(...kinds: readonly PolicyEvent['kind'][]) {
  const waiting: ((verdict: Verdict) => void)[] = [];
  let arrived: () => void = () => {};
  const decide: Decide = (event, policy) => {
    if (!kinds.includes(event.kind)) return CONTINUED;
    return new Promise<Verdict>((resolve) => {
      policy.onCancel = () => resolve(CONTINUED);
      waiting.push(resolve);
      arrived();
    });
  };
  return {
    decide,
    /** Settles when the policy holds an event. */
    async held(): Promise<(verdict: Verdict) => void> {
      if (waiting.length === 0) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
      return waiting.shift() as (verdict: Verdict) => void;
    },
  };
}

describe('packets in any pieces', () => {
  const stream = Buffer.concat([OPTNEG, ...BEGIN, ...message(1), mta.abort(), mta.abort(), mta.quit()]);
  const answers = Buffer.concat([OPTNEG_ANSWER, CONTINUE, CONTINUE, CONTINUE, CONTINUE, CONTINUE, NO]);
  const refuse: Decide = ({ kind }) =>
    kind === 'endOfMessage' ? { kind: 'reply', code: 550, enhanced: '5.7.1', lines: ['No'] } : CONTINUED;

  for (const openLater of [false, true]) {
    test(`whole, byte by byte, cut at each place; the policy opened ${openLater ? 'later' : 'at once'}`, async () => {
      const server = await serve({ decide: refuse, openLater });
      for (const parts of everyCut(stream)) {
        const peer = await server.connect();
        await peer.send(...parts);
        assert.deepEqual(await peer.rest(), answers);
        const policy = server.policies.at(-1);
        assert.equal(policy?.kinds, 'connect helo mail rcpt data headers chunk endOfMessage reset close');
        assert.deepEqual(
          policy?.events.find(({ kind }) => kind === 'headers'),
          { kind: 'headers', lines: ['Subject: \xe9 1'] },
        );
      }
      assert.deepEqual(server.log, []);
    });
  }

  test("two messages; both MTAs' habits", async () => {
    for (const between of [[], [mta.abort()], [mta.abort(), mta.abort()]]) {
      const server = await serve();
      const peer = await server.connect();
      await peer.send(
        Buffer.concat([OPTNEG, ...BEGIN, ...message(1), ...between, ...message(2), mta.quit()]),
      );
      assert.equal(
        (await peer.rest()).toString('latin1').replaceAll('\0\0\0\x01', '').slice(17),
        'c'.repeat(2 + 4 + 4),
      );
      const [policy] = server.policies;
      assert.equal(
        policy?.kinds,
        'connect helo mail rcpt data headers chunk endOfMessage reset mail rcpt data headers chunk endOfMessage reset close',
      );
    }
  });
});

describe('writes', () => {
  test('a reply is one write; changes to the message and the reply after them are one', async () => {
    const server = await serve({
      decide: ({ kind }) =>
        kind === 'endOfMessage'
          ? {
              kind: 'accept',
              modifications: [
                { kind: 'addHeader', name: 'X-A', value: ' v' },
                { kind: 'replaceBody', bytes: Buffer.alloc(70_000, 'x') },
              ],
            }
          : CONTINUED,
    });
    const peer = await server.connect();
    const [mail, rcpt, data, ...content] = message(1).slice(1);
    for (const [command, letters] of [
      [OPTNEG, 'O'],
      [BEGIN[1], 'c'],
      [BEGIN[3], 'c'],
      [mail, 'c'],
      [rcpt, 'c'],
      [data, 'c'],
      [Buffer.concat(content), 'hbba'],
    ] as const) {
      await peer.send(command as Buffer);
      assert.equal(await peer.letters(letters.length), letters);
    }
    const sizes = peer.peer.writes.map(({ length }) => length);
    assert.deepEqual(sizes, [17, 5, 5, 5, 5, 5, 12 + (5 + 65535) + (5 + 4465) + 5]);
  });

  test('replies to packets that came together are one write', async () => {
    const server = await serve();
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, ...BEGIN, mta.mail('<a@b.example>'), mta.rcpt('<c@d.example>')]));
    assert.equal(await peer.letters(5), 'Occcc');
    assert.equal(peer.peer.writes.length, 1);
  });

  test('the final reply goes out before the policy is told of the end of the transaction', async () => {
    const held = holdAt('reset');
    const server = await serve({ decide: held.decide });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.eom()]));
    assert.equal(await peer.letters(3), 'Occ');
    (await held.held())(CONTINUED);
  });
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
    await new Promise((resolve) => peer.peer.socket.once('close', resolve));
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
    await new Promise((resolve) => peer.peer.socket.once('close', resolve));
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
    const paused = once(socket, 'pause');
    const rcpt = Buffer.concat(Array<Buffer>(200).fill(mta.rcpt(`<${'c'.repeat(500)}@d.example>`)));
    const rounds = 10;
    for (let i = 0; i < rounds; i++) peer.socket.write(rcpt);
    await paused;
    assert.ok(socket.writableLength < 256 * 1024, `${socket.writableLength} bytes wait to be written`);
    assert.ok(socket.bytesRead < 4 * 1024 * 1024, `${socket.bytesRead} bytes were read`);
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
      const paused = once(socket, 'pause');
      const packet = size > 0 ? mta.unknown('x'.repeat(size)) : mta.helo('');
      const count = Math.ceil(bytes / packet.length / 10);
      const load = Buffer.concat(Array<Buffer>(count).fill(packet));
      for (let i = 0; i < 10; i++) peer.socket.write(load);
      await paused;
      assert.ok(socket.bytesRead < 512 * 1024, `${socket.bytesRead} bytes were read`);
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
    let paused = false;
    socket.once('pause', () => {
      paused = true;
    });
    const before = socket.bytesRead;
    const bytes = Buffer.concat(Array<Buffer>(300).fill(mta.helo('x')));
    let sent = 0;
    while (!paused && sent < bytes.length) {
      await peer.send(bytes.subarray(sent, sent + 1));
      sent += 1;
    }
    assert.ok(paused, 'paused');
    assert.ok(socket.bytesRead - before < 1000, `${socket.bytesRead - before} chunks are kept`);
    peer.socket.write(bytes.subarray(sent));
    goOn(CONTINUED);
    assert.equal(await peer.letters(302), `O${'c'.repeat(301)}`);
  });
});

describe('time limits', () => {
  /** A peer that is cut off for half a packet: proof that this much time has passed. */
  async function halfPacket(server: TestServer): Promise<void> {
    const peer = await server.connect();
    await peer.send(OPTNEG, mta.helo('x').subarray(0, 3));
    await peer.rest();
  }

  for (const [name, bytes] of [
    ['nothing', ''],
    ['half a negotiation', '00 00 00 0d 4f 00'],
  ] as const) {
    test(`a peer that sends ${name}`, async () => {
      const server = await serve({ timeouts: { negotiationMs: 30 } });
      const peer = await server.connect();
      peer.socket.write(hex(bytes));
      assert.equal((await peer.rest()).length, 0);
      assert.equal(server.policies.length, 0);
      assert.equal(server.log.length, 1);
      assert.match(
        server.log[0] ?? '',
        /^s1: connection from 127\.0\.0\.1:\d+ closed: no milter negotiation within 0\.03 s$/,
      );
    });
  }

  test('half a packet, and silence between packets, which is nothing wrong', async () => {
    const server = await serve({ timeouts: { packetMs: 100, negotiationMs: 100 } });
    const silent = await server.connect();
    await silent.send(OPTNEG);
    assert.equal(await silent.letters(1), 'O');
    await halfPacket(server);
    await silent.send(mta.helo('x'));
    assert.equal(await silent.letters(1), 'c');
    await halfPacket(server);
    await silent.send(mta.mail('<a@b.example>'));
    assert.equal(await silent.letters(1), 'c');
    assert.equal(server.log.length, 2);
    for (const line of server.log) assert.match(line, /closed: a packet not complete after 0\.1 s$/);
  });

  test('a packet in many pieces has the time of one packet', async () => {
    const server = await serve({ timeouts: { packetMs: 50 } });
    const peer = await server.connect();
    const slow = mta.helo('x'.repeat(10_000));
    await peer.send(OPTNEG);
    for (let i = 0; i < slow.length - 1 && !peer.peer.socket.destroyed; i++)
      await peer.send(slow.subarray(i, i + 1));
    await peer.rest();
    await peer.peer.connection.closed;
    assert.match(server.log.join('\n'), /closed: a packet not complete after 0\.05 s$/);
    assert.equal(server.policies[0]?.kinds, 'close');
  });

  test('the time of a packet does not pass while the policy works', async () => {
    const held = holdAt('helo');
    const server = await serve({
      decide: (event, policy) => (policy.session.id === 's1' ? held.decide(event, policy) : CONTINUED),
      timeouts: { packetMs: 100 },
    });
    const peer = await server.connect();
    await peer.send(OPTNEG, Buffer.concat([mta.helo('x'), mta.mail('<a@b.example>').subarray(0, 4)]));
    const goOn = await held.held();
    await halfPacket(server);
    await halfPacket(server);
    goOn(CONTINUED);
    assert.equal(await peer.letters(2), 'Oc');
    await peer.send(mta.mail('<a@b.example>').subarray(4));
    assert.equal(await peer.letters(1), 'c');
  });

  test('a peer that is silent for too long', async () => {
    const server = await serve({ timeouts: { idleMs: 30 } });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>')]));
    await peer.rest();
    await peer.peer.connection.closed;
    assert.match(server.log.join('\n'), /closed: idle for 0\.03 s$/);
    assert.equal(server.policies[0]?.kinds, 'mail reset close');
  });

  test("silence while the policy works is not the peer's", async () => {
    const held = holdAt('helo');
    const server = await serve({
      decide: (event, policy) => (policy.session.id === 's1' ? held.decide(event, policy) : CONTINUED),
      timeouts: { idleMs: 30 },
    });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.helo('x')]));
    const goOn = await held.held();
    const other = await server.connect();
    await other.send(OPTNEG);
    await other.rest();
    goOn(CONTINUED);
    assert.equal(await peer.letters(2), 'Oc');
  });
});

describe('peers that speak something else', () => {
  const rows: readonly (readonly [name: string, bytes: Buffer, line: RegExp])[] = [
    ['a TLS hello', Buffer.from('16030100c8010000c4', 'hex'), /somebody speaks TLS to the milter port/],
    [
      'an HTTP request',
      Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
      /somebody speaks HTTP to the milter port/,
    ],
    ['SMTP', Buffer.from('EHLO x\r\n'), /somebody speaks SMTP/],
    ['length 0', hex('00 00 00 00'), /frame: length 0/],
    ['an unknown command', hex('00 00 00 01 7a'), /unknown byte 0x7a/],
    ['CONNECT first', BEGIN[1] as Buffer, /connect before negotiation/],
    ['an old version', mta.optneg(1, 0xf, 0x3f), /version 1/],
    ['a negotiation cut short', hex('00 00 00 05 4f 00 00 00 06'), /negotiate/],
    ['a random beginning', Buffer.concat([hex('f3 2a 9c 01'), randomBytes(60)]), /frame: length 40/],
  ];
  for (const [name, bytes, line] of rows) {
    test(`${name}: one line in the log, closed, others go on`, async () => {
      const server = await serve();
      const other = await server.connect();
      await other.send(OPTNEG);
      assert.equal(await other.letters(1), 'O');
      const peer = await server.connect();
      peer.socket.write(bytes);
      assert.equal((await peer.rest()).length, 0);
      await peer.peer.connection.closed;
      assert.equal(server.log.length, 1, server.log.join('\n'));
      assert.match(server.log[0] ?? '', line);
      assert.match(server.log[0] ?? '', /^s2: connection from 127\.0\.0\.1:\d+ closed: /);
      await other.send(mta.helo('x'));
      assert.equal(await other.letters(1), 'c');
    });
  }

  test('nonsense in mid-session: what came before it is answered, the ends are told', async () => {
    const server = await serve();
    const peer = await server.connect();
    await peer.send(
      Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), hex('00 00 00 00 00 00'), mta.rcpt('<c@d.example>')]),
    );
    assert.equal(await peer.letters(3), 'Oc#');
    await peer.peer.connection.closed;
    assert.equal(server.policies[0]?.kinds, 'mail reset close');
    assert.equal(server.log.length, 1);
  });
});

describe('ends', () => {
  const letters = async (peer: Mta) =>
    (await peer.rest()).toString('latin1', 17).replaceAll('\0\0\0\x01', '');

  test('QUIT closes; nothing after it is handled', async () => {
    const server = await serve();
    const peer = await server.connect();
    await peer.send(
      Buffer.concat([OPTNEG, mta.helo('x'), mta.quit(), mta.helo('y'), mta.mail('<a@b.example>'), OPTNEG]),
    );
    assert.equal(await letters(peer), 'c');
    assert.equal(server.policies.length, 1);
    assert.equal(server.policies[0]?.kinds, 'helo close');
    assert.deepEqual(server.log, []);
  });

  test('QUIT in a message', async () => {
    const server = await serve();
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>'), mta.quit()]));
    assert.equal(await letters(peer), 'c');
    assert.equal(server.policies[0]?.kinds, 'mail reset close');
  });

  test('a peer that only goes', async () => {
    const server = await serve();
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>')]));
    assert.equal(await peer.letters(2), 'Oc');
    peer.socket.end();
    await peer.peer.connection.closed;
    assert.equal(server.policies[0]?.kinds, 'mail reset close');
    assert.deepEqual(server.log, []);
  });

  test('a peer that never says a thing and goes', async () => {
    const server = await serve();
    const peer = await server.connect();
    peer.socket.end();
    await peer.peer.connection.closed;
    assert.equal(server.policies.length, 0);
    assert.deepEqual(server.log, []);
  });

  for (const openLater of [false, true]) {
    test(`QUIT_NC: the next session has a policy and an id of its own, opened ${openLater ? 'later' : 'at once'}`, async () => {
      const server = await serve({ openLater });
      const peer = await server.connect();
      const session = Buffer.concat([...BEGIN, ...message(1)]);
      await peer.send(Buffer.concat([OPTNEG, session, mta.quitNc(), session, mta.quit()]));
      assert.equal(await letters(peer), 'c'.repeat(12));
      const each = 'connect helo mail rcpt data headers chunk endOfMessage reset close';
      assert.deepEqual(
        server.policies.map(({ session, kinds }) => [session.id, kinds]),
        [
          ['s1', each],
          ['s2', each],
        ],
      );
    });
  }

  test('QUIT_NC, then the end: no policy is opened for nothing', async () => {
    const server = await serve();
    const peer = await server.connect();
    await peer.send(
      Buffer.concat([OPTNEG, mta.helo('x'), mta.quitNc(), mta.macro('C'), mta.abort(), mta.quit()]),
    );
    assert.equal(await letters(peer), 'c');
    assert.equal(server.policies.length, 1);
  });

  test('the server ends it', async () => {
    const held = holdAt('mail');
    const server = await serve({ decide: held.decide });
    const peer = await server.connect();
    await peer.send(Buffer.concat([OPTNEG, mta.mail('<a@b.example>')]));
    await held.held();
    peer.peer.connection.destroy();
    await peer.peer.connection.closed;
    assert.equal(server.policies[0]?.kinds, 'mail reset close');
    assert.equal(server.policies[0]?.cancelled, 1);
  });
});

describe('a policy with a bug', () => {
  const bugs: readonly (readonly [name: string, decide: Decide])[] = [
    ['throws', ({ kind }) => (kind === 'mail' ? thrown() : CONTINUED)],
    ['rejects', ({ kind }) => (kind === 'mail' ? Promise.reject(new Error('a bug')) : CONTINUED)],
    ['throws at the end too', ({ kind }) => (kind === 'helo' ? CONTINUED : thrown())],
    [
      'rejects at the end too',
      ({ kind }) => (kind === 'helo' ? CONTINUED : Promise.reject(new Error('a bug'))),
    ],
    [
      'gives a code that no reply can have',
      ({ kind }) => (kind === 'mail' ? { kind: 'reply', code: 250, lines: [] } : CONTINUED),
    ],
  ];
  function thrown(): never {
    throw new Error('a bug');
  }
  for (const [name, decide] of bugs) {
    test(`${name}: the connection closes, the log says where, others go on`, async () => {
      const server = await serve({ decide });
      const other = await server.connect();
      await other.send(OPTNEG);
      const peer = await server.connect();
      await peer.send(OPTNEG);
      assert.equal(await peer.letters(1), 'O');
      await peer.send(mta.mail('<a@b.example>'));
      assert.equal((await peer.rest()).length, 0);
      await peer.peer.connection.closed;
      assert.match(server.log[0] ?? '', /^s2: internal error, connection closed: .*(a bug|reply code: 250)/);
      await other.send(mta.helo('x'));
      assert.equal(await other.letters(2), 'Oc');
    });
  }
});
