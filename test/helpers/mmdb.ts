/** Writes files of the MaxMind DB format, as its public specification (version 2.0) has it: small ones, for tests. */
import { parseAddress } from '../../src/dns/name.ts';

export type MmdbValue =
  | string
  | number
  | boolean
  | readonly MmdbValue[]
  | { readonly [name: string]: MmdbValue };

export interface MmdbOptions {
  readonly ipVersion?: 4 | 6;
  readonly recordSize?: 24 | 28 | 32;
  readonly type?: string;
  /** Seconds since 1970. */
  readonly builtAt?: number;
}

/** A record of the tree: another node, a place in the data, or nothing. */
type Record = Node | { readonly offset: number } | undefined;
type Node = [left: Record, right: Record];

const isNode = (record: Record): record is Node => Array.isArray(record);

/** @param networks by CIDR; of two that overlap the longer counts */
export function mmdb(
  networks: Readonly<{ [cidr: string]: MmdbValue }>,
  { ipVersion = 6, recordSize = 24, type = 'Test', builtAt = 1_700_000_000 }: MmdbOptions = {},
): Buffer {
  const root: Node = [undefined, undefined];
  const data: Buffer[] = [];
  let dataBytes = 0;
  const entries = Object.entries(networks).map(([cidr, value]) => ({ bits: bitsOf(cidr, ipVersion), value }));
  for (const { bits, value } of entries.sort((a, b) => a.bits.length - b.bits.length)) {
    put(root, bits, { offset: dataBytes });
    const bytes = encoded(value);
    data.push(bytes);
    dataBytes += bytes.length;
  }
  const nodes: Node[] = [];
  number(root, nodes);
  const numbers = new Map(nodes.map((node, i) => [node, i]));
  const written = (record: Record): number => {
    if (record === undefined) return nodes.length;
    return isNode(record) ? (numbers.get(record) ?? 0) : nodes.length + 16 + record.offset;
  };
  const tree = nodes.map(([left, right]) => nodeBytes(written(left), written(right), recordSize));
  const metadata = map({
    binary_format_major_version: whole(UINT16, 2, 2),
    binary_format_minor_version: whole(UINT16, 0, 2),
    build_epoch: whole(UINT64, Math.floor(builtAt), 8),
    database_type: encoded(type),
    description: encoded({ en: 'made for a test' }),
    ip_version: whole(UINT16, ipVersion, 2),
    languages: encoded(['en']),
    node_count: whole(UINT32, nodes.length, 4),
    record_size: whole(UINT16, recordSize, 2),
  });
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
  return Buffer.concat([...tree, Buffer.alloc(16), ...data, marker, metadata]);
}

/** IPv4 lies below ::/96 in a tree of IPv6. */
function bitsOf(cidr: string, ipVersion: 4 | 6): number[] {
  const [text = '', length] = cidr.split('/');
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`no network: ${cidr}`);
  const { family, parts } = address;
  const width = family === 4 ? 8 : 16;
  const all = parts.flatMap((part) => Array.from({ length: width }, (_, i) => (part >> (width - 1 - i)) & 1));
  const own = all.slice(0, length === undefined ? all.length : Number(length));
  return family === 4 && ipVersion === 6 ? [...new Array<number>(96).fill(0), ...own] : own;
}

function put(root: Node, bits: readonly number[], leaf: Record): void {
  let node = root;
  for (const [depth, bit] of bits.entries()) {
    if (depth === bits.length - 1) {
      node[bit] = leaf;
      return;
    }
    const below = node[bit];
    // A shorter network is that of both halves, but for what is put here.
    const next: Node = isNode(below) ? below : [below, below];
    node[bit] = next;
    node = next;
  }
}

function number(node: Node, nodes: Node[]): void {
  nodes.push(node);
  for (const record of node) if (isNode(record)) number(record, nodes);
}

function nodeBytes(left: number, right: number, recordSize: 24 | 28 | 32): Buffer {
  const bytes = Buffer.alloc(recordSize / 4);
  if (recordSize === 32) {
    bytes.writeUInt32BE(left, 0);
    bytes.writeUInt32BE(right, 4);
    return bytes;
  }
  bytes.writeUIntBE(left & 0xffffff, 0, 3);
  bytes.writeUIntBE(right & 0xffffff, bytes.length - 3, 3);
  // The four highest bits of each share the byte in the middle.
  if (recordSize === 28) bytes[3] = ((left >> 24) << 4) | (right >> 24);
  return bytes;
}

const STRING = 2;
const DOUBLE = 3;
const UINT16 = 5;
const UINT32 = 6;
const MAP = 7;
const UINT64 = 9;
const ARRAY = 11;
const BOOLEAN = 14;

function encoded(value: MmdbValue): Buffer {
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return Buffer.concat([control(STRING, bytes.length), bytes]);
  }
  if (typeof value === 'boolean') return control(BOOLEAN, value ? 1 : 0);
  if (typeof value === 'number') {
    if (Number.isInteger(value) && value >= 0) return whole(UINT32, value, 4);
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleBE(value);
    return Buffer.concat([control(DOUBLE, bytes.length), bytes]);
  }
  if (Array.isArray(value)) {
    const items = value as readonly MmdbValue[];
    return Buffer.concat([control(ARRAY, items.length), ...items.map(encoded)]);
  }
  return map(Object.fromEntries(Object.entries(value).map(([name, field]) => [name, encoded(field)])));
}

function map(fields: Readonly<{ [name: string]: Buffer }>): Buffer {
  const entries = Object.entries(fields);
  return Buffer.concat([
    control(MAP, entries.length),
    ...entries.flatMap(([name, bytes]) => [encoded(name), bytes]),
  ]);
}

function whole(type: number, value: number, size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return Buffer.concat([control(type, size), bytes.subarray(8 - size)]);
}

/** Type in three bits, or in a byte of its own from 8 on; size in five bits, or in bytes behind it from 29 on. */
function control(type: number, size: number): Buffer {
  const [bits, more] =
    size < 29 ? [size, []] : size < 285 ? [29, [size - 29]] : [30, [(size - 285) >> 8, (size - 285) & 0xff]];
  return type > 7 ? Buffer.from([bits, type - 7, ...more]) : Buffer.from([(type << 5) | bits, ...more]);
}
