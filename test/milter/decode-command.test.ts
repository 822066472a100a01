import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { wholeOf } from '../../src/milter/body-bytes.ts';
import type { Command } from '../../src/milter/command.ts';
import { decodeCommand } from '../../src/milter/decode-command.ts';
import { ProtocolError } from '../../src/milter/protocol-error.ts';
import { everyCut, hex, mta, packet } from '../helpers/packet-builder.ts';
import { commandsOf } from './commands-of.ts';

function errorOf(bytes: Buffer): string {
  try {
    commandsOf([bytes]);
  } catch (error) {
    assert.ok(error instanceof ProtocolError, String(error));
    return error.message;
  }
  return 'no error';
}

/** Packets written down by hand, from the descriptions of the protocol: none is of our making. */
const VECTORS: readonly (readonly [dump: string, command: Command])[] = [
  [
    '00 00 00 0D 4F 00 00 00 06 00 00 01 FF 00 1F FF FF',
    { kind: 'negotiate', version: 6, actions: 0x1ff, protocol: 0x1fffff },
  ],
  [
    '00 00 00 0D 4F 00 00 00 02 80 00 00 01 FF FF FF FF',
    { kind: 'negotiate', version: 2, actions: 0x8000_0001, protocol: 0xffff_ffff },
  ],
  [
    // Symbol lists behind the fixed part are a filter's; from an MTA they are ignored.
    '00 00 00 13 4F 00 00 00 06 00 00 01 FF 00 00 04 00 00 00 00 05 69 00',
    { kind: 'negotiate', version: 6, actions: 0x1ff, protocol: 0x400 },
  ],
  [
    '00 00 00 20 44 43 6A 00 6D 78 2E 65 78 61 6D 70 6C 65 00 7B 64 61 65 6D 6F 6E 5F 6E 61 6D 65 7D 00 6D 78 00',
    { kind: 'macro', stage: 0x43, text: 'j\0mx.example\0{daemon_name}\0mx' },
  ],
  ['00 00 00 02 44 48', { kind: 'macro', stage: 0x48, text: '' }],
  ['00 00 00 05 44 4D 69 00 00', { kind: 'macro', stage: 0x4d, text: 'i\0' }],
  ['00 00 00 04 44 4D 69 00', { kind: 'macro', stage: 0x4d, text: '', malformed: true }],
  ['00 00 00 03 44 4D 00', { kind: 'macro', stage: 0x4d, text: '', malformed: true }],
  [
    '00 00 00 1A 43 5B 31 39 32 2E 30 2E 32 2E 37 5D 00 34 CB 84 31 39 32 2E 30 2E 32 2E 37 00',
    {
      kind: 'connect',
      hostname: '[192.0.2.7]',
      client: { family: 'inet4', address: '192.0.2.7', port: 52100 },
    },
  ],
  [
    '00 00 00 1F 43 68 2E 65 78 61 6D 70 6C 65 00 36 00 19 49 50 76 36 3A 32 30 30 31 3A 64 62 38 3A 3A 31 00',
    { kind: 'connect', hostname: 'h.example', client: { family: 'inet6', address: '2001:db8::1', port: 25 } },
  ],
  [
    '00 00 00 0C 43 6C 6F 63 61 6C 68 6F 73 74 00 55',
    { kind: 'connect', hostname: 'localhost', client: { family: 'unknown' } },
  ],
  [
    '00 00 00 15 43 6C 6F 63 61 6C 68 6F 73 74 00 4C 00 00 2F 74 6D 70 2F 73 00',
    { kind: 'connect', hostname: 'localhost', client: { family: 'unix', path: '/tmp/s' } },
  ],
  ['00 00 00 0B 48 61 2E 65 78 61 6D 70 6C 65 00', { kind: 'helo', name: 'a.example' }],
  [
    '00 00 00 25 4D 3C 61 40 62 2E 65 78 61 6D 70 6C 65 3E 00 53 49 5A 45 3D 34 32 00 42 4F 44 59 3D 38 42 49 54 4D 49 4D 45 00',
    { kind: 'mail', address: '<a@b.example>', params: ['SIZE=42', 'BODY=8BITMIME'] },
  ],
  ['00 00 00 04 4D 3C 3E 00', { kind: 'mail', address: '<>', params: [] }],
  ['00 00 00 02 4D 00', { kind: 'mail', address: '', params: [] }],
  [
    '00 00 00 1C 52 3C 63 40 64 2E 65 78 61 6D 70 6C 65 3E 00 4E 4F 54 49 46 59 3D 4E 45 56 45 52 00',
    { kind: 'rcpt', address: '<c@d.example>', params: ['NOTIFY=NEVER'] },
  ],
  ['00 00 00 01 54', { kind: 'data' }],
  ['00 00 00 0C 4C 53 75 62 6A 65 63 74 00 68 69 00', { kind: 'header', name: 'Subject', value: 'hi' }],
  [
    '00 00 00 14 4C 53 75 62 6A 65 63 74 00 20 68 69 0A 09 74 68 65 72 65 00',
    { kind: 'header', name: 'Subject', value: ' hi\n\tthere' },
  ],
  ['00 00 00 04 4C 58 00 00', { kind: 'header', name: 'X', value: '' }],
  ['00 00 00 01 4E', { kind: 'endOfHeaders' }],
  ['00 00 00 05 42 68 69 0D 0A', { kind: 'body', bytes: Buffer.from('hi\r\n') }],
  ['00 00 00 01 45', { kind: 'endOfMessage', bytes: Buffer.alloc(0) }],
  ['00 00 00 03 45 00 E9', { kind: 'endOfMessage', bytes: Buffer.from([0, 0xe9]) }],
  ['00 00 00 09 55 46 4F 4F 20 62 61 72 00', { kind: 'unknown', line: 'FOO bar' }],
  ['00 00 00 01 41', { kind: 'abort' }],
  ['00 00 00 01 51', { kind: 'quit' }],
  ['00 00 00 01 4B', { kind: 'quitNewConnection' }],
];

test('every command as written down by hand, whole and cut at every byte', () => {
  for (const [dump, command] of VECTORS) {
    for (const chunks of everyCut(hex(dump))) assert.deepEqual(commandsOf(chunks), [command], dump);
  }
});

test('all commands in one buffer', () => {
  const stream = Buffer.concat(VECTORS.map(([dump]) => hex(dump)));
  assert.deepEqual(
    commandsOf([stream]),
    VECTORS.map(([, command]) => command),
  );
});

test('byte E9 comes through every text', () => {
  const e9 = 'caf\xe9\xff\x80';
  const stream = Buffer.concat([
    mta.macro('C', e9, e9),
    mta.connect(e9, 'L', 0, e9),
    mta.connectUnknown(e9),
    mta.helo(e9),
    mta.mail(e9, e9),
    mta.rcpt(e9, e9),
    mta.header(e9, e9),
    mta.body(e9),
    mta.eom(e9),
    mta.unknown(e9),
  ]);
  assert.deepEqual(commandsOf([stream]), [
    { kind: 'macro', stage: 0x43, text: `${e9}\0${e9}` },
    { kind: 'connect', hostname: e9, client: { family: 'unix', path: e9 } },
    { kind: 'connect', hostname: e9, client: { family: 'unknown' } },
    { kind: 'helo', name: e9 },
    { kind: 'mail', address: e9, params: [e9] },
    { kind: 'rcpt', address: e9, params: [e9] },
    { kind: 'header', name: e9, value: e9 },
    { kind: 'body', bytes: Buffer.from(e9, 'latin1') },
    { kind: 'endOfMessage', bytes: Buffer.from(e9, 'latin1') },
    { kind: 'unknown', line: e9 },
  ]);
});

test('parameters that share a string are split at blanks, empty ones dropped', () => {
  const [command] = commandsOf([mta.rcpt('<a b@c>', 'NOTIFY=NEVER  ORCPT=rfc822;a ', '', ' ', 'X')]);
  assert.deepEqual(command, {
    kind: 'rcpt',
    address: '<a b@c>',
    params: ['NOTIFY=NEVER', 'ORCPT=rfc822;a', 'X'],
  });
});

test('a payload that is empty or lacks a NUL is refused', () => {
  const texts = {
    D: 'Cj\0v\0',
    C: 'h\x004\0\x191.2.3.4\0',
    H: 'a\0',
    M: '<a>\0X\0',
    R: '<a>\0',
    L: 'X\0v\0',
    U: 'x\0',
  };
  for (const [letter, text] of Object.entries(texts)) {
    const payload = Buffer.from(text, 'latin1');
    assert.equal(errorOf(packet(letter, payload)), 'no error', letter);
    assert.match(errorOf(packet(letter)), /^(macro|connect|helo|mail|rcpt|header|unknown): /);
    for (let bytes = 1; bytes < payload.length; bytes++) {
      if (payload[bytes - 1] === 0 && letter !== 'L') continue; // Whole strings: a shorter packet of the kind.
      if (letter === 'D' && bytes === 1) continue;
      assert.notEqual(errorOf(packet(letter, payload.subarray(0, bytes))), 'no error', `${letter} ${bytes}`);
    }
    assert.match(errorOf(packet(letter, payload, Buffer.from('zz'))), /: 2 bytes after last NUL$/);
  }
});

test('a string too many is refused where the number is fixed', () => {
  assert.equal(errorOf(packet('H', 'a', 'b')), 'helo: 2 bytes after string');
  assert.equal(errorOf(packet('U', 'a', '')), 'unknown: 1 bytes after string');
  assert.equal(errorOf(packet('L', 'a', 'b', 'cd')), 'header: 3 bytes after value');
  assert.equal(errorOf(packet('L', 'a')), 'header: no value');
});

test('negotiation shorter than 12 bytes is refused', () => {
  for (let bytes = 0; bytes < 12; bytes++) {
    assert.equal(errorOf(packet('O', Buffer.alloc(bytes, 6))), `negotiate: ${bytes} bytes are too few`);
  }
});

test('commands without data tolerate some', () => {
  const junk = Buffer.from('junk');
  assert.deepEqual(
    commandsOf(['T', 'N', 'A', 'Q', 'K'].map((letter) => packet(letter, junk))).map(({ kind }) => kind),
    ['data', 'endOfHeaders', 'abort', 'quit', 'quitNewConnection'],
  );
});

test('every other command byte is refused', () => {
  for (let byte = 0; byte < 256; byte++) {
    if ('ABCDEHKLMNOQRTU'.includes(String.fromCharCode(byte))) continue;
    const digits = byte.toString(16).padStart(2, '0');
    assert.equal(errorOf(packet(String.fromCharCode(byte), 'a')), `command: unknown byte 0x${digits}`);
  }
});

test('body bytes are a view of the chunk', () => {
  const chunk = mta.body('abc');
  const [command] = commandsOf([chunk]);
  assert.equal(command?.kind === 'body' && wholeOf(command.bytes).buffer, chunk.buffer);
});

const wireText = fc.string({
  unit: fc.integer({ min: 1, max: 0xff }).map((code) => String.fromCharCode(code)),
  maxLength: 40,
});
const param = wireText.map((text) => text.replaceAll(' ', '_')).filter((text) => text !== '');
const bytes = fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from(array));
const u32s = fc.nat(0xffff_ffff);

/** A command and the packet an MTA would send for it. */
const commandAndPacket: fc.Arbitrary<readonly [Command, Buffer]> = fc.oneof(
  fc
    .tuple(u32s, u32s, u32s)
    .map(
      ([version, actions, protocol]) =>
        [{ kind: 'negotiate', version, actions, protocol }, mta.optneg(version, actions, protocol)] as const,
    ),
  fc
    .tuple(
      fc.constantFrom('C', 'H', 'M', 'R', 'T', 'L', 'N', 'B', 'E', 'U'),
      fc.array(fc.tuple(wireText, wireText)),
    )
    .map(
      ([letter, pairs]) =>
        [
          { kind: 'macro', stage: letter.charCodeAt(0), text: pairs.flat().join('\0') },
          mta.macro(letter, ...pairs.flat()),
        ] as const,
    ),
  fc
    .tuple(wireText, fc.ipV4(), fc.nat(65535))
    .map(
      ([hostname, address, port]) =>
        [
          { kind: 'connect', hostname, client: { family: 'inet4', address, port } },
          mta.connect(hostname, '4', port, address),
        ] as const,
    ),
  fc
    .tuple(wireText, wireText)
    .map(
      ([hostname, path]) =>
        [
          { kind: 'connect', hostname, client: { family: 'unix', path } },
          mta.connect(hostname, 'L', 0, path),
        ] as const,
    ),
  wireText.map((name) => [{ kind: 'helo', name }, mta.helo(name)] as const),
  fc
    .tuple(wireText, fc.array(param))
    .map(([address, params]) => [{ kind: 'mail', address, params }, mta.mail(address, ...params)] as const),
  fc
    .tuple(wireText, fc.array(param))
    .map(([address, params]) => [{ kind: 'rcpt', address, params }, mta.rcpt(address, ...params)] as const),
  fc.constant([{ kind: 'data' }, mta.data()] as const),
  fc
    .tuple(wireText, wireText)
    .map(([name, value]) => [{ kind: 'header', name, value }, mta.header(name, value)] as const),
  fc.constant([{ kind: 'endOfHeaders' }, mta.eoh()] as const),
  bytes.map((chunk) => [{ kind: 'body', bytes: chunk }, mta.body(chunk)] as const),
  bytes.map((chunk) => [{ kind: 'endOfMessage', bytes: chunk }, mta.eom(chunk)] as const),
  wireText.map((line) => [{ kind: 'unknown', line }, mta.unknown(line)] as const),
  fc.constant([{ kind: 'abort' }, mta.abort()] as const),
  fc.constant([{ kind: 'quit' }, mta.quit()] as const),
  fc.constant([{ kind: 'quitNewConnection' }, mta.quitNc()] as const),
);

test('what an MTA builds is what we read, in any number and cut anywhere', () => {
  fc.assert(
    fc.property(fc.array(commandAndPacket, { maxLength: 12 }), fc.nat(2000), (list, place) => {
      const stream = Buffer.concat(list.map(([, built]) => built));
      const at = Math.min(place, stream.length);
      const expected = list.map(([command]) => command);
      assert.deepEqual(commandsOf([stream.subarray(0, at), stream.subarray(at)]), expected);
    }),
  );
});

test('any payload of any command gives a command or a ProtocolError', () => {
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    // Mostly NULs and family bytes, to get past the first checks.
    fc.array(fc.constantFrom(0, 0x34, 0x36, 0x4c, 0x55, 0x20, 0x3a, 0x31, 0xe9), { maxLength: 40 }),
  );
  fc.assert(
    fc.property(fc.nat(255), payload, (command, content) => {
      try {
        assert.equal(typeof decodeCommand({ command, payload: Buffer.from(content) }).kind, 'string');
      } catch (error) {
        assert.ok(error instanceof ProtocolError);
      }
    }),
    { numRuns: 5000 },
  );
});
