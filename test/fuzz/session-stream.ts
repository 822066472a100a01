/** What an MTA might say, and what becomes of it when packets are lost, doubled, reordered, cut, or bytes are wrong. */
import { mta, packet } from '../helpers/packet-builder.ts';
import type { Random } from './random.ts';

const TEXTS = [
  '',
  'a',
  'a.example',
  '<>',
  '<a@b.example>',
  '<\xe9@\xff>',
  '%',
  '%s%n',
  'a\r\nb',
  '550 no',
  '__proto__',
  'x'.repeat(300),
];
const MACRO_STAGES = 'CHMRTNELBUZ';

/** Packets of a session that an MTA could send. */
export function validSession(random: Random): Buffer[] {
  const text = () => random.pick(TEXTS);
  const some = (most: number, make: () => Buffer | Buffer[]) =>
    Array.from({ length: random.below(most + 1) }, make).flat();
  const macro = (stage: string) =>
    random.chance(2)
      ? [mta.macro(stage, ...some(2, () => [Buffer.from('i'), Buffer.from(text())]).map(String))]
      : [];
  const connect = () =>
    random.pick([
      mta.connect(text(), '4', random.below(65536), '192.0.2.7'),
      mta.connect(text(), '6', 25, 'IPv6:2001:db8:0:0:0:0:0:1'),
      mta.connect('localhost', 'L', 0, '/run/socket'),
      mta.connectUnknown('localhost'),
    ]);
  const content = () => [
    ...some(5, () => [...macro('L'), mta.header(random.pick(['Subject', 'X', '']), text())]),
    ...(random.chance(8) ? [] : [...macro('N'), mta.eoh()]),
    ...some(3, () => [...macro('B'), mta.body(random.bytes(random.below(200)))]),
    ...macro('E'),
    mta.eom(random.chance(10) ? random.bytes(random.below(50)) : ''),
  ];
  const message = () => [
    ...macro('M'),
    mta.mail(
      text(),
      ...some(2, () => Buffer.from(random.pick(['SIZE=1', 'BODY=8BITMIME', '', 'A B']))).map(String),
    ),
    ...some(3, () => [...macro('R'), mta.rcpt(text())]),
    ...(random.chance(6) ? [] : [...macro('T'), mta.data(), ...(random.chance(6) ? [] : content())]),
    ...some(2, () => mta.abort()),
  ];
  const session = () => [
    ...macro('C'),
    connect(),
    ...some(2, () => [...macro('H'), mta.helo(text())]),
    ...some(3, () => random.pick([message, message, () => [mta.unknown(text())], () => [mta.abort()]])()),
  ];
  const offer = random.pick([
    mta.optneg(6, 0x1ff, 0x1fffff),
    mta.optneg(6, 0x1ff, 0x1fffff),
    mta.optneg(6, 0x1ff, 0x800),
    mta.optneg(4, 0x1ff, 0x37f),
    mta.optneg(2, 0x1ff, 0x7f),
    mta.optneg(random.below(9), random.below(0x200), random.below(0x200000)),
  ]);
  return [
    offer,
    ...session(),
    ...some(1, () => [mta.quitNc(), ...session()]),
    ...(random.chance(3) ? [] : [mta.quit()]),
  ];
}

/** The same with up to four things gone wrong. */
export function brokenSession(random: Random): Buffer {
  let packets = validSession(random);
  for (let i = random.below(3); i > 0; i--) packets = disorder(packets, random);
  let bytes: Buffer = Buffer.concat(packets);
  for (let i = random.below(3); i > 0 && bytes.length > 0; i--) bytes = damage(bytes, random);
  return bytes;
}

function disorder(packets: Buffer[], random: Random): Buffer[] {
  const at = random.below(packets.length);
  const other = random.below(packets.length);
  const chosen = packets[at] ?? Buffer.alloc(0);
  switch (random.below(6)) {
    case 0:
      return packets.toSpliced(at, 1);
    case 1:
      return packets.toSpliced(other, 0, chosen);
    case 2:
      return packets.toSpliced(at, 1).toSpliced(other, 0, chosen);
    case 3:
      return packets.toSpliced(at, 0, ...Array<Buffer>(random.below(50)).fill(chosen));
    case 4:
      return packets.toSpliced(
        at,
        0,
        packet(String.fromCharCode(random.below(128)), random.bytes(random.below(20))),
      );
    default:
      return packets.toSpliced(
        at,
        0,
        mta.macro(random.pick([...MACRO_STAGES]), ...Array<string>(random.below(5)).fill('x')),
      );
  }
}

function damage(bytes: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length);
  const copy = Buffer.from(bytes);
  switch (random.below(6)) {
    case 0:
      copy[at] = random.below(256);
      return copy;
    case 1:
      copy[at] = 0;
      return copy;
    case 2: {
      // A wrong length, near or far from the right one.
      const starts = packetStarts(bytes);
      const start = starts[random.below(starts.length)];
      if (start === undefined) return bytes;
      const length = bytes.readUInt32BE(start);
      copy.writeUInt32BE(
        random.pick([
          0,
          1,
          (length + 1) >>> 0,
          Math.max(0, length - 1),
          65536,
          65537,
          0x7fffffff,
          0xffffffff,
        ]),
        start,
      );
      return copy;
    }
    case 3:
      return bytes.subarray(0, at);
    case 4:
      return Buffer.concat([bytes.subarray(0, at), random.bytes(random.below(8)), bytes.subarray(at)]);
    default:
      return Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(Math.min(bytes.length, at + random.below(12))),
      ]);
  }
}

function packetStarts(bytes: Buffer): number[] {
  const starts: number[] = [];
  for (let at = 0; at + 5 <= bytes.length; at += 4 + bytes.readUInt32BE(at)) starts.push(at);
  return starts;
}

/** The stream in pieces of any size. */
export function pieces(bytes: Buffer, random: Random): Buffer[] {
  const parts: Buffer[] = [];
  const largest = random.pick([1, 3, 10, 100, 100_000]);
  for (let at = 0; at < bytes.length; ) {
    const length = 1 + random.below(largest);
    parts.push(bytes.subarray(at, at + length));
    at += length;
  }
  return parts;
}
