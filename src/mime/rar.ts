/**
 * The names in a RAR archive, of RAR 1.5 to 4 and of RAR 5: its blocks have headers that are not packed, one in front of
 * each file (RARLAB's technotes). Nothing is unpacked: an archive that lies in one is listed by its name.
 */
import {
  type ArchiveDefect,
  type ArchiveEntry,
  Listing,
  type NameLimits,
  utf8Name,
} from './archive-entry.ts';
import type { Slices } from './byte-source.ts';

const SIGNATURE = Buffer.from('Rar!\x1a\x07', 'latin1');
/** Blocks that are read between two yields. */
const BATCH = 200;
/** Bytes of a header, which no packer reaches. */
const MAX_HEADER = 2 * 1024 * 1024;

export function isRar(bytes: Buffer): boolean {
  return bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE);
}

/** @returns a word where the headers are encrypted, or damaged in front of the first name */
export function* readRar(
  bytes: Buffer,
  limits: NameLimits,
  defects: Set<ArchiveDefect>,
): Slices<ArchiveEntry[] | 'locked' | 'damaged'> {
  const listing = new Listing(limits, defects);
  const isNew = bytes[6] === 1;
  let at = isNew ? 8 : 7;
  for (let count = 1; at < bytes.length; count++) {
    if (count % BATCH === 0) yield;
    const block = isNew ? newBlockAt(bytes, at) : oldBlockAt(bytes, at);
    if (block === undefined) break;
    if (block === 'locked') return 'locked';
    if (block.entry && !listing.add(block.entry)) return listing.entries;
    if (block.isEnd) return listing.entries;
    at = block.next;
  }
  // Who packs writes a block that says it is the end, but before RAR 3.
  if (at === bytes.length && !isNew) return listing.entries;
  if (listing.entries.length === 0) return 'damaged';
  defects.add('cut off');
  return listing.entries;
}

interface Block {
  readonly next: number;
  readonly entry?: ArchiveEntry;
  readonly isEnd?: boolean;
}

const OLD = { archive: 0x73, file: 0x74, service: 0x7a, end: 0x7b };
const OLD_FLAGS = { encryptedHeaders: 0x80, encrypted: 0x04, large: 0x100, unicode: 0x200, hasData: 0x8000 };

/** RAR 1.5 to 4: CRC, type, flags and size, 7 bytes; then what the type has. */
function oldBlockAt(bytes: Buffer, at: number): Block | 'locked' | undefined {
  if (at + 7 > bytes.length) return undefined;
  const type = bytes[at + 2];
  const flags = bytes.readUInt16LE(at + 3);
  const size = bytes.readUInt16LE(at + 5);
  const header = bytes.subarray(at, at + size);
  if (size < 7 || header.length < size) return undefined;
  if (type === OLD.archive && (flags & OLD_FLAGS.encryptedHeaders) !== 0) return 'locked';
  const isFile = type === OLD.file || type === OLD.service;
  const hasData = isFile || (flags & OLD_FLAGS.hasData) !== 0;
  let packed = hasData && size >= 11 ? header.readUInt32LE(7) : 0;
  if (!isFile) return { next: at + size + packed, isEnd: type === OLD.end };
  if (size < 32) return undefined;
  const isLarge = (flags & OLD_FLAGS.large) !== 0;
  if (isLarge && size < 40) return undefined;
  const wide = (low: number, high: number) => low + (isLarge ? header.readUInt32LE(high) * 2 ** 32 : 0);
  packed = wide(packed, 32);
  const next = at + size + packed;
  if (type === OLD.service) return { next };
  const nameStart = isLarge ? 40 : 32;
  const name = header.subarray(nameStart, nameStart + header.readUInt16LE(26));
  const isFolder = (flags & 0xe0) === 0xe0;
  return {
    next,
    entry: {
      ...oldName(name, (flags & OLD_FLAGS.unicode) !== 0, isFolder ? '/' : ''),
      size: wide(header.readUInt32LE(11), 36),
      isEncrypted: (flags & OLD_FLAGS.encrypted) !== 0,
    },
  };
}

function oldName(field: Buffer, isUnicode: boolean, end: string): Pick<ArchiveEntry, 'name' | 'charset'> {
  const zero = field.indexOf(0);
  const plain = field.subarray(0, zero < 0 ? field.length : zero);
  // RAR writes the folders of Windows; some programs that unpack it take either.
  const shown = (name: string) => name.replaceAll('\\', '/') + end;
  if (!isUnicode) return { name: shown(plain.toString('latin1')), charset: 'cp437' };
  if (zero < 0) return { name: shown(plain.toString('latin1')), charset: 'utf-8' };
  return { name: shown(utf8Name(wideName(plain, field.subarray(zero + 1)))), charset: 'utf-8' };
}

/** A name in UTF-16 as differences to the name in a charset of 8 bits. */
function wideName(plain: Buffer, packed: Buffer): string {
  const units: number[] = [];
  const high = (packed[0] ?? 0) << 8;
  let at = 1;
  let flags = 0;
  let bits = 0;
  const byte = () => packed[at++] ?? 0;
  while (at < packed.length) {
    if (bits === 0) {
      flags = byte();
      bits = 8;
    }
    const kind = (flags >> 6) & 3;
    flags <<= 2;
    bits -= 2;
    if (kind === 0) units.push(byte());
    else if (kind === 1) units.push(byte() | high);
    else if (kind === 2) units.push(byte() | (byte() << 8));
    else {
      const length = byte();
      const isShifted = (length & 0x80) !== 0;
      const shift = isShifted ? byte() : 0;
      for (let left = (length & 0x7f) + 2; left > 0 && units.length < plain.length; left--) {
        const unit = ((plain[units.length] ?? 0) + shift) & 0xff;
        units.push(isShifted ? unit | high : unit);
      }
    }
  }
  const text = Buffer.alloc(2 * units.length);
  for (const [i, unit] of units.entries()) text.writeUInt16LE(unit, 2 * i);
  return text.toString('utf16le');
}

const NEW = { file: 2, encryption: 4, end: 5 };
const NEW_FLAGS = { extra: 1, data: 2 };
const FILE_FLAGS = { folder: 1, time: 2, checksum: 4 };
/** Among the records behind a file's header. */
const ENCRYPTION_RECORD = 1;

/** RAR 5: CRC, then numbers of seven bits a byte. */
function newBlockAt(bytes: Buffer, at: number): Block | 'locked' | undefined {
  const front = new Numbers(bytes, at + 4);
  const size = front.next();
  const end = front.at + size;
  if (size === 0 || size > MAX_HEADER || end > bytes.length) return undefined;
  const numbers = new Numbers(bytes.subarray(0, end), front.at);
  const type = numbers.next();
  if (type === NEW.encryption) return 'locked';
  const flags = numbers.next();
  const extraSize = (flags & NEW_FLAGS.extra) !== 0 ? numbers.next() : 0;
  const dataSize = (flags & NEW_FLAGS.data) !== 0 ? numbers.next() : 0;
  const next = end + dataSize;
  if (type !== NEW.file) return { next, isEnd: type === NEW.end };
  const fileFlags = numbers.next();
  const unpacked = numbers.next();
  numbers.next();
  numbers.at +=
    ((fileFlags & FILE_FLAGS.time) !== 0 ? 4 : 0) + ((fileFlags & FILE_FLAGS.checksum) !== 0 ? 4 : 0);
  numbers.next();
  numbers.next();
  const length = numbers.next();
  const name = bytes.toString('latin1', numbers.at, Math.min(numbers.at + length, end));
  const extra = new Numbers(bytes.subarray(0, end), Math.max(numbers.at, end - extraSize));
  const isFolder = (fileFlags & FILE_FLAGS.folder) !== 0;
  return {
    next,
    entry: {
      name: name + (isFolder ? '/' : ''),
      charset: 'utf-8',
      size: unpacked,
      isEncrypted: hasRecord(extra, ENCRYPTION_RECORD),
    },
  };
}

function hasRecord(extra: Numbers, wanted: number): boolean {
  while (!extra.isAtEnd) {
    const size = extra.next();
    const { at } = extra;
    if (size === 0) return false;
    if (extra.next() === wanted) return true;
    extra.at = at + size;
  }
  return false;
}

/** Numbers of seven bits a byte, the lowest first; 0 behind the end. */
class Numbers {
  readonly #bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  next(): number {
    let value = 0;
    for (let factor = 1; factor < 2 ** 64; factor *= 128) {
      const byte = this.#bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
    }
    return value;
  }
}
