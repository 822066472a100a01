/** The names in a tar archive (POSIX ustar; GNU's and pax's long names; those of before 1988, without a signature). */
import { type ArchiveDefect, type ArchiveEntry, Listing, type NameLimits } from './archive-entry.ts';
import type { Slices } from './byte-source.ts';

export interface TarEntry extends ArchiveEntry {
  /** Where its bytes begin and end in the archive. */
  readonly start: number;
  readonly end: number;
}

const BLOCK = 512;
/** Headers that are read between two yields. */
const BATCH = 20;
/** Bytes of a long name that are looked at. */
const MAX_LONG_NAME = 64 * 1024;
const ZEROS = Buffer.alloc(BLOCK);

/** Whether the bytes begin with a header whose checksum is right, or that says so. */
export function isTar(bytes: Buffer): boolean {
  if (saysSo(bytes, 0)) return true;
  return bytes.length >= BLOCK && bytes[0] !== 0 && isHeader(bytes, 0);
}

const saysSo = (bytes: Buffer, header: number) =>
  bytes.toString('latin1', header + 257, header + 262) === 'ustar';

/** Whether its checksum is right; old programs added the bytes as signed numbers. */
function isHeader(bytes: Buffer, header: number): boolean {
  const written = Number.parseInt(textAt(bytes, header + 148, 8).trim(), 8);
  let sum = 8 * 0x20;
  let high = 0;
  for (let at = 0; at < BLOCK; at++) {
    if (at >= 148 && at < 156) continue;
    const byte = bytes[header + at] ?? 0;
    sum += byte;
    high += byte >> 7;
  }
  return sum === written || sum - 256 * high === written;
}

function isZero(bytes: Buffer, block: number): boolean {
  return bytes[block] === 0 && ZEROS.equals(bytes.subarray(block, block + BLOCK));
}

export function* readTar(bytes: Buffer, limits: NameLimits, defects: Set<ArchiveDefect>): Slices<TarEntry[]> {
  const listing = new Listing<TarEntry>(limits, defects);
  let longName: string | undefined;
  let pax: Pax = {};
  let zeros = 0;
  let at = 0;
  for (let count = 1; at + BLOCK <= bytes.length; count++) {
    if (count % BATCH === 0) yield;
    const header = at;
    const start = header + BLOCK;
    if (isZero(bytes, header)) {
      // Two blocks of zeros are the end; programs go on behind a single one.
      zeros += 1;
      if (zeros > 1) return listing.entries;
      at = start;
      continue;
    }
    zeros = 0;
    const isWhole = isHeader(bytes, header);
    if (!isWhole) {
      // Programs look for the next header.
      defects.add('cut off');
      at = start;
      if (!saysSo(bytes, header)) continue;
    }
    const kind = String.fromCharCode(bytes[header + 156] ?? 0);
    const isOfNext = kind === 'L' || kind === 'x' || kind === 'g' || kind === 'K';
    const size = (isOfNext ? undefined : pax.size) ?? sizeAt(bytes, header);
    if (isWhole) at = start + Math.ceil(size / BLOCK) * BLOCK;
    const longEnd = Math.min(start + size, start + MAX_LONG_NAME, bytes.length);
    if (kind === 'L') longName = textAt(bytes, start, longEnd - start);
    else if (kind === 'x') pax = paxOf(bytes.toString('latin1', start, longEnd));
    else if (!isOfNext) {
      const end = Math.min(start + size, bytes.length);
      const name = pax.path ?? longName ?? nameAt(bytes, header);
      const names = pax.sparse === undefined ? [name] : [name, pax.sparse];
      longName = undefined;
      pax = {};
      for (const each of names) {
        const isListed = listing.add({ name: each, charset: 'utf-8', size, isEncrypted: false, start, end });
        if (!isListed) return listing.entries;
      }
    }
  }
  if (at > bytes.length || at === 0) defects.add('cut off');
  return listing.entries;
}

/** What a pax header says of the file behind it, in place of that file's own header. */
interface Pax {
  readonly path?: string;
  /** What GNU tar calls a file with holes. */
  readonly sparse?: string;
  readonly size?: number;
}

/** Records `LENGTH KEY=VALUE\n`; the last of a key counts. */
function paxOf(text: string): Pax {
  const values = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const [head, length, key = ''] = /^ *(\d{1,7}) ([^=\n]{1,100})=/.exec(text.slice(at, at + 120)) ?? [];
    if (head === undefined || Number(length) <= head.length) break;
    values.set(key, text.slice(at + head.length, at + Number(length) - 1));
    at += Number(length);
  }
  const [path, sparse, size] = ['path', 'GNU.sparse.name', 'size'].map((key) => values.get(key));
  return {
    ...(path === undefined ? {} : { path }),
    ...(sparse === undefined ? {} : { sparse }),
    ...(size !== undefined && /^\d{1,15}$/.test(size) ? { size: Number(size) } : {}),
  };
}

function nameAt(bytes: Buffer, header: number): string {
  const own = textAt(bytes, header, 100);
  // GNU's tar has times in the place of the prefix.
  const isPosix = bytes.toString('latin1', header + 257, header + 263) === 'ustar\0';
  const prefix = isPosix ? textAt(bytes, header + 345, 155) : '';
  return prefix === '' ? own : `${prefix}/${own}`;
}

/** Octal digits, or binary where the first bit is set. */
function sizeAt(bytes: Buffer, header: number): number {
  const field = header + 124;
  if (((bytes[field] ?? 0) & 0x80) !== 0) return Number(bytes.readBigUInt64BE(field + 4));
  const size = Number.parseInt(textAt(bytes, field, 12).trim(), 8);
  return Number.isNaN(size) ? 0 : size;
}

/** A field of `size` bytes, up to the first NUL in it; latin1. */
function textAt(bytes: Buffer, from: number, size: number): string {
  let end = from;
  while (end < from + size && bytes[end] !== 0 && end < bytes.length) end += 1;
  return bytes.toString('latin1', from, end);
}
