import assert from 'node:assert/strict';
import { isIPv6, SocketAddress } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeConnect, verifiedNameOf } from '../../src/milter/connect.ts';
import { ProtocolError } from '../../src/milter/protocol-error.ts';
import { mta, packet } from '../helpers/packet-builder.ts';

const payload = (built: Buffer) => built.subarray(5);

function inet6(text: string): string {
  const { client } = decodeConnect(payload(mta.connect('h', '6', 25, text)));
  assert.ok(client.family === 'inet6');
  return client.address;
}

test('IPv6 addresses come out in the one short form', () => {
  const forms: [string, string][] = [
    ['2001:db8:0:0:0:0:0:1', '2001:db8::1'],
    ['IPv6:2001:db8:0:0:0:0:0:1', '2001:db8::1'],
    ['ipv6:2001:DB8::1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[IPv6:2001:db8::1]', '2001:db8::1'],
    ['IPv6:[2001:db8::1]', '2001:db8::1'],
    ['IPv6:0:0:0:0:0:0:0:1', '::1'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['2001:0db8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['::ffff:192.0.2.7', '::ffff:192.0.2.7'],
    ['::FFFF:c000:207', '::ffff:192.0.2.7'],
    ['64:ff9b::192.0.2.7', '64:ff9b::c000:207'],
    ['fe80::1%eth0', 'fe80::1%eth0'],
    ['FE80:0:0:0:0:0:0:1%eth0', 'fe80::1%eth0'],
  ];
  for (const [written, short] of forms) assert.equal(inet6(written), short, written);
});

test('the short form is short, lower case, and the same address', () => {
  const bytesOf = (address: string) => new SocketAddress({ address, family: 'ipv6' }).address;
  fc.assert(
    fc.property(fc.ipV6(), (written) => {
      const short = inet6(written);
      assert.ok(isIPv6(short), short);
      assert.equal(bytesOf(short), bytesOf(written));
      assert.equal(inet6(short), short);
      assert.equal(inet6(`IPv6:${written.toUpperCase()}`), short);
      assert.match(short, /^[0-9a-f:.]+$/);
      assert.doesNotMatch(short, /(^|:)0[0-9a-f]/);
      // Of several runs of zeros only the longest is left out (RFC 5952, 4.2.3).
      if (!short.includes('::')) assert.doesNotMatch(short, /(^|:)0:0(:|$)/);
    }),
  );
});

test('IPv4 addresses are plain, in brackets or not', () => {
  for (const text of ['192.0.2.7', '[192.0.2.7]']) {
    assert.deepEqual(decodeConnect(payload(mta.connect('h', '4', 0, text))).client, {
      family: 'inet4',
      address: '192.0.2.7',
      port: 0,
    });
  }
});

test('the port is unsigned', () => {
  const { client } = decodeConnect(payload(mta.connect('h', '4', 65535, '192.0.2.7')));
  assert.equal(client.family === 'inet4' && client.port, 65535);
});

test('an address that is none leaves the client unknown', () => {
  const unknown = { kind: 'connect', hostname: 'h', client: { family: 'unknown' } };
  for (const family of ['4', '6'] as const) {
    for (const text of [
      ...['unknown', '', '192.0.2', '192.0.2.256', 'h.example', '192.0.2.7 ', '192.0.2.7%eth0'],
      ...['2001:db8', ':::', '1:2:3:4:5:6:7:8:9', 'IPv6:', '[]', '::g', '::1\xe9', '::1 '],
    ]) {
      assert.deepEqual(decodeConnect(payload(mta.connect('h', family, 25, text))), unknown, text);
    }
  }
});

test('an address is what it is, whatever the family says', () => {
  assert.deepEqual(decodeConnect(payload(mta.connect('h', '6', 7, '192.0.2.7'))).client, {
    family: 'inet4',
    address: '192.0.2.7',
    port: 7,
  });
  assert.deepEqual(decodeConnect(payload(mta.connect('h', '4', 7, 'IPv6:2001:DB8:0::1'))).client, {
    family: 'inet6',
    address: '2001:db8::1',
    port: 7,
  });
});

test('a name in brackets is none, nor is the name of a client that Postfix does not know', () => {
  for (const name of ['[192.0.2.7]', '[IPv6:::1]', 'unknown', '']) assert.equal(verifiedNameOf(name), '');
  for (const name of ['mx.example.net', 'unknown.example', 'Unknown-host']) {
    assert.equal(verifiedNameOf(name), name);
  }
});

test('another family is refused by its number', () => {
  const built = packet('C', 'h', Buffer.from('5\0\0'), 'x');
  assert.throws(() => decodeConnect(payload(built)), { message: 'connect: address family 0x35' });
});

test('what is cut short or too long is refused', () => {
  const whole = payload(mta.connect('host', '4', 25, '192.0.2.7'));
  for (let bytes = 0; bytes < whole.length; bytes++) {
    assert.throws(() => decodeConnect(whole.subarray(0, bytes)), ProtocolError, String(bytes));
  }
  assert.throws(() => decodeConnect(Buffer.concat([whole, Buffer.from('zz')])), {
    message: 'connect: 2 bytes after last NUL',
  });
});

test('an unknown client may come with or without port and address', () => {
  const unknown = { kind: 'connect', hostname: 'h', client: { family: 'unknown' } };
  assert.deepEqual(decodeConnect(payload(mta.connectUnknown('h'))), unknown);
  assert.deepEqual(decodeConnect(payload(packet('C', 'h', Buffer.from('U\0\0'), ''))), unknown);
});
