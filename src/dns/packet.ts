/** Questions to name servers and their answers as bytes (RFC 1035 section 4), of the types that are asked for here. */
import { SocketAddress } from 'node:net';
import type { RecordType } from './records.ts';

export const TYPES = { A: 1, NS: 2, PTR: 12, MX: 15, TXT: 16, AAAA: 28 } as const satisfies Record<
  RecordType,
  number
>;

const HEADER_BYTES = 12;
const IN = 1;
const RECURSION_DESIRED = 0x0100;
const IS_RESPONSE = 0x8000;
const IS_TRUNCATED = 0x0200;
const POINTER = 0xc0;
const MAX_NAME_BYTES = 255;

/** @param name in lower case, without trailing dot, labels of 1 to 63 bytes */
export function questionPacket(id: number, type: RecordType, name: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(RECURSION_DESIRED, 2);
  header.writeUInt16BE(1, 4);
  const labels = name.split('.').map((label) => {
    const bytes = Buffer.from(label, 'latin1');
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  return Buffer.concat([header, ...labels, Buffer.of(0, 0, TYPES[type], 0, IN)]);
}

export interface Response {
  /** The whole answer does not fit: it is to be had over TCP. */
  readonly isTruncated: boolean;
  /** 0 for records or none, 3 for a name that does not exist. */
  readonly code: number;
  readonly records: readonly Reading[];
}

/** A record of the type that was asked for, whatever its owner: aliases lead to it. */
interface Reading {
  readonly ttl: number;
  readonly value: string | { readonly exchange: string; readonly priority: number };
}

/** @returns undefined for what is no answer to the question, or is damaged */
export function readResponse(packet: Buffer, question: Buffer, type: RecordType): Response | undefined {
  const asked = question.subarray(HEADER_BYTES);
  const answersAt = HEADER_BYTES + asked.length;
  if (packet.length < answersAt || packet.readUInt16BE(0) !== question.readUInt16BE(0)) return undefined;
  const flags = packet.readUInt16BE(2);
  const echoed = packet.subarray(HEADER_BYTES, answersAt).toString('latin1').toLowerCase();
  if ((flags & IS_RESPONSE) === 0 || packet.readUInt16BE(4) !== 1) return undefined;
  if (echoed !== asked.toString('latin1').toLowerCase()) return undefined;
  const response = {
    isTruncated: (flags & IS_TRUNCATED) !== 0,
    code: flags & 0x0f,
    records: [] as Reading[],
  };
  if (response.isTruncated) return response;
  try {
    let at = answersAt;
    for (let left = packet.readUInt16BE(6); left > 0; left -= 1) {
      at = readName(packet, at).end;
      const kind = packet.readUInt16BE(at);
      const length = packet.readUInt16BE(at + 8);
      const data = at + 10;
      if (data + length > packet.length) return undefined;
      if (kind === TYPES[type]) {
        response.records.push({
          ttl: packet.readUInt32BE(at + 4),
          value: readData(packet, data, length, type),
        });
      }
      at = data + length;
    }
    return response;
  } catch {
    return undefined; // It ends before it should.
  }
}

function readData(packet: Buffer, at: number, length: number, type: RecordType): Reading['value'] {
  const data = packet.subarray(at, at + length);
  switch (type) {
    case 'A':
      if (length !== 4) throw new RangeError('no IPv4 address');
      return [...data].join('.');
    case 'AAAA': {
      if (length !== 16) throw new RangeError('no IPv6 address');
      const groups = Array.from({ length: 8 }, (_, i) => data.readUInt16BE(2 * i).toString(16));
      return new SocketAddress({ address: groups.join(':'), family: 'ipv6' }).address;
    }
    case 'MX':
      return { priority: packet.readUInt16BE(at), exchange: readName(packet, at + 2).name };
    case 'TXT': {
      let text = '';
      for (let i = 0; i < length; i += 1 + data.readUInt8(i)) {
        text += data.toString('latin1', i + 1, i + 1 + data.readUInt8(i));
      }
      return text;
    }
    default:
      return readName(packet, at).name;
  }
}

/** @returns the name without trailing dot, and where what follows it begins */
function readName(packet: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = [];
  let bytes = 0;
  let end: number | undefined;
  // Pointers lead back: so they end.
  let before = start;
  for (let at = start; ; ) {
    const length = packet.readUInt8(at);
    if (length === 0) return { name: labels.join('.'), end: end ?? at + 1 };
    if ((length & POINTER) === POINTER) {
      const target = packet.readUInt16BE(at) & 0x3fff;
      if (target >= before) throw new RangeError('a pointer that does not lead back');
      end ??= at + 2;
      before = target;
      at = target;
    } else {
      bytes += length + 1;
      if (length > 63 || bytes > MAX_NAME_BYTES || at + 1 + length > packet.length)
        throw new RangeError('no name');
      labels.push(packet.toString('latin1', at + 1, at + 1 + length));
      at += 1 + length;
    }
  }
}
