import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type BodyBytes, PiecedBytes, piecesOf, wholeOf } from '../../src/milter/body-bytes.ts';
import { type Frame, FrameDecoder } from '../../src/milter/frame-decoder.ts';
import { ProtocolError } from '../../src/milter/protocol-error.ts';
import { everyCut, hex, mta, packet, u32 } from '../helpers/packet-builder.ts';

/** Frames of a stream, and whether it ended in an error; what a consumer sees that never stops in between. */
function framesOf(chunks: Iterable<Buffer>, maxPayloadBytes?: number) {
  const decoder = new FrameDecoder(maxPayloadBytes);
  const frames: [number, string][] = [];
  try {
    for (const chunk of chunks) {
      decoder.push(chunk);
      for (let frame = decoder.next(); frame; frame = decoder.next()) {
        frames.push([frame.command, wholeOf(frame.payload).toString('latin1')]);
      }
    }
  } catch (error) {
    assert.ok(error instanceof ProtocolError);
    return { frames, broken: true, midFrame: decoder.midFrame };
  }
  return { frames, broken: false, midFrame: decoder.midFrame };
}

function errorOf(bytes: Buffer): string {
  const decoder = new FrameDecoder();
  decoder.push(bytes);
  try {
    decoder.next();
  } catch (error) {
    assert.ok(error instanceof ProtocolError);
    return error.message;
  }
  return 'no error';
}

const STREAM = Buffer.concat([
  mta.optneg(6, 0x1ff, 0x1fffff),
  mta.helo('caf\xe9.example'),
  mta.data(),
  mta.body('\0\r\n\xff'),
  mta.abort(),
  mta.abort(),
  mta.quit(),
]);
const FRAMES = [
  [0x4f, '\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff'],
  [0x48, 'caf\xe9.example\0'],
  [0x54, ''],
  [0x42, '\0\r\n\xff'],
  [0x41, ''],
  [0x41, ''],
  [0x51, ''],
];

test('a stream gives the same frames however it is cut', () => {
  for (const chunks of everyCut(STREAM)) {
    assert.deepEqual(framesOf(chunks), { frames: FRAMES, broken: false, midFrame: false });
  }
});

test('a stream of random bytes gives the same frames and the same end however it is cut', () => {
  const packets = fc.array(
    fc.oneof(
      {
        weight: 5,
        arbitrary: fc.uint8Array({ maxLength: 20 }).map((bytes) => packet('B', Buffer.from(bytes))),
      },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)) },
      { weight: 1, arbitrary: fc.nat(40).map(u32) },
    ),
  );
  fc.assert(
    fc.property(packets, fc.array(fc.nat(200)), (parts, places) => {
      const stream = Buffer.concat(parts);
      const cuts = [...new Set([0, ...places.filter((at) => at < stream.length)])].sort((a, b) => a - b);
      const chunks = cuts.map((at, index) => stream.subarray(at, cuts[index + 1]));
      const whole = framesOf([stream], 30);
      const { frames, broken, midFrame } = framesOf(chunks, 30);
      assert.deepEqual([frames, broken], [whole.frames, whole.broken]);
      if (!broken) assert.equal(midFrame, whole.midFrame);
    }),
  );
});

test('the consumer may stop in the middle of a chunk and go on after more chunks have come', () => {
  const decoder = new FrameDecoder();
  const taken: number[] = [];
  const take = (frame: Frame | undefined) => taken.push(frame?.command ?? 0);
  decoder.push(STREAM.subarray(0, 40));
  take(decoder.next());
  decoder.push(STREAM.subarray(40, 41));
  decoder.push(Buffer.alloc(0));
  decoder.push(STREAM.subarray(41));
  assert.equal(decoder.bufferedBytes, STREAM.length - 17);
  for (let i = 1; i <= FRAMES.length; i++) take(decoder.next());
  assert.deepEqual(taken, [...FRAMES.map(([command]) => command), 0]);
  assert.equal(decoder.bufferedBytes, 0);
});

test('a frame within one chunk is a view of it', () => {
  const chunk = mta.body('abc'.repeat(1000));
  const decoder = new FrameDecoder();
  decoder.push(chunk);
  const frame = decoder.next();
  assert.equal(frame && wholeOf(frame.payload).buffer, chunk.buffer);
});

test('a small part of a body in a large chunk does not keep all of the chunk in memory', () => {
  // Too long for Node's pool of small buffers (slabs of 8 KiB in Node.js 20, of 64 KiB in 24).
  const other = mta.header('X', 'y'.repeat(60_000));
  const body = mta.body('abc');
  for (const cut of [0, 3, 5, 6, 8]) {
    const decoder = new FrameDecoder();
    const chunks = [
      [other, body.subarray(0, cut)],
      [body.subarray(cut), other],
    ].map((parts) => Buffer.concat(parts));
    for (const chunk of chunks) decoder.push(chunk);
    assert.equal(decoder.next()?.command, 0x4c);
    const payload = decoder.next()?.payload ?? Buffer.alloc(0);
    assert.equal(wholeOf(payload).toString(), 'abc');
    for (const { buffer } of piecesOf(payload)) {
      assert.ok(!chunks.some((chunk) => chunk.buffer === buffer), `cut at ${cut}`);
    }
  }
});

test('a body chunk that came in pieces is views of them until it is wanted whole', () => {
  const packet = mta.body('x'.repeat(3_000) + 'y'.repeat(5_000));
  const cuts = [packet.subarray(0, 4), packet.subarray(4, 3_005), packet.subarray(3_005)].map((cut) =>
    Buffer.from(cut),
  );
  const decoder = new FrameDecoder();
  for (const cut of cuts) decoder.push(cut);
  const payload = decoder.next()?.payload;
  assert.ok(payload instanceof PiecedBytes);
  assert.deepEqual(
    payload.pieces.map(({ buffer, length }) => [buffer, length]),
    [
      [cuts[1]?.buffer, 3_000],
      [cuts[2]?.buffer, 5_000],
    ],
  );
  assert.equal(payload.length, 8_000);
  assert.equal(payload.whole().toString(), 'x'.repeat(3_000) + 'y'.repeat(5_000));
  assert.equal(payload.whole(), payload.whole());
});

test('small pieces of a body are joined', () => {
  const decoder = new FrameDecoder();
  let payload: BodyBytes | undefined;
  for (const byte of mta.body('z'.repeat(60_000))) {
    decoder.push(Buffer.from([byte]));
    payload = decoder.next()?.payload;
  }
  assert.ok(payload instanceof PiecedBytes && payload.pieces.length < 40);
  assert.equal(payload.whole().toString(), 'z'.repeat(60_000));
});

test('a frame that came in pieces keeps its bytes when later ones arrive', () => {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  for (const byte of Buffer.concat([mta.body('first'), mta.body('other')])) {
    decoder.push(Buffer.from([byte]));
    const frame = decoder.next();
    if (frame) frames.push(frame);
  }
  assert.deepEqual(
    frames.map(({ payload }) => wholeOf(payload).toString()),
    ['first', 'other'],
  );
});

test('midFrame tells whether a frame has begun and not ended', () => {
  const decoder = new FrameDecoder();
  const seen: boolean[] = [decoder.midFrame];
  for (const byte of mta.helo('a')) {
    decoder.push(Buffer.from([byte]));
    decoder.next();
    seen.push(decoder.midFrame);
  }
  assert.deepEqual(seen, [false, true, true, true, true, true, true, false]);
});

test('lengths 1 and maximum + 1 are taken, 0 and maximum + 2 are not', () => {
  const frame = (length: number) => Buffer.concat([u32(length), Buffer.alloc(length, 0x42)]);
  assert.deepEqual(framesOf([frame(1)]).frames, [[0x42, '']]);
  assert.deepEqual(framesOf([frame(65536)]).frames, [[0x42, 'B'.repeat(65535)]]);
  assert.equal(errorOf(hex('00 00 00 00 41')), 'frame: length 0: "\\x00\\x00\\x00\\x00A"');
  assert.equal(errorOf(hex('00 01 00 01')), 'frame: length 65537: "\\x00\\x01\\x00\\x01"');
  assert.deepEqual(framesOf([frame(4)], 3).frames.length, 1);
  assert.equal(framesOf([frame(5)], 3).broken, true);
  assert.match(errorOf(hex('ff ff ff ff')), /^frame: length 4294967295: /);
});

test('a wrong length is refused as soon as it is there, and again at every call', () => {
  for (const cut of [1, 2, 3, 4]) {
    const decoder = new FrameDecoder();
    const head = hex('80 00 00 00');
    decoder.push(head.subarray(0, cut));
    if (cut < 4) {
      assert.equal(decoder.next(), undefined);
      decoder.push(head.subarray(cut));
    }
    assert.throws(() => decoder.next(), ProtocolError);
    assert.throws(() => decoder.next(), ProtocolError);
  }
});

test('frames before a wrong length are delivered', () => {
  const { frames, broken } = framesOf([Buffer.concat([mta.quit(), hex('00 00 00 00')])]);
  assert.deepEqual([frames, broken], [[[0x51, '']], true]);
});

test('who speaks another protocol is named', () => {
  const cases: [Buffer, string][] = [
    [hex('16 03 01 02 00 01 00 01 fc 03 03'), 'TLS'],
    [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'HTTP'],
    [Buffer.from('POST /x HTTP/1.1\r\n'), 'HTTP'],
    [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'HTTP'],
    [Buffer.from('EHLO client.example\r\n'), 'SMTP'],
    [Buffer.from('helo client.example\r\n'), 'SMTP'],
    [Buffer.from('220 mail.example ESMTP\r\n'), 'SMTP'],
    [Buffer.from('PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n'), 'the PROXY protocol'],
    [hex('0d 0a 0d 0a 00 0d 0a 51 55 49 54 0a'), 'the PROXY protocol'],
    [Buffer.from('SSH-2.0-x\r\n'), 'SSH'],
  ];
  for (const [bytes, protocol] of cases) {
    assert.ok(errorOf(bytes).includes(`, somebody speaks ${protocol} to the milter port: "`), errorOf(bytes));
    assert.ok(errorOf(bytes.subarray(0, 4)).includes(protocol));
  }
  assert.ok(errorOf(Buffer.from('GET /\r\n')).endsWith(': "GET /\\x0d\\x0a"'));
  assert.ok(!errorOf(hex('7f ff ff ff')).includes('somebody'));
});

test('memory follows the bytes received, not the length announced', () => {
  const before = process.memoryUsage().arrayBuffers;
  const decoders = Array.from({ length: 100 }, () => {
    const decoder = new FrameDecoder(1 << 30);
    decoder.push(hex('3f ff ff ff 42'));
    assert.equal(decoder.next(), undefined);
    return decoder;
  });
  assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 20);
  assert.ok(decoders.every(({ midFrame }) => midFrame));
});

test('a large frame that comes byte by byte is not copied over and over', () => {
  const bytes = 1 << 20;
  const decoder = new FrameDecoder(bytes);
  const one = Buffer.from('B');
  decoder.push(u32(bytes + 1));
  const start = performance.now();
  let frame: Frame | undefined;
  for (let i = 0; i <= bytes; i++) {
    decoder.push(one);
    frame = decoder.next();
  }
  assert.equal(frame?.payload.length, bytes);
  // Joining anew for every byte would copy 550 GB.
  assert.ok(performance.now() - start < 10_000);
});

test('a queued command is found however the chunks are cut', () => {
  const stream = Buffer.concat([mta.header('A', ' b'), mta.body('xEx'), mta.eom(), mta.abort()]);
  for (let cut = 0; cut <= stream.length; cut++) {
    const decoder = new FrameDecoder();
    decoder.push(stream.subarray(0, cut));
    decoder.push(stream.subarray(cut));
    assert.equal(decoder.hasQueued(0x45), true);
    assert.equal(decoder.hasQueued(0x51), false);
    decoder.next();
    decoder.next();
    assert.equal(decoder.hasQueued(0x45), true);
    assert.equal(decoder.next()?.command, 0x45);
    assert.equal(decoder.hasQueued(0x45), false);
    assert.equal(decoder.next()?.command, 0x41);
  }
});

test('no command is found behind a wrong length, which is left for its turn', () => {
  for (const length of ['00 00 00 00', 'ff ff ff ff']) {
    const decoder = new FrameDecoder();
    decoder.push(Buffer.concat([mta.abort(), hex(length), hex('45'), mta.eom()]));
    assert.equal(decoder.hasQueued(0x45), false);
    assert.equal(decoder.hasQueued(0x41), true);
    assert.equal(decoder.next()?.command, 0x41);
    assert.equal(decoder.hasQueued(0x45), false);
    assert.throws(() => decoder.next(), ProtocolError);
    assert.equal(decoder.hasQueued(0x45), false);
  }
});
