/** Connection over real sockets. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, describe, test } from 'node:test';
import { everyCut, hex, mta } from '../helpers/packet-builder.ts';
import { type Decide, type Mta, TestServer, type TestServerSettings } from './connection-server.ts';
import { BEGIN, CONTINUED, holdAt, message, OPTNEG } from './connection-session.ts';

/** HDR_LEADSPC, NR_HDR, NR_EOH and NR_BODY are what a policy that answers everything asks for. */
const OPTNEG_ANSWER = hex('00 00 00 0d 4f 00 00 00 06 00 00 00 ff 00 1c 00 80');
const CONTINUE = hex('00 00 00 01 63');
const NO = Buffer.from('\0\0\0\x0ey550 5.7.1 No\0', 'latin1');

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
