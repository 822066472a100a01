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
  const written = Number.parseInt(textOf(bytes.subarray(148, 156)).trim(), 8);
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
    const header = bytes.subarray(at, at + BLOCK);
    if (header[0] === 0) return listing.entries;
    const size = sizeIn(header);
    const start = at + BLOCK;
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    const long = bytes.subarray(start, start + Math.min(size, MAX_LONG_NAME));
    const kind = String.fromCharCode(header[156] ?? 0);
    if (kind === 'L') longName = textOf(long);
    else if (kind === 'x') longName = /\d+ path=([^\n]*)\n/.exec(long.toString('latin1'))?.[1] ?? longName;
    else if (kind !== 'g' && kind !== 'K') {
      const end = Math.min(start + size, bytes.length);
      const name = longName ?? nameIn(header);
      longName = undefined;
      if (!listing.add({ name, charset: 'utf-8', size, isEncrypted: false, start, end }))
        return listing.entries;
    }
  }
  if (at > bytes.length || at === 0) defects.add('cut off');
  return listing.entries;
}

function nameIn(header: Buffer): string {
  const own = textOf(header.subarray(0, 100));
  // GNU's tar has times in the place of the prefix.
  const prefix = header.toString('latin1', 257, 263) === 'ustar\0' ? textOf(header.subarray(345, 500)) : '';
  return prefix === '' ? own : `${prefix}/${own}`;
}

/** Octal digits, or binary where the first bit is set. */
function sizeIn(header: Buffer): number {
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
