/** One file of the MaxMind DB format. The one place that uses mmdb-lib, which is loaded when a script that asks is. */
import { createRequire } from 'node:module';
import { TableError } from '../maps/table.ts';

type Package = typeof import('mmdb-lib');
type Reader = InstanceType<Package['Reader']>;

const require = createRequire(import.meta.url);
let loaded: Package | undefined;

/** Loads the package, once in a process. @throws an error that names what is missing */
export function loadMmdb(): Package {
  try {
    loaded ??= require('mmdb-lib') as Package;
    return loaded;
  } catch {
    throw new Error('geo needs `npm install mmdb-lib@3.0.3`');
  }
}

/** What stands before the description of a file, which is in its last 128 KiB. */
const MARKER = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1');
const LONGEST_DESCRIPTION = 128 * 1024;
const FORMAT = 2;
/** Zeros between the tree and what it points to. */
const SEPARATOR_BYTES = 16;
/** Nodes that are looked at between two yields. */
const BATCH = 2000;

export class Database {
  readonly #reader: Reader;

  private constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** Looks at the description, and at each node of the tree: none may lead out of the file. @throws TableError */
  static *read(bytes: Buffer): Generator<void, Database, void> {
    const { Reader } = loadMmdb();
    const from = Math.max(0, bytes.length - LONGEST_DESCRIPTION);
    const marker = bytes.subarray(from).lastIndexOf(MARKER);
    // Before the package looks for it, through all of the file.
    if (marker < 0) throw new TableError('is no MaxMind DB file, or was cut off');
    yield;
    let reader: Reader;
    try {
      reader = new Reader(bytes);
    } catch (error) {
      throw new TableError(
        `is no MaxMind DB file: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    const { binaryFormatMajorVersion, ipVersion, nodeCount, searchTreeSize } = reader.metadata;
    if (binaryFormatMajorVersion !== FORMAT || (ipVersion !== 4 && ipVersion !== 6))
      throw new TableError(
        `has format ${binaryFormatMajorVersion} of IPv${ipVersion}, not ${FORMAT} of IPv4 or IPv6`,
      );
    const dataBytes = from + marker - searchTreeSize - SEPARATOR_BYTES;
    if (!(nodeCount >= 1) || dataBytes < 1) throw new TableError('is shorter than its tree');
    yield* checkTree(bytes, reader, dataBytes);
    return new Database(reader);
  }

  /** Of which kind it is: `GeoLite2-Country`. */
  get type(): string {
    return String(this.#reader.metadata.databaseType);
  }

  /** Milliseconds since 1970. */
  get builtAt(): number {
    return this.#reader.metadata.buildEpoch.getTime();
  }

  /** What it has about an address; null for nothing. @throws where the file is damaged */
  find(address: string): unknown {
    if (address.includes(':') && this.#reader.metadata.ipVersion === 4) return null;
    return this.#reader.get(address);
  }
}

function* checkTree(bytes: Buffer, { metadata }: Reader, dataBytes: number): Generator<void, void, void> {
  const { nodeCount, nodeByteSize } = metadata;
  const most = nodeCount + SEPARATOR_BYTES + dataBytes;
  const isWrong = (record: number) =>
    record >= most || (record > nodeCount && record < nodeCount + SEPARATOR_BYTES);
  for (let node = 0; node < nodeCount; node++) {
    const [left, right] = recordsAt(bytes, node * nodeByteSize, nodeByteSize);
    if (isWrong(left) || isWrong(right)) throw new TableError(`node ${node} leads out of the file`);
    if (node % BATCH === BATCH - 1) yield;
  }
}

/** Two records of 24, 28 or 32 bits; the middle byte of 28 holds the highest bits of both. */
function recordsAt(bytes: Buffer, at: number, size: number): [left: number, right: number] {
  if (size === 6) return [bytes.readUIntBE(at, 3), bytes.readUIntBE(at + 3, 3)];
  if (size === 8) return [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
  const middle = bytes[at + 3] ?? 0;
  return [
    ((middle & 0xf0) << 20) | bytes.readUIntBE(at, 3),
    ((middle & 0x0f) << 24) | bytes.readUIntBE(at + 4, 3),
  ];
}
