/**
 * The names in a 7z archive (7zFormat.txt of the LZMA SDK). They stand in a directory at its end, which is packed with
 * LZMA as a rule. Nothing else is unpacked: an archive that lies in one is listed by its name.
 */
import {
  type ArchiveDefect,
  type ArchiveEntry,
  Listing,
  type NameLimits,
  utf8Name,
} from './archive-entry.ts';
import type { Slices } from './byte-source.ts';
import { unpackLzma } from './lzma.ts';

const SIGNATURE = Buffer.from("7z\xbc\xaf'\x1c", 'latin1');
/** What stands in front of the packed files: where the directory is. */
const START_SIZE = 32;
/** Directories in which the next one is packed. */
const MAX_PACKED = 4;
/** Numbers that are read between two yields. */
const BATCH = 5000;

const ID = {
  end: 0x00,
  header: 0x01,
  archiveProperties: 0x02,
  additionalStreams: 0x03,
  mainStreams: 0x04,
  files: 0x05,
  packInfo: 0x06,
  unpackInfo: 0x07,
  subStreams: 0x08,
  size: 0x09,
  digests: 0x0a,
  folder: 0x0b,
  unpackSizes: 0x0c,
  streamCounts: 0x0d,
  emptyStream: 0x0e,
  emptyFile: 0x0f,
  names: 0x11,
  packedHeader: 0x17,
};
const METHOD = { copy: '00', lzma: '030101', aes: '06f10701' };

export interface SevenZip {
  readonly entries: readonly ArchiveEntry[];
  /** What was unpacked of the directory. */
  readonly unpackedBytes: number;
}

/** `unknown`: it is packed by another method than is read here. */
export type Unreadable = 'locked' | 'unknown' | 'damaged';

export function isSevenZip(bytes: Buffer): boolean {
  return bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE);
}

/** @param most bytes of the directory that are unpacked @returns a word where the directory cannot be read */
export function* readSevenZip(
  bytes: Buffer,
  limits: NameLimits,
  defects: Set<ArchiveDefect>,
  most: number,
): Slices<SevenZip | Unreadable> {
  const listing = new Listing(limits, defects);
  let unpackedBytes = 0;
  let directory = directoryOf(bytes).subarray(0, most);
  if (directory.length === most) defects.add('size');
  try {
    for (let packed = 0; ; packed++) {
      const reader = new Reader(directory);
      const id = reader.byte();
      if (id === ID.header) {
        yield* listFiles(reader, listing, limits.names);
        break;
      }
      if (id !== ID.packedHeader || packed === MAX_PACKED) throw new Damaged();
      const unpacked = yield* unpackDirectory(bytes, reader, Math.max(0, most - unpackedBytes), defects);
      if (typeof unpacked === 'string') return unpacked;
      unpackedBytes += unpacked.length;
      directory = unpacked;
    }
  } catch (error) {
    if (!(error instanceof Damaged)) throw error;
    if (listing.entries.length === 0 && error.defect === 'cut off' && !defects.has('size')) return 'damaged';
    defects.add(error.defect);
  }
  return { entries: listing.entries, unpackedBytes };
}

/** The directory does not go on as it says, or says more than is taken. */
class Damaged extends Error {
  readonly defect: ArchiveDefect;

  constructor(defect: ArchiveDefect = 'cut off') {
    super(defect);
    this.defect = defect;
  }
}

/** Empty where it lies beyond the end. */
function directoryOf(bytes: Buffer): Buffer {
  if (bytes.length < START_SIZE) return Buffer.alloc(0);
  const start = START_SIZE + Number(bytes.readBigUInt64LE(12));
  const size = Number(bytes.readBigUInt64LE(20));
  // An archive without files has none.
  if (size === 0) return Buffer.from([ID.header, ID.end]);
  return bytes.subarray(start, start + size);
}

interface Folder {
  readonly methods: readonly string[];
  /** Properties of the first method. */
  readonly properties: Buffer;
  readonly outputs: number;
  /** The output that no other method takes: the files. */
  readonly last: number;
  sizes: number[];
  hasDigest: boolean;
}

interface Streams {
  readonly packedStart: number;
  /** Of the first packed stream. */
  readonly packedSize: number;
  readonly folders: readonly Folder[];
  /** Of the first files with content, in their order. */
  readonly files: readonly { readonly size: number; readonly folder: Folder }[];
}

function* unpackDirectory(
  bytes: Buffer,
  reader: Reader,
  most: number,
  defects: Set<ArchiveDefect>,
): Slices<Buffer | Unreadable> {
  const { packedStart, packedSize, folders } = yield* readStreams(reader, 1);
  const [folder] = folders;
  if (!folder) throw new Damaged();
  if (folder.methods.includes(METHOD.aes)) return 'locked';
  const [method] = folder.methods;
  if (folder.methods.length !== 1 || (method !== METHOD.copy && method !== METHOD.lzma)) return 'unknown';
  const start = START_SIZE + packedStart;
  const packed = bytes.subarray(start, start + packedSize);
  if (method === METHOD.copy) return packed.subarray(0, most);
  const size = folder.sizes[0] ?? 0;
  if (size > most) defects.add('size');
  const unpacked = yield* unpackLzma(packed, folder.properties[0] ?? 0xff, Math.min(size, most));
  if (!unpacked.isWhole) defects.add('cut off');
  return unpacked.bytes;
}

/** @param most files of which something is kept */
function* readStreams(reader: Reader, most: number): Slices<Streams> {
  let packedStart = 0;
  let packedSize = 0;
  let folders: Folder[] = [];
  let files: { size: number; folder: Folder }[] | undefined;
  for (;;) {
    const id = reader.byte();
    if (id === ID.end) break;
    if (id === ID.packInfo) {
      packedStart = reader.number();
      packedSize = yield* firstPackedSize(reader);
    } else if (id === ID.unpackInfo) folders = yield* readFolders(reader);
    else if (id === ID.subStreams) files = yield* readSubStreams(reader, folders, most);
    else throw new Damaged();
  }
  files ??= folders.map((folder) => ({ size: sizeOf(folder), folder }));
  return { packedStart, packedSize, folders, files };
}

function* firstPackedSize(reader: Reader): Slices<number> {
  const count = reader.number();
  let first = 0;
  for (;;) {
    const id = reader.byte();
    if (id === ID.end) return first;
    if (id === ID.size) {
      for (let i = 0; i < count; i++) {
        const size = reader.number();
        if (i === 0) first = size;
        if (i % BATCH === 0) yield;
      }
    } else if (id === ID.digests) reader.digests(count);
    else throw new Damaged();
  }
}

function* readFolders(reader: Reader): Slices<Folder[]> {
  const folders: Folder[] = [];
  if (reader.byte() !== ID.folder) throw new Damaged();
  const count = reader.number();
  if (count > MAX_FOLDERS) throw new Damaged('names');
  if (reader.byte() !== 0) throw new Damaged();
  for (let i = 0; i < count; i++) {
    folders.push(readFolder(reader));
    if (i % BATCH === 0) yield;
  }
  if (reader.byte() !== ID.unpackSizes) throw new Damaged();
  for (const [i, folder] of folders.entries()) {
    folder.sizes = Array.from({ length: folder.outputs }, () => reader.number());
    if (i % BATCH === 0) yield;
  }
  let id = reader.byte();
  if (id === ID.digests) {
    const isDefined = reader.digests(count);
    for (const [i, folder] of folders.entries()) folder.hasDigest = isDefined(i);
    id = reader.byte();
  }
  if (id !== ID.end) throw new Damaged();
  return folders;
}

/** Groups of files that are packed in one go. */
const MAX_FOLDERS = 100_000;
/** A chain of methods: 7-Zip takes 32 at most. */
const MAX_METHODS = 32;

function readFolder(reader: Reader): Folder {
  const methods: string[] = [];
  let properties: Buffer | undefined;
  let inputs = 0;
  let outputs = 0;
  const count = reader.number();
  if (count === 0 || count > MAX_METHODS) throw new Damaged();
  for (let i = 0; i < count; i++) {
    const flags = reader.byte();
    methods.push(reader.bytes(flags & 0x0f).toString('hex'));
    const isComplex = (flags & 0x10) !== 0;
    inputs += isComplex ? reader.number() : 1;
    outputs += isComplex ? reader.number() : 1;
    const own = (flags & 0x20) !== 0 ? reader.bytes(reader.number()) : Buffer.alloc(0);
    properties ??= own;
  }
  if (inputs > MAX_METHODS || outputs === 0 || outputs > MAX_METHODS) throw new Damaged();
  const taken = new Set<number>();
  for (let i = 1; i < outputs; i++) {
    reader.number();
    taken.add(reader.number());
  }
  const last = Array.from({ length: outputs }, (_, i) => i).findIndex((i) => !taken.has(i));
  const packed = inputs - (outputs - 1);
  if (packed > 1) for (let i = 0; i < packed; i++) reader.number();
  return { methods, properties: properties ?? Buffer.alloc(0), outputs, last, sizes: [], hasDigest: false };
}

function sizeOf({ sizes, last }: Folder): number {
  return sizes[last] ?? 0;
}

function* readSubStreams(
  reader: Reader,
  folders: readonly Folder[],
  most: number,
): Slices<{ size: number; folder: Folder }[]> {
  let counts = folders.map(() => 1);
  let id = reader.byte();
  if (id === ID.streamCounts) {
    counts = folders.map(() => reader.number());
    id = reader.byte();
  }
  const total = counts.reduce((sum, count) => sum + count, 0);
  // Each takes a byte at least, but for the last of a folder, which has more of them itself.
  if (total > reader.size) throw new Damaged();
  const files: { size: number; folder: Folder }[] = [];
  const hasSizes = id === ID.size;
  for (const [i, folder] of folders.entries()) {
    const count = counts[i] ?? 0;
    let left = sizeOf(folder);
    for (let stream = 0; stream < count; stream++) {
      const size = stream === count - 1 ? left : hasSizes ? reader.number() : 0;
      left = Math.max(0, left - size);
      if (files.length < most) files.push({ size, folder });
      if (stream % BATCH === BATCH - 1) yield;
    }
    if (i % BATCH === BATCH - 1) yield;
  }
  if (hasSizes) id = reader.byte();
  while (id !== ID.end) {
    if (id !== ID.digests) throw new Damaged();
    const unknown = counts.reduce(
      (sum, count, i) => sum + (count === 1 && folders[i]?.hasDigest ? 0 : count),
      0,
    );
    reader.digests(unknown);
    id = reader.byte();
  }
  return files;
}

function* listFiles(reader: Reader, listing: Listing<ArchiveEntry>, most: number): Slices<void> {
  let streams: Streams['files'] = [];
  for (;;) {
    const id = reader.byte();
    if (id === ID.end) return;
    if (id === ID.archiveProperties) {
      while (reader.byte() !== ID.end) reader.bytes(reader.number());
    } else if (id === ID.additionalStreams) yield* readStreams(reader, 0);
    else if (id === ID.mainStreams) streams = (yield* readStreams(reader, most)).files;
    else if (id === ID.files) return yield* readFiles(reader, streams, listing);
    else throw new Damaged();
  }
}

function* readFiles(reader: Reader, streams: Streams['files'], listing: Listing<ArchiveEntry>): Slices<void> {
  const count = reader.number();
  let isEmpty = (_: number) => false;
  let isFile = (_: number) => false;
  let names: Buffer | undefined;
  let empty = 0;
  for (let property = 0; property < BATCH; property++) {
    // What is cut off here has its names before, as a rule.
    if (reader.isAtEnd && names) break;
    const id = reader.byte();
    if (id === ID.end) break;
    const size = reader.number();
    if (id === ID.names) {
      if (reader.byte() !== 0) throw new Damaged();
      names = reader.some(size - 1);
      continue;
    }
    const data = reader.some(size);
    if (id === ID.emptyStream) {
      isEmpty = bitsOf(data);
      for (let i = 0; i < Math.min(count, data.length * 8); i++) {
        if (isEmpty(i)) empty += 1;
        if (i % BATCH === 0) yield;
      }
    } else if (id === ID.emptyFile && empty > 0) isFile = bitsOf(data);
  }
  if (!names) {
    if (count > 0) throw new Damaged();
    return;
  }
  let at = 0;
  let stream = 0;
  let hollow = 0;
  for (let i = 0; i < count; i++) {
    let end = at;
    while (end + 2 <= names.length && names.readUInt16LE(end) !== 0) end += 2;
    if (end + 2 > names.length) throw new Damaged();
    const content = isEmpty(i) ? undefined : streams[stream++];
    const isFolder = isEmpty(i) && !isFile(hollow++);
    const entry: ArchiveEntry = {
      name: utf8Name(names.toString('utf16le', at, end) + (isFolder ? '/' : '')),
      charset: 'utf-8',
      size: content?.size ?? 0,
      isEncrypted: content?.folder.methods.includes(METHOD.aes) ?? false,
    };
    if (!listing.add(entry)) return;
    at = end + 2;
    if (i % 50 === 0) yield;
  }
}

/** The highest bit of a byte first. */
function bitsOf(bytes: Buffer): (index: number) => boolean {
  return (index) => ((bytes[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length;
  }

  /** @throws Damaged behind the end, as all that follow */
  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Damaged();
    return byte;
  }

  bytes(count: number): Buffer {
    if (count > this.#bytes.length - this.#at) throw new Damaged();
    return this.some(count);
  }

  /** Fewer at the end. */
  some(count: number): Buffer {
    const start = this.#at;
    this.#at = Math.min(this.#bytes.length, start + Math.max(0, count));
    return this.#bytes.subarray(start, this.#at);
  }

  /** As many bytes follow as the first has bits that are set in front; its others are the highest of the number. */
  number(): number {
    const first = this.byte();
    let value = 0;
    let mask = 0x80;
    for (let factor = 1; mask > 0; factor *= 256, mask >>= 1) {
      if ((first & mask) === 0) return value + (first & (mask - 1)) * factor;
      value += this.byte() * factor;
    }
    return value;
  }

  /** Digests of some of so many: which have one. */
  digests(count: number): (index: number) => boolean {
    const areAll = this.byte() !== 0;
    if (areAll) {
      this.bytes(4 * count);
      return (index) => index < count;
    }
    const bits = this.bytes(Math.ceil(count / 8));
    let defined = 0;
    for (const byte of bits) for (let left = byte; left > 0; left &= left - 1) defined += 1;
    this.bytes(4 * defined);
    return bitsOf(bits);
  }
}
