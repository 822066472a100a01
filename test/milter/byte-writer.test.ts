import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../src/milter/byte-writer.ts';
import { hex, packet, u32 } from '../helpers/packet-builder.ts';

test('writes length, command, strings with their NUL, bytes and numbers', () => {
  const written = new ByteWriter('x', 0x6d).fixed('>I', [1]).cString('S\xe9').bytes(hex('00 ff')).packet();
  assert.deepEqual(written, hex('00 00 00 0a 6d 00 00 00 01 53 e9 00 00 ff'));
  assert.deepEqual(new ByteWriter('x', 0x63).packet(), hex('00 00 00 01 63'));
});

test('the shim of bufferpack writes every 32-bit number as the engine does', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.nat(0xffff_ffff), (a, b) => {
      assert.deepEqual(new ByteWriter('x', 0x4f).fixed('>II', [a, b]).packet(), packet('O', u32(a), u32(b)));
    }),
  );
});

test('numbers that do not fit are refused, not clamped', () => {
  for (const value of [-1, 0x1_0000_0000, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => new ByteWriter('x', 0x4f).fixed('>I', [value]), RangeError);
  }
  assert.throws(() => new ByteWriter('x', 0x4f).fixed('>B', [256]), RangeError);
  assert.throws(() => new ByteWriter('x', 0x4f).fixed('>I', [1, 2]), RangeError);
  assert.throws(() => new ByteWriter('x', 0x4f).fixed('>II', [1]), RangeError);
});

test('a NUL inside a string, or a character that is no byte, is refused', () => {
  // U+0100 written as latin1 would become a NUL.
  for (const text of ['a\0b', '\0', 'caf\u0100', '\u20ac']) {
    assert.throws(() => new ByteWriter('x', 0x68).cString(text), RangeError);
  }
});

test('the largest payload is 65535 bytes', () => {
  assert.equal(new ByteWriter('x', 0x62).bytes(Buffer.alloc(65535)).packet().readUInt32BE(0), 65536);
  assert.throws(() => new ByteWriter('x', 0x62).bytes(Buffer.alloc(65536)).packet(), RangeError);
  assert.throws(() => new ByteWriter('x', 0x71).cString('a'.repeat(65535)).packet(), RangeError);
});
