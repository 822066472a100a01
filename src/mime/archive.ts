/**
 * The names of the files in an archive, and in archives inside it, without unpacking more than those.
 *
 * To unpack is left to zlib's threads: where the work yields a promise, it goes on when that is settled.
 */
import { promisify } from 'node:util';
import { constants, inflateRaw, inflateRawSync } from 'node:zlib';
import type { Slices } from './byte-source.ts';
import { type ArchiveDefect, isZip, readZip, type ZipEntry } from './zip.ts';

const inflate = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflateRaw);

/** Work in slices, some of which are done elsewhere. */
export type Work<Result> = Generator<void | Promise<void>, Result, void>;

export interface ArchivedFile {
  /** With those of the archives around it in front, `inner.zip/name`. Bytes in latin1. */
  readonly name: string;
  readonly charset: 'utf-8' | 'cp437';
  /** Bytes when it is unpacked, as the archive says. */
  readonly size: number;
  readonly isEncrypted: boolean;
  /** Archives around the one that it is in. */
  readonly depth: number;
}

export interface Archive {
  readonly type: ArchiveType;
  /** Undefined for a kind that cannot be read. */
  readonly files?: readonly ArchivedFile[];
  /** What had to be unpacked to find them. */
  readonly unpackedBytes: number;
}

export interface ArchiveLimits {
  /** Files of all archives. */
  readonly names: number;
  readonly nameBytes: number;
  /** Archives inside archives. */
  readonly depth: number;
  /** Bytes of all that is unpacked. */
  readonly unpackedBytes: number;
  /** An archive inside that is so many times larger than its packed bytes is left alone. */
  readonly ratio: number;
}

export const ARCHIVE_LIMITS: ArchiveLimits = {
  names: 10_000,
  nameBytes: 1024 * 1024,
  depth: 3,
  unpackedBytes: 64 * 1024 * 1024,
  ratio: 200,
};

export type ArchiveType = 'zip' | 'tar' | 'gzip' | 'rar' | '7z' | 'iso' | 'cab' | 'arj' | 'xz' | 'bzip2';

/** What kind of archive the first bytes are of; undefined for none. */
export function archiveType(bytes: Buffer): ArchiveType | undefined {
  const begins = (text: string, at = 0) => bytes.toString('latin1', at, at + text.length) === text;
  if (begins('Rar!\x1a\x07')) return 'rar';
  if (begins("7z\xbc\xaf'\x1c")) return '7z';
  if (begins('\x1f\x8b\x08')) return 'gzip';
  if (begins('BZh')) return 'bzip2';
  if (begins('\xfd7zXZ\0')) return 'xz';
  if (begins('MSCF')) return 'cab';
  if (begins('\x60\xea')) return 'arj';
  if (begins('ustar', 257)) return 'tar';
  if (begins('CD001', 0x8001)) return 'iso';
  return isZip(bytes) ? 'zip' : undefined;
}

/** @returns undefined for what is no archive */
export function* filesIn(
  bytes: Buffer,
  defects: Set<ArchiveDefect>,
  limits: ArchiveLimits = ARCHIVE_LIMITS,
): Work<Archive | undefined> {
  const type = archiveType(bytes);
  if (type === undefined) return undefined;
  const budget: Budget = {
    limits,
    defects,
    names: limits.names,
    nameBytes: limits.nameBytes,
    bytes: limits.unpackedBytes,
  };
  switch (type) {
    case 'zip': {
      const files = yield* filesInZip(bytes, '', 0, budget);
      return { type, files, unpackedBytes: limits.unpackedBytes - budget.bytes };
    }
    case 'tar':
      return { type, files: yield* filesInTar(bytes, budget), unpackedBytes: 0 };
    case 'gzip':
      return { type, files: [gzipName(bytes)], unpackedBytes: 0 };
    default:
      return { type, unpackedBytes: 0 };
  }
}

interface Budget {
  readonly limits: ArchiveLimits;
  readonly defects: Set<ArchiveDefect>;
  names: number;
  nameBytes: number;
  bytes: number;
}

/** Entries that are looked into between two yields. */
const BATCH = 20;

function* filesInZip(bytes: Buffer, around: string, depth: number, budget: Budget): Work<ArchivedFile[]> {
  const { defects } = budget;
  const entries = (yield* readZip(bytes, budget, defects)) ?? [];
  const files: ArchivedFile[] = [];
  const opened = new Set<number>();
  budget.names -= entries.length;
  let count = 0;
  for (const entry of entries) {
    const { name, charset, size, isEncrypted } = entry;
    files.push({ name: around + name, charset, size, isEncrypted, depth });
    budget.nameBytes -= name.length;
    if (++count % BATCH === 0) yield;
    // Several entries may lead to the same bytes.
    if (isEncrypted || opened.has(entry.start) || !startsAsZip(bytes, entry, budget)) continue;
    opened.add(entry.start);
    if (depth >= budget.limits.depth) {
      defects.add('depth');
      continue;
    }
    if (budget.names <= 0) {
      defects.add('names');
      break;
    }
    let inner: Buffer | undefined;
    if (entry.method === 0) inner = bytes.subarray(entry.start, entry.end);
    else {
      yield unpack(bytes, entry, budget).then((unpacked) => {
        inner = unpacked;
      });
    }
    if (!inner) continue;
    for (const file of yield* filesInZip(inner, `${around}${name}/`, depth + 1, budget)) files.push(file);
  }
  return files;
}

function startsAsZip(bytes: Buffer, { start, end, method }: ZipEntry, budget: Budget): boolean {
  if (start < 0) return false;
  if (budget.bytes <= 0) {
    budget.defects.add('size');
    return false;
  }
  const begin = beginningOf(bytes.subarray(start, end), method);
  if (method !== 0) budget.bytes -= begin.length;
  return begin.toString('latin1', 0, 4) === 'PK\x03\x04';
}

/** Packed bytes that are looked at more, as long as nothing comes of them: tables may stand in front, of 300 bytes or so. */
const PEEK_STEP = 64;
const PEEK_BYTES = 1024;

/** The first bytes of what was packed. */
function beginningOf(packed: Buffer, method: number): Buffer {
  if (method === 0) return packed.subarray(0, PEEK_STEP);
  if (method !== 8) return Buffer.alloc(0);
  let begin = Buffer.alloc(0);
  try {
    for (let size = PEEK_STEP; begin.length === 0 && size <= PEEK_BYTES; size += PEEK_STEP) {
      begin = inflateRawSync(packed.subarray(0, size), { finishFlush: constants.Z_SYNC_FLUSH });
      if (size >= packed.length) break;
    }
  } catch {
    // No packed data.
  }
  return begin;
}

/** The bytes of one file; undefined where that would be too many, or they are damaged. */
async function unpack(bytes: Buffer, { start, end }: ZipEntry, budget: Budget): Promise<Buffer | undefined> {
  const packed = bytes.subarray(start, end);
  const byRatio = Math.max(packed.length, 1) * budget.limits.ratio;
  const most = Math.min(byRatio, budget.bytes);
  if (most <= 0) {
    budget.defects.add('size');
    return undefined;
  }
  try {
    // One after the other: the budget is right when the next one begins.
    const unpacked = await inflate(packed, { maxOutputLength: most });
    budget.bytes -= unpacked.length;
    return unpacked;
  } catch (error) {
    const isTooLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
    if (isTooLarge) budget.defects.add(most === byRatio ? 'ratio' : 'size');
    else budget.defects.add('cut off');
    return undefined;
  }
}

const TAR_BLOCK = 512;

/** Names of a tar archive (POSIX ustar; GNU's and pax's long names). */
function* filesInTar(bytes: Buffer, budget: Budget): Slices<ArchivedFile[]> {
  const files: ArchivedFile[] = [];
  let longName: string | undefined;
  for (let at = 0, count = 0; at + TAR_BLOCK <= bytes.length; count++) {
    const header = bytes.subarray(at, at + TAR_BLOCK);
    if (header[0] === 0) break;
    const size = tarSize(header);
    const data = bytes.subarray(at + TAR_BLOCK, at + TAR_BLOCK + Math.min(size, 64 * 1024));
    const kind = String.fromCharCode(header[156] ?? 0);
    at += TAR_BLOCK + Math.ceil(size / TAR_BLOCK) * TAR_BLOCK;
    if (kind === 'L') longName = textOf(data);
    else if (kind === 'x') longName = /\d+ path=([^\n]*)\n/.exec(data.toString('latin1'))?.[1] ?? longName;
    else if (kind !== 'g' && kind !== 'K') {
      const prefix = textOf(header.subarray(345, 500));
      const own = textOf(header.subarray(0, 100));
      const name = longName ?? (prefix === '' ? own : `${prefix}/${own}`);
      longName = undefined;
      budget.nameBytes -= name.length;
      if (files.length >= budget.limits.names || budget.nameBytes < 0) {
        budget.defects.add('names');
        break;
      }
      files.push({ name, charset: 'utf-8', size, isEncrypted: false, depth: 0 });
      if (at > bytes.length) budget.defects.add('cut off');
    }
    if (count % BATCH === BATCH - 1) yield;
  }
  return files;
}

/** Octal digits, or binary where the first bit is set. */
function tarSize(header: Buffer): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(field.readBigUInt64BE(4));
  const size = Number.parseInt(textOf(field).trim(), 8);
  return Number.isNaN(size) ? 0 : size;
}

/** Up to the first NUL, in latin1. */
function textOf(field: Buffer): string {
  const end = field.indexOf(0);
  return field.toString('latin1', 0, end < 0 ? field.length : end);
}

/** The name that a gzip file keeps (RFC 1952); '' where it has none. */
function gzipName(bytes: Buffer): ArchivedFile {
  const flags = bytes[3] ?? 0;
  const at = 10 + ((flags & 4) !== 0 && bytes.length > 12 ? 2 + bytes.readUInt16LE(10) : 0);
  const name = (flags & 8) !== 0 ? textOf(bytes.subarray(at, at + 4096)) : '';
  const size = bytes.length >= 18 ? bytes.readUInt32LE(bytes.length - 4) : 0;
  return { name, charset: 'utf-8', size, isEncrypted: false, depth: 0 };
}
