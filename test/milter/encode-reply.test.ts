import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeModification, encodeReply } from '../../src/milter/encode-reply.ts';
import type { Modification, Reply } from '../../src/milter/reply.ts';
import { formatReply } from '../../src/milter/reply-text.ts';
import { hex, packet, u32 } from '../helpers/packet-builder.ts';

/** Packets written down by hand, from the descriptions of the protocol: none is of our making. */
const REPLIES: readonly (readonly [reply: Reply, dump: string])[] = [
  [{ kind: 'continue' }, '00 00 00 01 63'],
  [{ kind: 'accept' }, '00 00 00 01 61'],
  [{ kind: 'reject' }, '00 00 00 01 72'],
  [{ kind: 'tempfail' }, '00 00 00 01 74'],
  [{ kind: 'discard' }, '00 00 00 01 64'],
  [{ kind: 'skip' }, '00 00 00 01 73'],
  [{ kind: 'progress' }, '00 00 00 01 70'],
  [{ kind: 'replyCode', text: '550 5.7.1 No' }, '00 00 00 0E 79 35 35 30 20 35 2E 37 2E 31 20 4E 6F 00'],
  [
    { kind: 'negotiate', version: 6, actions: 1, protocol: 0x0ff380, symbols: [] },
    '00 00 00 0D 4F 00 00 00 06 00 00 00 01 00 0F F3 80',
  ],
  [
    {
      kind: 'negotiate',
      version: 6,
      actions: 0x101,
      protocol: 0x400,
      symbols: [
        { stage: 'endOfMessage', names: ['i'] },
        { stage: 'connect', names: ['j', '{client_addr}'] },
      ],
    },
    '00 00 00 27 4F 00 00 00 06 00 00 01 01 00 00 04 00 00 00 00 00 6A 20 7B 63 6C 69 65 6E 74 5F 61 64 64 72 7D 00 00 00 00 05 69 00',
  ],
];

const MODIFICATIONS: readonly (readonly [modification: Modification, dump: string])[] = [
  [
    { kind: 'addRecipient', address: '<x@y.example>' },
    '00 00 00 0F 2B 3C 78 40 79 2E 65 78 61 6D 70 6C 65 3E 00',
  ],
  [
    { kind: 'addRecipient', address: 'x@y.example', params: 'NOTIFY=NEVER' },
    '00 00 00 1C 32 3C 78 40 79 2E 65 78 61 6D 70 6C 65 3E 00 4E 4F 54 49 46 59 3D 4E 45 56 45 52 00',
  ],
  [
    { kind: 'deleteRecipient', address: '<c@d.example>' },
    '00 00 00 0F 2D 3C 63 40 64 2E 65 78 61 6D 70 6C 65 3E 00',
  ],
  [{ kind: 'deleteRecipient', address: 'c@d' }, '00 00 00 05 2D 63 40 64 00'],
  [
    { kind: 'changeSender', address: 'n@y.example' },
    '00 00 00 0F 65 3C 6E 40 79 2E 65 78 61 6D 70 6C 65 3E 00',
  ],
  [{ kind: 'changeSender', address: '' }, '00 00 00 04 65 3C 3E 00'],
  [
    { kind: 'changeSender', address: '<>', params: 'RET=HDRS' },
    '00 00 00 0D 65 3C 3E 00 52 45 54 3D 48 44 52 53 00',
  ],
  [{ kind: 'addHeader', name: 'X-A', value: 'v' }, '00 00 00 07 68 58 2D 41 00 76 00'],
  [
    { kind: 'insertHeader', index: 0, name: 'X-A', value: 'v' },
    '00 00 00 0B 69 00 00 00 00 58 2D 41 00 76 00',
  ],
  [
    { kind: 'changeHeader', index: 1, name: 'Subject', value: 'new' },
    '00 00 00 11 6D 00 00 00 01 53 75 62 6A 65 63 74 00 6E 65 77 00',
  ],
  [{ kind: 'changeHeader', index: 2, name: 'X-B', value: '' }, '00 00 00 0A 6D 00 00 00 02 58 2D 42 00 00'],
  [{ kind: 'replaceBody', bytes: Buffer.from('new\r\n') }, '00 00 00 06 62 6E 65 77 0D 0A'],
  [{ kind: 'replaceBody', bytes: Buffer.alloc(0) }, '00 00 00 01 62'],
  [{ kind: 'quarantine', reason: 'why' }, '00 00 00 05 71 77 68 79 00'],
];

test('every reply as written down by hand', () => {
  for (const [reply, dump] of REPLIES) assert.deepEqual(encodeReply(reply), hex(dump), reply.kind);
});

test('every modification as written down by hand', () => {
  for (const [modification, dump] of MODIFICATIONS) {
    assert.deepEqual(encodeModification(modification), [hex(dump)], modification.kind);
  }
});

test('reply texts made for the wire', () => {
  const replyCode = (code: number, ...lines: string[]) =>
    encodeReply({ kind: 'replyCode', text: formatReply(code, lines).text });
  assert.deepEqual(
    replyCode(451, '4.7.1 a', 'b'),
    hex('00 00 00 1A 79 34 35 31 2D 34 2E 37 2E 31 20 61 0D 0A 34 35 31 20 34 2E 37 2E 31 20 62 00'),
  );
  assert.deepEqual(
    replyCode(550, '5.7.1 100% no'),
    hex('00 00 00 14 79 35 35 30 20 35 2E 37 2E 31 20 31 30 30 25 25 20 6E 6F 00'),
  );
});

test('replies without data are made once', () => {
  assert.equal(encodeReply({ kind: 'continue' }), encodeReply({ kind: 'continue' }));
});

test('bits beyond 31 go out unsigned', () => {
  assert.deepEqual(
    encodeReply({ kind: 'negotiate', version: 6, actions: 0x8000_0000, protocol: 0xffff_ffff, symbols: [] }),
    hex('00 00 00 0D 4F 00 00 00 06 80 00 00 00 FF FF FF FF'),
  );
});

test('symbol lists go out by stage number, an empty one as an empty string', () => {
  const symbols = (['endOfHeaders', 'endOfMessage', 'data', 'rcpt', 'mail', 'helo', 'connect'] as const).map(
    (stage) => ({ stage, names: [] }),
  );
  const built = encodeReply({ kind: 'negotiate', version: 6, actions: 0, protocol: 0, symbols });
  const lists = [0, 1, 2, 3, 4, 5, 6].flatMap((stage) => [u32(stage), '']);
  assert.deepEqual(built, packet('O', u32(6), u32(0), u32(0), ...lists));
  assert.throws(
    () =>
      encodeReply({
        kind: 'negotiate',
        version: 6,
        actions: 0,
        protocol: 0,
        symbols: [...symbols, symbols[0]!],
      }),
    { name: 'RangeError', message: 'negotiate: two symbol lists for endOfHeaders' },
  );
});

test('a body goes out in one run of packets of at most 65535 bytes', () => {
  for (const size of [1, 65534, 65535, 65536, 131070, 131071, 200_000]) {
    const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
    const packets = encodeModification({ kind: 'replaceBody', bytes });
    assert.equal(packets.length, Math.ceil(size / 65535));
    for (const built of packets) {
      assert.equal(built.readUInt32BE(0), built.length - 4);
      assert.equal(built[4], 'b'.charCodeAt(0));
      assert.ok(built.length > 5 && built.length <= 5 + 65535);
    }
    assert.ok(Buffer.concat(packets.map((built) => built.subarray(5))).equals(bytes));
  }
});

test('header values, folds and byte E9 are written as given', () => {
  const value = ' a\n\tb caf\xe9';
  assert.deepEqual(encodeModification({ kind: 'addHeader', name: 'X-\xe9', value }), [
    packet('h', 'X-\xe9', value),
  ]);
  assert.deepEqual(encodeModification({ kind: 'changeHeader', index: 0xffff_ffff, name: 'X', value }), [
    packet('m', u32(0xffff_ffff), 'X', value),
  ]);
  assert.deepEqual(encodeModification({ kind: 'quarantine', reason: '\xe9' }), [packet('q', '\xe9')]);
});

test('addresses and values that an MTA would give come out as it would read them', () => {
  const text = fc.string({
    unit: fc.integer({ min: 1, max: 0xff }).map((code) => String.fromCharCode(code)),
    maxLength: 60,
  });
  const bare = text.map((address) => address.replace(/[<>]/g, '_'));
  fc.assert(
    fc.property(bare, text, fc.nat(0xffff_ffff), (address, value, index) => {
      const params = value === '' ? [] : [value];
      assert.deepEqual(encodeModification({ kind: 'addRecipient', address, params: value }), [
        packet(value === '' ? '+' : '2', `<${address}>`, ...params),
      ]);
      assert.deepEqual(encodeModification({ kind: 'changeSender', address: `<${address}>`, params: value }), [
        packet('e', `<${address}>`, ...params),
      ]);
      assert.deepEqual(encodeModification({ kind: 'insertHeader', index, name: address, value }), [
        packet('i', u32(index), address, value),
      ]);
    }),
  );
});

test('what cannot be written faithfully is a RangeError', () => {
  const wrong: Modification[] = [
    { kind: 'addHeader', name: 'X', value: 'a\0b' },
    { kind: 'addHeader', name: 'X\0', value: 'a' },
    { kind: 'addHeader', name: 'X', value: '\u20ac' },
    { kind: 'addHeader', name: 'X', value: 'a'.repeat(65535) },
    { kind: 'insertHeader', index: -1, name: 'X', value: 'a' },
    { kind: 'changeHeader', index: 2 ** 32, name: 'X', value: 'a' },
    { kind: 'changeHeader', index: 1.5, name: 'X', value: 'a' },
    { kind: 'addRecipient', address: 'a\0b' },
    { kind: 'changeSender', address: '', params: 'a\0b' },
    { kind: 'quarantine', reason: '' },
  ];
  for (const modification of wrong) {
    assert.throws(() => encodeModification(modification), RangeError, JSON.stringify(modification));
  }
  assert.throws(() => encodeReply({ kind: 'replyCode', text: '550 5.0.0 a\0' }), RangeError);
  assert.throws(
    () => encodeReply({ kind: 'negotiate', version: 6, actions: -1, protocol: 0, symbols: [] }),
    RangeError,
  );
});
