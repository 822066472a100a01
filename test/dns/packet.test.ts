/** Answers of name servers as bytes: none makes the reader throw or loop, and none of another question counts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { questionPacket, readResponse } from '../../src/dns/packet.ts';
import type { RecordType } from '../../src/dns/records.ts';

const QUESTION = questionPacket(0x1234, 'A', 'a=b.example');

/** @param records each with a pointer to the name of the question */
function response(flags: number, records: readonly [type: number, data: Buffer][]): Buffer {
  const header = Buffer.from(QUESTION.subarray(0, 12));
  header.writeUInt16BE(flags, 2);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([
    header,
    QUESTION.subarray(12),
    ...records.map(([type, data]) =>
      Buffer.concat([Buffer.of(0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length), data]),
    ),
  ]);
}

const GOOD = response(0x8180, [[1, Buffer.of(192, 0, 2, 1)]]);

test('the question is as RFC 1035 has it', () => {
  assert.equal(
    QUESTION.toString('hex'),
    '1234' +
      '0100' +
      '0001' +
      '0000' +
      '0000' +
      '0000' +
      '03613d62' +
      '076578616d706c65' +
      '00' +
      '0001' +
      '0001',
  );
});

test('records of the type are read, others are passed over', () => {
  assert.deepEqual(readResponse(GOOD, QUESTION, 'A'), {
    isTruncated: false,
    code: 0,
    records: [{ ttl: 60, value: '192.0.2.1' }],
  });
  assert.deepEqual(readResponse(response(0x8180, [[28, Buffer.alloc(16)]]), QUESTION, 'A')?.records, []);
});

test('what answers another question, or is damaged, is no answer', () => {
  const other = questionPacket(0x1234, 'A', 'a=c.example');
  for (const packet of [
    Buffer.concat([Buffer.of(0x12, 0x35), GOOD.subarray(2)]),
    Buffer.concat([GOOD.subarray(0, 12), other.subarray(12), GOOD.subarray(QUESTION.length)]),
    response(0x0100, []),
    GOOD.subarray(0, -1),
    GOOD.subarray(0, QUESTION.length),
    response(0x8180, [[1, Buffer.of(192, 0, 2)]]),
    // A pointer to itself.
    Buffer.concat([response(0x8180, []).fill(1, 7, 8), Buffer.of(0xc0, QUESTION.length), Buffer.alloc(10)]),
  ]) {
    assert.equal(readResponse(packet, QUESTION, 'A'), undefined, packet.toString('hex'));
  }
});

test('any bytes after the question are read without throwing', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.constantFrom<RecordType>('A', 'AAAA', 'MX', 'TXT', 'PTR', 'NS'),
      fc.nat(5),
      (bytes, type, count) => {
        const question = questionPacket(1, type, 'a=b');
        const packet = Buffer.concat([question, bytes]);
        packet.writeUInt16BE(0x8180, 2);
        packet.writeUInt16BE(count, 6);
        readResponse(packet, question, type);
      },
    ),
  );
});
