/**
 * The names of the files in an archive, and in archives inside it, without unpacking more than those.
 *
 * To unpack is left to zlib's threads: where the work yields a promise, it goes on when that is settled.
 */
import type { Transform } from 'node:stream';
import { constants, createGunzip, createInflateRaw, inflateRawSync } from 'node:zlib';
import type { ArchiveDefect, ArchiveEntry, NameLimits } from './archive-entry.ts';
import { joined } from './byte-source.ts';
import { isRar, readRar } from './rar.ts';
import { isSevenZip, readSevenZip } from './seven-zip.ts';
import { isTar, readTar } from './tar.ts';
import { isTnef, readTnef } from './tnef.ts';
import { endsAsZip, hasDirectory, readZip, startsAsZip, type ZipEntry } from './zip.ts';

/** Work in slices, some of which are done elsewhere. */
export type Work<Result> = Generator<void | Promise<void>, Result, void>;

export interface ArchivedFile extends ArchiveEntry {
  /** With those of the archives around it in front, `inner.zip/name`. Bytes in latin1. */
  readonly name: string;
  /** Archives around the one that it is in. */
  readonly depth: number;
}

export interface Archive {
  readonly type: ArchiveType;
  /** Undefined where they cannot be read. */
  readonly files?: readonly ArchivedFile[];
  /** Why they cannot: the kind is not read, a password is needed to see them, or what should lead to them is not there. */
  readonly trouble?: Trouble;
  /** What had to be unpacked to find them. */
  readonly unpackedBytes: number;
  /** Of that, what this thread has unpacked. */
  readonly directoryBytes: number;
}

export interface ArchiveLimits extends NameLimits {
  /** Files of all archives. */
  readonly names: number;
  readonly nameBytes: number;
  /** Archives inside archives. */
  readonly depth: number;
  /** Bytes of all that is unpacked. */
  readonly unpackedBytes: number;
  /** Bytes of packed directories, those of 7z. */
  readonly directoryBytes: number;
  /** What would be so many times larger than its packed bytes is left packed. */
  readonly ratio: number;
}

export const ARCHIVE_LIMITS: ArchiveLimits = {
  names: 10_000,
  nameBytes: 1024 * 1024,
  depth: 3,
  unpackedBytes: 64 * 1024 * 1024,
  directoryBytes: 2 * 1024 * 1024,
  ratio: 200,
};

export type ArchiveType =
  | 'zip'
  | 'tar'
  | 'gzip'
  | 'rar'
  | '7z'
  | 'tnef'
  | 'iso'
  | 'cab'
  | 'arj'
  | 'xz'
  | 'bzip2'
  | 'zstd'
  | 'lzh'
  | 'ace'
  | 'wim'
  | 'compress';

/** What kind of archive the bytes are; undefined for none. */
function* archiveType(bytes: Buffer): Work<ArchiveType | undefined> {
  return typeOfBeginning(bytes) ?? ((yield* hasDirectory(bytes)) ? 'zip' : undefined);
}

/** By the first bytes alone. */
function typeOfBeginning(bytes: Buffer): ArchiveType | undefined {
  const begins = (text: string, at = 0) => bytes.toString('latin1', at, at + text.length) === text;
  if (startsAsZip(bytes)) return 'zip';
  if (isRar(bytes)) return 'rar';
  if (isSevenZip(bytes)) return '7z';
  if (isTnef(bytes)) return 'tnef';
  if (begins('\x1f\x8b\x08')) return 'gzip';
  if (begins('BZh')) return 'bzip2';
  if (begins('\xfd7zXZ\0')) return 'xz';
  if (begins('MSCF')) return 'cab';
  if (begins('\x60\xea')) return 'arj';
  if (begins('\x28\xb5\x2f\xfd')) return 'zstd';
  if (begins('\x1f\x9d')) return 'compress';
  if (begins('MSWIM\0\0\0')) return 'wim';
  if (isTar(bytes)) return 'tar';
  if (begins('**ACE**', 7)) return 'ace';
  if (/^-l(?:h[0-7d]|z[s45])-$/.test(bytes.toString('latin1', 2, 7))) return 'lzh';
  // With ISO 9660, or with UDF alone.
  return begins('CD001', 0x8001) || begins('BEA01', 0x8001) ? 'iso' : undefined;
}

/** @returns undefined for what is no archive */
export function* filesIn(
  bytes: Buffer,
  defects: Set<ArchiveDefect>,
  limits: ArchiveLimits = ARCHIVE_LIMITS,
): Work<Archive | undefined> {
  const type = yield* archiveType(bytes);
  if (type === undefined) return undefined;
  const search = new Search(limits, defects);
  let found = yield* search.look(type, bytes, '', 0);
  if (type !== 'zip' && (yield* typeof found === 'string' ? hasDirectory(bytes) : endsAsZip(bytes))) {
    // Programs that are asked to open a ZIP archive do not mind what stands in front of it.
    if (typeof found === 'string') defects.add('not read');
    const inZip = yield* search.look('zip', bytes, '', 0);
    if (typeof inZip !== 'string') found = typeof found === 'string' ? inZip : found.concat(inZip);
  }
  return {
    type,
    ...(typeof found === 'string' ? { trouble: found } : { files: found }),
    unpackedBytes: limits.unpackedBytes - search.bytes,
    directoryBytes: limits.directoryBytes - search.directoryBytes,
  };
}

/** Entries that are looked into between two yields. */
const BATCH = 20;

type Trouble = 'unknown' | 'locked' | 'damaged';
type Found = ArchivedFile[] | Trouble;

/** One walk through an archive and those inside it, and what is left of the limits. */
class Search {
  readonly #limits: ArchiveLimits;
  readonly #defects: Set<ArchiveDefect>;
  names: number;
  nameBytes: number;
  bytes: number;
  directoryBytes: number;

  constructor(limits: ArchiveLimits, defects: Set<ArchiveDefect>) {
    this.#limits = limits;
    this.#defects = defects;
    this.names = limits.names;
    this.nameBytes = limits.nameBytes;
    this.bytes = limits.unpackedBytes;
    this.directoryBytes = limits.directoryBytes;
  }

  *look(type: ArchiveType, bytes: Buffer, around: string, depth: number): Work<Found> {
    switch (type) {
      case 'zip':
        return yield* this.#zip(bytes, around, depth);
      case 'tar':
        return yield* this.#tar(bytes, around, depth);
      case 'tnef':
        return yield* this.#members(yield* readTnef(bytes, this, this.#defects), bytes, around, depth);
      case 'gzip':
        return yield* this.#gzip(bytes, around, depth);
      case 'rar': {
        const entries = yield* readRar(bytes, this, this.#defects);
        return typeof entries === 'string' ? entries : this.#listed(entries, around, depth);
      }
      case '7z': {
        const found = yield* readSevenZip(bytes, this, this.#defects, this.directoryBytes);
        if (typeof found === 'string') return found;
        this.directoryBytes -= found.unpackedBytes;
        this.bytes -= Math.min(this.bytes, found.unpackedBytes);
        return this.#listed(found.entries, around, depth);
      }
      default:
        return 'unknown';
    }
  }

  /** @returns false for a name beyond the limits, in which those of the archives around it count too */
  #list(
    files: ArchivedFile[],
    { name, charset, size, isEncrypted }: ArchiveEntry,
    around: string,
    depth: number,
  ): boolean {
    const shown = around + name;
    if (this.names <= 0 || shown.length > this.nameBytes) {
      this.#defects.add('names');
      return false;
    }
    this.names -= 1;
    this.nameBytes -= shown.length;
    files.push({ name: shown, charset, size, isEncrypted, depth });
    return true;
  }

  #listed(entries: readonly ArchiveEntry[], around: string, depth: number): ArchivedFile[] {
    const files: ArchivedFile[] = [];
    entries.every((entry) => this.#list(files, entry, around, depth));
    return files;
  }

  *#zip(bytes: Buffer, around: string, depth: number): Work<ArchivedFile[]> {
    const entries = (yield* readZip(bytes, this, this.#defects)) ?? [];
    const files: ArchivedFile[] = [];
    const opened = new Set<number>();
    this.names -= entries.length;
    let count = 0;
    for (const entry of entries) {
      this.names += 1;
      if (!this.#list(files, entry, around, depth)) break;
      if (++count % BATCH === 0) yield;
      // Several entries may lead to the same bytes.
      if (entry.isEncrypted || opened.has(entry.start)) continue;
      const type = this.#typeOfPacked(bytes, entry);
      if (type === undefined) continue;
      opened.add(entry.start);
      if (!this.#mayOpen(depth)) {
        if (this.names <= 0) break;
        continue;
      }
      const inner =
        entry.method === 0
          ? bytes.subarray(entry.start, entry.end)
          : yield* this.#unpack(bytes.subarray(entry.start, entry.end), () =>
              createInflateRaw({ chunkSize: PIECE }),
            );
      if (inner) yield* this.#inside(type, inner, `${around}${entry.name}/`, depth, files);
    }
    return files;
  }

  *#tar(bytes: Buffer, around: string, depth: number): Work<ArchivedFile[]> {
    return yield* this.#members(yield* readTar(bytes, this, this.#defects), bytes, around, depth);
  }

  /** Lists entries that are not packed, and looks into them. */
  *#members(
    entries: readonly (ArchiveEntry & { readonly start: number; readonly end: number })[],
    bytes: Buffer,
    around: string,
    depth: number,
  ): Work<ArchivedFile[]> {
    const files: ArchivedFile[] = [];
    this.names -= entries.length;
    let count = 0;
    for (const entry of entries) {
      this.names += 1;
      if (!this.#list(files, entry, around, depth)) break;
      if (++count % BATCH === 0) yield;
      const inner = bytes.subarray(entry.start, entry.end);
      const type = typeOfBeginning(inner);
      if (type === undefined) continue;
      if (this.#mayOpen(depth)) yield* this.#inside(type, inner, `${around}${entry.name}/`, depth, files);
      else if (this.names <= 0) break;
    }
    return files;
  }

  /** A packed tar archive is one archive: its files are listed as if it were not packed. */
  *#gzip(bytes: Buffer, around: string, depth: number): Work<ArchivedFile[]> {
    const own = gzipName(bytes);
    const files: ArchivedFile[] = [];
    const inner =
      this.bytes > 0
        ? yield* this.#unpack(bytes, () => createGunzip({ chunkSize: PIECE }), typeOfBeginning)
        : undefined;
    if (this.bytes <= 0 && !inner) this.#defects.add('size');
    const type = inner && typeOfBeginning(inner);
    if (own.name !== '' || (type === undefined && depth === 0)) this.#list(files, own, around, depth);
    if (!inner || type === undefined) return files;
    if (type === 'tar') for (const file of yield* this.#tar(inner, around, depth)) files.push(file);
    else if (this.#mayOpen(depth))
      yield* this.#inside(type, inner, own.name === '' ? around : `${around}${own.name}/`, depth, files);
    return files;
  }

  /** Lists what is in an archive inside the one of `depth`. */
  *#inside(
    type: ArchiveType,
    bytes: Buffer,
    around: string,
    depth: number,
    files: ArchivedFile[],
  ): Work<void> {
    const found = yield* this.look(type, bytes, around, depth + 1);
    if (typeof found === 'string') this.#defects.add('not read');
    else for (const file of found) files.push(file);
  }

  /** Whether an archive inside the one of `depth` may be looked into. */
  #mayOpen(depth: number): boolean {
    if (depth >= this.#limits.depth) this.#defects.add('depth');
    else if (this.names <= 0) this.#defects.add('names');
    else return true;
    return false;
  }

  /** What kind of archive an entry is. */
  #typeOfPacked(bytes: Buffer, { start, end, method, name }: ZipEntry): ArchiveType | undefined {
    if (start < 0) return undefined;
    if (method !== 0 && method !== 8) {
      if (end > start) this.#defects.add('not read');
      return undefined;
    }
    if (this.bytes <= 0) {
      this.#defects.add('size');
      return undefined;
    }
    // Most files in an archive are no archives: of short ones that is known by their first byte.
    if (method === 0 && end - start < SHORT_BYTES && !FIRST_BYTES.includes(bytes[start] ?? 0))
      return undefined;
    const packed = bytes.subarray(start, end);
    if (method === 0) return typeOfBeginning(packed.subarray(0, PEEK_BYTES));
    const begin = beginningOf(packed, name);
    this.bytes -= begin.length;
    return typeOfBeginning(begin);
  }

  /**
   * Unpacks all of it, or nothing where the first bytes are not `wanted`.
   * @returns undefined where that would be too much: a tar archive is read as far as it may be unpacked
   */
  *#unpack(
    packed: Buffer,
    create: () => Transform,
    wanted?: (begin: Buffer) => ArchiveType | undefined,
  ): Work<Buffer | undefined> {
    const byRatio = Math.max(packed.length, 1) * this.#limits.ratio;
    const most = Math.min(byRatio, this.bytes);
    if (most <= 0) {
      this.#defects.add('size');
      return undefined;
    }
    const pieces: Buffer[] = [];
    let size = 0;
    let isDamaged = false;
    let isUnwanted = false;
    // One after the other: what is left is right when the next one begins.
    yield unpackedPieces(packed, create(), (piece) => {
      const first = size === 0;
      size += piece.length;
      pieces.push(piece);
      isUnwanted = first && wanted !== undefined && wanted(piece) === undefined;
      return !isUnwanted && size <= most;
    }).catch(() => {
      isDamaged = true;
    });
    this.bytes -= Math.min(size, this.bytes);
    if (isUnwanted) return undefined;
    const isTooLarge = size > most;
    if (isTooLarge) this.#defects.add(most === byRatio ? 'ratio' : 'size');
    else if (isDamaged) this.#defects.add('cut off');
    const [first] = pieces;
    if (!first || (isTooLarge && typeOfBeginning(first) !== 'tar')) return undefined;
    if (pieces.length === 1) return first;
    return yield* joined(pieces, size);
  }
}

/** Bytes that zlib gives at a time. */
const PIECE = 256 * 1024;

/** @param take returns false when it has enough @throws what zlib says of damaged bytes */
async function unpackedPieces(
  packed: Buffer,
  stream: Transform,
  take: (piece: Buffer) => boolean,
): Promise<void> {
  stream.end(packed);
  for await (const piece of stream) if (!take(piece as Buffer)) return;
}

/** Bytes of a packed file that are enough to tell what it is, but for a tar archive. */
const PEEK_STEP = 64;
/** What is looked at more, as long as nothing comes of it: tables may stand in front, of 300 bytes or so. */
const PEEK_BYTES = 1024;
const TAR_BYTES = 512;
/** Shorter ones are no tar archive. */
const SHORT_BYTES = 262;
/** What other kinds of archives begin with. */
const FIRST_BYTES = Buffer.from('PR7\x1fB\xfdM\x60\x28', 'latin1');

/** The first bytes of what was packed. */
function beginningOf(packed: Buffer, name: string): Buffer {
  let begin = Buffer.alloc(0);
  const isEnough = () =>
    begin.length > 0 && (begin.length >= TAR_BYTES || !(mayBeTar(begin) || /\.tar$/i.test(name)));
  try {
    for (let size = PEEK_STEP; !isEnough() && size <= PEEK_BYTES; size += size < 256 ? PEEK_STEP : 256) {
      begin = inflateRawSync(packed.subarray(0, size), { finishFlush: constants.Z_SYNC_FLUSH });
      if (size >= packed.length) break;
    }
  } catch {
    // No packed data.
  }
  return begin;
}

/** Whether it goes on as a name that is filled up with zeros. */
function mayBeTar(begin: Buffer): boolean {
  const zero = begin.indexOf(0);
  return zero > 0 && zero < 100 && begin.subarray(zero, 100).every((byte) => byte === 0);
}

/** The name that a gzip file keeps (RFC 1952); '' where it has none. */
function gzipName(bytes: Buffer): ArchiveEntry {
  const flags = bytes[3] ?? 0;
  const at = 10 + ((flags & 4) !== 0 && bytes.length > 12 ? 2 + bytes.readUInt16LE(10) : 0);
  const field = bytes.subarray(at, at + 4096);
  const end = field.indexOf(0);
  const name = (flags & 8) !== 0 ? field.toString('latin1', 0, end < 0 ? field.length : end) : '';
  const size = bytes.length >= 18 ? bytes.readUInt32LE(bytes.length - 4) : 0;
  return { name, charset: 'utf-8', size, isEncrypted: false };
}
