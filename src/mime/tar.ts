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

/** Whether the bytes begin with a header whose checksum is right, or that says so. */
export function isTar(bytes: Buffer): boolean {
  if (bytes.toString('latin1', 257, 262) === 'ustar') return true;
  if (bytes.length < BLOCK || bytes[0] === 0) return false;
  const written = Number.parseInt(textAt(bytes, 148, 8).trim(), 8);
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += bytes[at] ?? 0;
  return sum === written;
}

export function* readTar(bytes: Buffer, limits: NameLimits, defects: Set<ArchiveDefect>): Slices<TarEntry[]> {
  const listing = new Listing<TarEntry>(limits, defects);
  let longName: string | undefined;
  let at = 0;
  for (let count = 1; at + BLOCK <= bytes.length; count++) {
    if (count % BATCH === 0) yield;
    const header = at;
    if (bytes[header] === 0) return listing.entries;
    const size = sizeAt(bytes, header);
    const start = header + BLOCK;
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    const longEnd = Math.min(start + size, start + MAX_LONG_NAME, bytes.length);
    const kind = String.fromCharCode(bytes[header + 156] ?? 0);
    if (kind === 'L') longName = textAt(bytes, start, longEnd - start);
    else if (kind === 'x')
      longName = /\d+ path=([^\n]*)\n/.exec(bytes.toString('latin1', start, longEnd))?.[1] ?? longName;
    else if (kind !== 'g' && kind !== 'K') {
      const end = Math.min(start + size, bytes.length);
      const name = longName ?? nameAt(bytes, header);
      longName = undefined;
      if (!listing.add({ name, charset: 'utf-8', size, isEncrypted: false, start, end }))
        return listing.entries;
    }
  }
  if (at > bytes.length || at === 0) defects.add('cut off');
  return listing.entries;
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
