import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteReader, readStrings } from '../../src/milter/byte-reader.ts';
import { ProtocolError } from '../../src/milter/protocol-error.ts';
import { hex } from '../helpers/packet-builder.ts';

const protocolError = (message: string) => ({ name: 'ProtocolError', message });

test('reads strings, integers and fixed layouts in turn, and knows its end', () => {
  const reader = new ByteReader('x', hex('61 e9 00 7f ff fe 80 00 00 00 ff ff ff ff'));
  assert.equal(reader.cString(), 'a\xe9');
  assert.equal(reader.u8(), 0x7f);
  assert.equal(reader.u16be(), 0xfffe);
  assert.deepEqual(reader.fixed('>II'), [0x8000_0000, 0xffff_ffff]);
  assert.equal(reader.remaining, 0);
  reader.end();
});

test('the shim of bufferpack agrees with the engine on every 32-bit number', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff), fc.nat(0xff), (i, h, b) => {
      const bytes = Buffer.alloc(7);
      bytes.writeUInt32BE(i, 0);
      bytes.writeUInt16BE(h, 4);
      bytes.writeUInt8(b, 6);
      assert.deepEqual(new ByteReader('x', bytes).fixed('>IHB'), [i, h, b]);
    }),
  );
});

test('reads at a view`s own place, not at its buffer`s', () => {
  const reader = new ByteReader('x', hex('00 00 01 02 03 04 05 06').subarray(3, 7));
  assert.equal(reader.u8(), 2);
  assert.throws(() => reader.fixed('>I'), ProtocolError);
  assert.equal(reader.u16be(), 0x0304);
  assert.throws(() => reader.u16be(), protocolError('x: 4 bytes are too few'));
});

test('whatever is cut short is a ProtocolError that names the command', () => {
  const none = new ByteReader('mail', Buffer.alloc(0));
  assert.throws(() => none.u8(), protocolError('mail: 0 bytes are too few'));
  assert.throws(() => none.u16be(), ProtocolError);
  assert.throws(() => none.fixed('>III'), ProtocolError);
  assert.throws(() => none.cString(), protocolError('mail: no NUL after string'));
  assert.throws(() => new ByteReader('mail', hex('61 62')).cString(), ProtocolError);
  assert.throws(
    () => new ByteReader('mail', hex('61 62')).end(),
    protocolError('mail: 2 bytes after last NUL'),
  );
});

test('readStrings takes off the last NUL and insists on it', () => {
  assert.equal(readStrings('x', hex('43 61 00 62 00'), 1), 'a\0b');
  assert.equal(readStrings('x', hex('00'), 0), '');
  assert.throws(() => readStrings('x', hex('43'), 1), protocolError('x: payload of 1 bytes'));
  assert.throws(() => readStrings('x', Buffer.alloc(0), 0), protocolError('x: payload of 0 bytes'));
  assert.throws(() => readStrings('x', hex('61 62'), 0), protocolError('x: no NUL after string'));
  assert.throws(() => readStrings('x', hex('61 00 62 63'), 0), protocolError('x: 2 bytes after last NUL'));
  assert.throws(() => readStrings('x', hex('00 62 63'), 1), protocolError('x: no NUL after string'));
});
