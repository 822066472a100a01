/** Commands in orders that no MTA sends, and packets whose payload is not what it should be: libmilter and we. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { mta, packet } from '../helpers/packet-builder.ts';
import { follow } from './any-order.ts';
import { bytesOf, type Line, lettersOf, MtaSide, type Offer } from './mta-side.ts';
import { ANSWERED, FULL, missing, Servers, VERSION_4 } from './servers.ts';

let servers: Servers;
before(async () => {
  if (!missing) servers = await Servers.start();
});
after(() => servers?.stop());

const options = { skip: missing, timeout: 600_000 };

/** Letters of all replies to the packets, ours and libmilter's, with `#` where the connection was closed at the end. */
async function replies(offer: Offer, packets: readonly Buffer[]): Promise<{ ours: string; theirs: string }> {
  // This command has an answer in any state, which is given to no other command here: "y".
  const stream = Buffer.concat([...packets, bytesOf(['U', '-say=m']), mta.quit()]);
  const [ours, theirs] = await Promise.all([
    MtaSide.pour(servers.ours.port, stream),
    MtaSide.pour(servers.theirs(offer), stream),
  ]);
  const upTo = (letters: string) => (letters.endsWith('y') ? letters.slice(0, -1) : `${letters}#`);
  return { ours: upTo(lettersOf(ours)), theirs: upTo(lettersOf(theirs)) };
}

/** Sessions as MTAs have them, which then go wrong: commands left out, said twice, changed over, put in. */
const disorder = () => {
  const seldom = (...marks: readonly string[]) =>
    fc.oneof({ weight: 12, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...marks) });
  const marksOf: Readonly<Record<string, fc.Arbitrary<string>>> = {
    C: seldom('-say=r', '-say=a', '-say=t'),
    H: seldom('-say=r', '-say=a', '-say=t'),
    M: seldom('-say=r', '-say=a', '-say=d', '-data=r', '-data=a', '-data=d', '-eom=r', '-eom=a', '-eom=d'),
    R: seldom('-say=r', '-say=t', '-say=a', '-say=d'),
    U: seldom('-say=r', '-say=t'),
    D: fc.constantFrom('C', 'M', 'B'),
  };
  const line = (letter: string): fc.Arbitrary<Line> =>
    (marksOf[letter] ?? fc.constant('')).map((text): Line => [letter, text]);
  const said = (letters: string) => fc.tuple(...[...letters].map(line)).map((lines): Line[] => lines);
  const session = fc.oneof(
    ...[
      'OCHMRTLNBEA',
      'OCHMRRTLLNBBEMRTNE',
      'OCHMRTNEAAMRTLNBE',
      'OCHUMURUTLNBEU',
      'OCHMRAMRTNEKCHMRTNE',
      'OCHMRTHMRTNE',
      'OCMRLNBEKCMRLNE',
    ].map(said),
  );
  const any = fc.constantFrom(...'OCHMRTLNBEUDAK').chain(line);
  const change = fc.record({ kind: fc.nat(4), at: fc.nat(), other: fc.nat(), line: any });
  return fc.tuple(session, fc.array(change, { minLength: 1, maxLength: 4 })).map(([lines, changes]) =>
    changes.reduce((now, { kind, at, other, line: extra }) => {
      const place = at % Math.max(1, now.length);
      const chosen = now.slice(place, place + 1);
      switch (kind) {
        case 0:
          return now.toSpliced(place, 1);
        case 1:
          return now.toSpliced(place, 0, ...chosen);
        case 2:
          return now.toSpliced(place, 1).toSpliced(other % now.length, 0, ...chosen);
        default:
          return now.toSpliced(place, 0, extra);
      }
    }, lines),
  );
};

const packetOf = (offer: Offer, line: Line): Buffer =>
  line[0] === 'O' ? mta.optneg(...offer) : bytesOf(line);

test('commands in any order', options, async () => {
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(FULL, ANSWERED, VERSION_4), disorder(), async (offer, lines) => {
      const { said, ours, theirs } = follow(offer, lines);
      const packets = lines.slice(0, said).map((line) => packetOf(offer, line));
      assert.deepEqual(await replies(offer, packets), { ours, theirs });
    }),
    { numRuns: 3000 },
  );
});

const M = 'OCM';
const R = 'OCMR';
const N = 'OCMRTN';

/** A row's commands before the packet in question. */
const packetsOf = (offer: Offer, letters: string) => [...letters].map((letter) => packetOf(offer, [letter]));

const SAME: readonly (readonly [what: string, before: string, packet: Buffer])[] = [
  ['negotiation of 11 bytes', '', packet('O', Buffer.alloc(11, 1))],
  ['negotiation with more behind it', '', packet('O', mta.optneg(...ANSWERED).subarray(5), 'more')],
  ['negotiation of version 1', '', mta.optneg(1, 0x1ff, 0x37f)],
  ['negotiation of version 7', '', mta.optneg(7, 0x1ff, 0x100800)],
  ['CONNECT with nothing', 'O', packet('C')],
  ['CONNECT without family', 'O', packet('C', 'host')],
  ['CONNECT without NUL in the name', 'O', packet('C', Buffer.from('host4'))],
  ['CONNECT without port', 'O', packet('C', 'host', Buffer.from('4'))],
  ['CONNECT without address', 'O', packet('C', 'host', Buffer.from('4\x10\x92'))],
  ['CONNECT without NUL after the address', 'O', packet('C', 'host', Buffer.from('4\x10\x92192.0.2.7'))],
  ['CONNECT with bytes after the address', 'O', packet('C', 'host', Buffer.from('4\x10\x92192.0.2.7\0x'))],
  [
    'CONNECT with a string after the address',
    'O',
    packet('C', 'host', Buffer.from('4\x10\x92192.0.2.7\0x\0')),
  ],
  ['CONNECT from an unknown family', 'O', packet('C', 'host', Buffer.from('5\x10\x92192.0.2.7\0'))],
  ['CONNECT from family U with more', 'O', packet('C', 'host', Buffer.from('U\x10\x92192.0.2.7\0'))],
  ['CONNECT from family U', 'O', packet('C', 'host', Buffer.from('U'))],
  ['HELO with nothing', 'OC', packet('H')],
  ['HELO of the empty name', 'OC', packet('H', '')],
  ['MAIL with nothing', 'OC', packet('M')],
  ['MAIL of the empty string', 'OC', packet('M', '')],
  ['MAIL without NUL', 'OC', packet('M', Buffer.from('<a@b>'))],
  ['MAIL with empty parameters', 'OC', packet('M', '<a@b>', '', '')],
  ['MAIL without brackets', 'OC', packet('M', 'a@b')],
  ['RCPT with nothing', M, packet('R')],
  ['RCPT without NUL', M, packet('R', Buffer.from('<a@b>'))],
  ['DATA with bytes', R, packet('T', Buffer.from('x'))],
  ['header with nothing', R, packet('L')],
  ['header of one string', R, packet('L', 'Subject')],
  ['header without the last NUL', R, packet('L', 'Subject', Buffer.from('value'))],
  ['header with an empty value', R, packet('L', 'Subject', '')],
  ['end of headers with bytes', R, packet('N', Buffer.from('x'))],
  ['body of 65535 bytes', N, packet('B', Buffer.alloc(65535, 'x'))],
  ['body of 65536 bytes', N, packet('B', Buffer.alloc(65536, 'x'))],
  ['unknown command of nothing', 'OC', packet('U')],
  ['unknown command of the empty string', 'OC', packet('U', '')],
  ['ABORT with bytes', R, packet('A', Buffer.from('x'))],
  ['macros of nothing', R, packet('D')],
  ['macros of a stage alone', R, packet('D', Buffer.from('R'))],
  ['macros with a name alone', R, packet('D', Buffer.from('R'), 'i')],
  ['macros of no stage', R, packet('D', Buffer.from('?'), 'i', 'Q1')],
  ['a command that is none', R, packet('Z', 'x')],
  ['a length of 0', R, Buffer.alloc(4)],
];

describe('payloads that are taken alike', options, () => {
  for (const [what, letters, bytes] of SAME) {
    test(what, async () => {
      for (const offer of [FULL, ANSWERED]) {
        const { ours, theirs } = await replies(offer, [...packetsOf(offer, letters), bytes]);
        assert.equal(ours, theirs);
      }
    });
  }
});

const STRICT: readonly (readonly [what: string, before: string, packet: Buffer, theirs: string])[] = [
  ['HELO without NUL, which libmilter leaves without an answer', 'OC', packet('H', Buffer.from('x')), 'Oc'],
  ['HELO with bytes behind the NUL, the same', 'OC', packet('H', 'x', Buffer.from('y')), 'Oc'],
  ['HELO with two names', 'OC', packet('H', 'x', 'y'), 'Occ'],
  ['unknown command of two strings', 'OC', packet('U', 'X', 'Y'), 'Occ'],
  ['unknown command without NUL', 'OC', packet('U', Buffer.from('X')), 'Occ'],
  ['MAIL with a parameter without NUL', 'OC', packet('M', '<a@b>', Buffer.from('SIZE=1')), 'Occ'],
  ['RCPT with a parameter without NUL', M, packet('R', '<a@b>', Buffer.from('X')), 'Occc'],
  ['header of three strings', R, packet('L', 'Subject', 'value', 'more'), 'Occcc'],
  ['macros without NUL, which libmilter drops', R, packet('D', Buffer.from('Ri')), 'Occc'],
  [
    'macros with bytes behind the last NUL',
    R,
    packet('D', Buffer.from('R'), 'i', 'Q', Buffer.from('x')),
    'Occc',
  ],
];

describe(
  'payloads at which we close the connection: what is cut short or too long may be anything',
  options,
  () => {
    for (const [what, letters, bytes, they] of STRICT) {
      test(what, async () => {
        const { ours, theirs } = await replies(ANSWERED, [...packetsOf(ANSWERED, letters), bytes]);
        const prefix = letters.length === 2 ? 'Oc' : letters === M ? 'Occ' : 'Occc';
        assert.deepEqual([ours, theirs], [`${prefix}#`, they]);
      });
    }
  },
);

const LENIENT: readonly (readonly [what: string, before: string, packet: Buffer, ours: string])[] = [
  ['CONNECT from 192.0.2', 'O', packet('C', 'host', Buffer.from('4\x10\x92192.0.2\0')), 'Oc'],
  ['CONNECT from an address that is none', 'O', packet('C', 'host', Buffer.from('4\x10\x92nowhere\0')), 'Oc'],
  ['CONNECT from IPv6 as IPv4', 'O', packet('C', 'host', Buffer.from('4\x10\x922001:db8::1\0')), 'Oc'],
  [
    'a path longer than the C structure for it',
    'O',
    packet('C', 'x', Buffer.from(`L\0\0${'/'.repeat(200)}\0`)),
    'Oc',
  ],
  ['a header with an empty name', R, packet('L', '', 'value'), 'Occcc'],
  ['a header of two empty strings', R, packet('L', '', ''), 'Occcc'],
  ['a body of no bytes', N, packet('B'), 'Occcccc'],
];

describe('payloads at which libmilter closes the connection, though they have a meaning', options, () => {
  for (const [what, letters, bytes, we] of LENIENT) {
    test(what, async () => {
      const { ours, theirs } = await replies(ANSWERED, [...packetsOf(ANSWERED, letters), bytes]);
      assert.deepEqual([ours, theirs], [we, `${we.slice(0, -1)}#`]);
    });
  }
});

test(
  'a packet cut or lengthened anywhere: the same, or one of us closes the connection there',
  options,
  async () => {
    const letters = 'OCHMRTLLNBBE';
    const damage = fc.record({
      at: fc.integer({ min: 1, max: letters.length - 1 }),
      keep: fc.nat(12),
      add: fc.uint8Array({ maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(FULL, ANSWERED), damage, async (offer, { at, keep, add }) => {
        // Behind the end of the message are the body's last bytes: with NR_BODY libmilter never comes to the end.
        fc.pre(offer === ANSWERED || letters[at] !== 'E');
        const packets = packetsOf(offer, letters);
        const payload = packets[at]?.subarray(5) ?? Buffer.alloc(0);
        packets[at] = packet(letters[at] ?? '', payload.subarray(0, payload.length - keep), Buffer.from(add));
        const { ours, theirs } = await replies(offer, packets);
        const closedWithin = (one: string, other: string) =>
          one.endsWith('#') && other.startsWith(one.slice(0, -1));
        const agree = ours === theirs || closedWithin(ours, theirs) || closedWithin(theirs, ours);
        assert.ok(agree, `${ours} ${theirs}`);
      }),
      { numRuns: 1000 },
    );
  },
);

/** `any-order.ts` says the same for all states; these are the reasons. */
describe('orders in which we differ, and why', options, () => {
  const orders: readonly (readonly [why: string, letters: string, ours: string, theirs: string])[] = [
    ['a command before the negotiation: closed', 'H', '#', 'c'],
    ['macros before the negotiation: closed', 'D', '#', ''],
    ['a second negotiation: closed', 'OCHO', 'Occ#', 'Occ'],
    ['RCPT without MAIL: closed, so that nobody waits', 'OCHR', 'Occ#', 'Occ'],
    ['DATA without MAIL: the same', 'OCHT', 'Occ#', 'Occ'],
    ['a header without MAIL: the same', 'OCHL', 'Occ#', 'Occ'],
    ['an end of headers without MAIL: the same', 'OCHN', 'Occ#', 'Occ'],
    ['a body without MAIL: the same', 'OCHB', 'Occ#', 'Occ'],
    ['an end of message without MAIL: the same', 'OCHE', 'Occ#', 'Occ'],
    ['RCPT after an unknown command, but without MAIL: the same', 'OCHUR', 'Occc#', 'Occcc'],
    ['DATA after one: the same', 'OCHUT', 'Occc#', 'Occcc'],
    ['a body after one: the same', 'OCHUB', 'Occc#', 'Occcc'],
    ['RCPT after a header: the envelope is complete', 'OCHMRTLR', 'Occcccc#', 'Occcccc'],
    ['DATA after a header: the same', 'OCHMRTLT', 'Occcccc#', 'Occcccc'],
    ['a header after their end', 'OCHMRTNL', 'Occcccc#', 'Occcccc'],
    ['a second end of headers', 'OCHMRTNN', 'Occcccc#', 'Occcccc'],
    ['DATA without RCPT: a message of which all recipients were refused', 'OCHMT', 'Occcc', 'Occc'],
    ['DATA again: the first may have been refused', 'OCHMRTT', 'Occcccc', 'Occccc'],
    ['RCPT after DATA: the same', 'OCHMRTR', 'Occcccc', 'Occccc'],
    ['a body without end of headers: as a filter that declined it sees one', 'OCHMRTB', 'Occcccc', 'Occccc'],
    ['an end of message without end of headers: the same', 'OCHMRTLE', 'Occccccc', 'Occcccc'],
    ['a header straight after MAIL', 'OCHML', 'Occcc', 'Occc'],
    ['an unknown command among the headers leaves the message be', 'OCHMRTLUN', 'Occcccccc', 'Occccccc'],
    ['a second CONNECT: the next session', 'OCHC', 'Occc', 'Occ'],
    ['CONNECT after an ABORT: the same', 'OCHMAC', 'Occcc', 'Occc'],
  ];
  for (const [why, letters, we, they] of orders) {
    test(why, async () => {
      const { ours, theirs } = await replies(ANSWERED, packetsOf(ANSWERED, letters));
      assert.deepEqual([ours, theirs], [we, they]);
    });
  }

  test('after a verdict for the message, the same again until ABORT, HELO or MAIL', async () => {
    for (const letter of 'RTLNBE') {
      const lines: readonly Line[] = [['O'], ['C'], ['M', '-say=r'], [letter], ['A'], ['M']];
      const packets = lines.map((line) => packetOf(ANSWERED, line));
      assert.deepEqual(await replies(ANSWERED, packets), { ours: 'Ocrrc', theirs: 'Ocrc' });
    }
  });

  test('after a verdict for the SMTP session, the same at each event', async () => {
    const lines: readonly Line[] = [['O'], ['C', '-say=r'], ['H'], ['M'], ['U'], ['K'], ['C'], ['H']];
    const packets = lines.map((line) => packetOf(ANSWERED, line));
    assert.deepEqual(await replies(ANSWERED, packets), { ours: 'Orrrccc', theirs: 'Orccccc' });
  });
});
