/** Many connections at a time, over real sockets: newcomers do not wait for the work of all who are there. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { Crowd } from '../../src/net/crowd.ts';
import { mta } from '../helpers/packet-builder.ts';
import { TestServer } from './connection-server.ts';
import { CONTINUED, OPTNEG } from './connection-session.ts';

const BUSY = 80;
const NEW = 40;
/** Looking goes on for some milliseconds, in which another program may have the processor. */
const TRIES = 20;

/** How many newcomers were accepted before the first of so many connections was served, of those who came with it. */
async function acceptedBefore(): Promise<number> {
  let served = 0;
  let first: number | undefined;
  const server = await TestServer.start({
    decide: ({ kind }) => {
      if (kind === 'helo') {
        served += 1;
        first ??= server.accepted.length - BUSY;
      }
      return CONTINUED;
    },
  });
  const peers = await Promise.all(Array.from({ length: BUSY }, () => server.connect()));
  for (const peer of peers) {
    await peer.send(OPTNEG);
    assert.equal(await peer.letters(1), 'O');
  }
  for (const peer of peers) peer.socket.write(mta.helo('x'));
  const newcomers = Array.from({ length: NEW }, () =>
    connect(server.port, '127.0.0.1').on('error', () => {}),
  );
  for (const peer of peers) assert.equal(await peer.letters(1), 'c');
  assert.equal(served, BUSY);
  for (const newcomer of newcomers) newcomer.destroy();
  await server.stop();
  return first ?? 0;
}

test('who is new is accepted before the many others are served', async (t) => {
  let accepted = 0;
  for (let i = 0; i < TRIES && accepted < NEW / 2; i++) accepted = Math.max(accepted, await acceptedBefore());
  t.diagnostic(`${accepted} of ${NEW} newcomers were accepted before the first of ${BUSY} others was served`);
  assert.ok(accepted >= NEW / 2);
});

test('who came first is served first', async () => {
  const crowd = new Crowd(() => 1000);
  const served: string[] = [];
  await new Promise<void>((resolve) => {
    crowd.add(() => served.push('a'));
    crowd.add(() => {
      served.push('b');
      crowd.add(() => served.push('d'));
      crowd.add(resolve);
    });
    crowd.add(() => served.push('c'));
    assert.deepEqual(served, []);
  });
  assert.deepEqual(served, ['a', 'b', 'c', 'd']);
});

test('with few connections nothing is put by', () => {
  assert.equal(new Crowd(() => 10).isLarge, false);
  assert.equal(new Crowd(() => 100).isLarge, true);
});
