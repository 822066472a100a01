import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { negotiate } from '../../src/milter/negotiation.ts';
import type { Interest, Interests } from '../../src/milter/policy.ts';
import { ProtocolError } from '../../src/milter/protocol-error.ts';
import { NOTHING } from '../helpers/interests.ts';

const offer = (version: number, actions: number, protocol: number) =>
  ({ kind: 'negotiate', version, actions, protocol }) as const;

test('a policy that wants nothing is sent nothing but the end of each message', () => {
  const { version, actions, protocol } = negotiate(offer(6, 0x1ff, 0x1fffff), NOTHING);
  assert.equal(version, 6);
  assert.equal(actions, 0);
  assert.equal(protocol & 0x37f, 0x37f); // All NO bits of the protocol page, 4.3.
});

test('an event whose data alone are wanted comes without a reply', () => {
  const interests: Interests = { ...NOTHING, connect: 'data', helo: 'data', mail: 'data', rcpt: 'data' };
  const { protocol } = negotiate(offer(6, 0x1ff, 0x1fffff), interests);
  assert.equal(protocol & 0x00000f, 0, 'connect, helo, mail, rcpt are sent');
  assert.equal(protocol & 0x00f000, 0x00f000, 'and not answered');
});

test('an event that the policy answers is answered', () => {
  const interests: Interests = {
    ...NOTHING,
    connect: 'verdict',
    helo: 'verdict',
    mail: 'verdict',
    rcpt: 'verdict',
    data: 'verdict',
    unknown: 'verdict',
  };
  const { protocol } = negotiate(offer(6, 0x1ff, 0x1fffff), interests);
  assert.equal(protocol & 0x030f, 0x0000 | 0x0000);
  assert.equal(protocol & 0x03f000, 0);
});

test('headers and body are streamed, their verdict waits for the end of the message', () => {
  const { protocol } = negotiate(offer(6, 0x1ff, 0x1fffff), {
    ...NOTHING,
    headers: 'verdict',
    body: 'verdict',
  });
  assert.equal(protocol & (0x10 | 0x20 | 0x40), 0, 'body, headers and their end are sent');
  assert.equal(protocol & (0x80 | 0x40000 | 0x80000), 0x80 | 0x40000 | 0x80000);
  assert.equal(protocol & 0x100000, 0x100000, 'header values keep their leading space');
});

test('an MTA that cannot decline events is answered instead', () => {
  const stalwart = negotiate(offer(6, 0xff, 0x42), NOTHING); // Offers NOHELO and NOEOH only.
  assert.equal(stalwart.protocol, 0x42);
});

test('versions 2 to 6 are kept, newer ones answered with 6, older ones refused', () => {
  for (const [offered, answered] of [
    [2, 2],
    [3, 3],
    [4, 4],
    [6, 6],
    [7, 6],
    [4_000_000_000, 6],
  ] as const) {
    assert.equal(negotiate(offer(offered, 0x1ff, 0x7f), NOTHING).version, answered);
  }
  for (const offered of [0, 1]) {
    assert.throws(() => negotiate(offer(offered, 0x1ff, 0x7f), NOTHING), ProtocolError);
  }
});

test('an MTA without the DATA event leaves the end of headers answerable when DATA is wanted', () => {
  const { protocol } = negotiate(offer(3, 0x1ff, 0x1ff), { ...NOTHING, data: 'verdict' });
  assert.equal(protocol & 0x40, 0, 'the end of headers is sent');
});

test('symbol lists are asked for only where the MTA takes them', () => {
  const interests: Interests = { ...NOTHING, symbols: [{ stage: 'connect', names: ['{client_port}'] }] };
  assert.equal(negotiate(offer(6, 0x1ff, 0), interests).actions, 0x100);
  assert.equal(negotiate(offer(6, 0x1ff, 0), interests).symbols.length, 1);
  assert.equal(negotiate(offer(6, 0x0ff, 0), interests).actions, 0);
  assert.deepEqual(negotiate(offer(6, 0x0ff, 0), interests).symbols, []);
});

test('property: the answer is a subset of the offer and never sets the reserved bits', () => {
  const interest = fc.constantFrom<Interest>('none', 'data', 'verdict');
  const u32 = fc.integer({ min: 1, max: 0xffffffff });
  const needsArbitrary = fc.record({
    connect: interest,
    helo: interest,
    mail: interest,
    rcpt: interest,
    data: interest,
    headers: interest,
    body: interest,
    unknown: interest,
    actions: fc.integer({ min: 0, max: 0x1ff }),
    symbols: fc.constant([]),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 2, max: 9 }),
      u32,
      u32,
      needsArbitrary,
      (version, actions, protocol, interests) => {
        const agreed = negotiate(offer(version, actions, protocol), interests);
        assert.equal((agreed.actions & ~actions) >>> 0, 0);
        assert.equal((agreed.protocol & ~protocol) >>> 0, 0);
        assert.equal(agreed.protocol & 0x70000000, 0);
        assert.ok(agreed.protocol >= 0 && agreed.actions >= 0);
      },
    ),
  );
});
