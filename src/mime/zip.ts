/**
 * The names in a ZIP archive (PKWARE APPNOTE 6.3), read as leniently as the programs that unpack it.
 *
 * Programs find files in two ways: by the directory at the end, or by the headers in front of each file. Archives that
 * hide something have the two differ, so both are read, and what only one shows is listed too.
 */
import type { ArchiveDefect, ArchiveEntry, NameLimits } from './archive-entry.ts';
import type { Slices } from './byte-source.ts';

export interface ZipEntry extends ArchiveEntry {
  /** 0: stored, 8: deflated; others are not unpacked. */
  readonly method: number;
  /** What programs show that do not know the name in UTF-8 beside it; latin1. */
  readonly otherName?: string;
  /** Where its packed bytes begin and end in the archive. */
  readonly start: number;
  readonly end: number;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END_64 = 0x06064b50;
const LOCATOR_64 = 0x07064b50;
const CP437 = 'cp437' as const;
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;
const END_SIGNATURE = Buffer.from('PK\x05\x06', 'latin1');
const LOCAL_SIGNATURE = Buffer.from('PK\x03\x04', 'latin1');
/** Entries that are read between two yields. */
const BATCH = 500;
/** Tries to find the next local header, where sizes do not lead there. */
const MAX_GAPS = 1000;
/** Places where the directory might end that are looked at between two yields. */
const TRIES = 1000;

/** Whether the bytes are a ZIP archive that may stand behind something else. */
export function* hasDirectory(bytes: Buffer): Slices<boolean> {
  return (yield* directoryOf(bytes)) !== undefined;
}

/** The same, with nothing behind it: what lies in another archive as it is has something. */
export function* endsAsZip(bytes: Buffer): Slices<boolean> {
  return (yield* directoryOf(bytes))?.isAtEnd ?? false;
}

export function startsAsZip(bytes: Buffer): boolean {
  return bytes.subarray(0, LOCAL_SIGNATURE.length).equals(LOCAL_SIGNATURE);
}

interface Directory {
  readonly start: number;
  readonly end: number;
  readonly entries: number;
  /** Bytes that stand in front of the archive, and that its offsets leave out. */
  readonly prefix: number;
  /** Whether nothing is behind it, and its comment. */
  readonly isAtEnd: boolean;
}

/** @returns the files of the archive, each once; undefined where it is none */
export function* readZip(
  bytes: Buffer,
  limits: NameLimits,
  defects: Set<ArchiveDefect>,
): Slices<ZipEntry[] | undefined> {
  const directory = yield* directoryOf(bytes);
  if (!directory && !startsAsZip(bytes)) return undefined;
  if (!directory) defects.add('no directory');
  const entries: ZipEntry[] = [];
  const byPlace = new Map<number, ZipEntry[]>();
  for (const each of directory ? [directory, ...otherDirectory(bytes, directory)] : []) {
    for (const { header, entry } of yield* readDirectory(bytes, each, limits, defects)) {
      const known = byPlace.get(header) ?? [];
      if (each !== directory && known.some(({ name }) => name === entry.name)) continue;
      if (each !== directory) defects.add('names that differ');
      byPlace.set(header, [...known.slice(-1), entry]);
      entries.push(entry);
    }
  }
  if (defects.has('names')) return entries;
  const found = yield* readLocalHeaders(
    bytes,
    directory ? beginOf(bytes, directory) : 0,
    directory?.start ?? bytes.length,
    limits,
    defects,
  );
  for (const [header, entry] of found) {
    const known = byPlace.get(header);
    if (known?.some(({ name }) => name === entry.name)) continue;
    if (directory) defects.add(known ? 'names that differ' : 'file not in the directory');
    if (entries.length >= limits.names) {
      defects.add('names');
      break;
    }
    const [first] = known ?? [];
    entries.push(first ? { ...first, name: entry.name, charset: entry.charset } : entry);
  }
  return yield* withOtherNames(entries, limits, defects);
}

/** A file may be given several names, of which programs show one or the other: each is a file of its own. */
function* withOtherNames(
  entries: readonly ZipEntry[],
  limits: NameLimits,
  defects: Set<ArchiveDefect>,
): Slices<ZipEntry[]> {
  const all: ZipEntry[] = [];
  for (const { otherName, ...entry } of entries) {
    all.push(entry);
    const others: ZipEntry[] = otherName === undefined ? [] : [{ ...entry, name: otherName, charset: CP437 }];
    // A NUL ends the name for some.
    for (const each of [entry, ...others]) {
      const nul = each.name.indexOf('\0');
      if (nul >= 0) others.push({ ...each, name: each.name.slice(0, nul) });
    }
    for (const other of others) {
      defects.add(all.length < limits.names ? 'names that differ' : 'names');
      if (all.length < limits.names) all.push(other);
    }
    if (all.length % BATCH === 0) yield;
  }
  return all;
}

/** Where the first local header is looked for. */
function beginOf(bytes: Buffer, { prefix, entries }: Directory): number {
  const isThere = entries > 0 && prefix + 4 <= bytes.length && bytes.readUInt32LE(prefix) === LOCAL;
  return startsAsZip(bytes) || !isThere ? 0 : prefix;
}

/** Some programs take the directory that ends where the end of it is, others the one that begins at its offset. */
function otherDirectory(bytes: Buffer, { start, end, prefix }: Directory): Directory[] {
  const offset = start - prefix;
  if (prefix === 0 || offset + 4 > bytes.length || bytes.readUInt32LE(offset) !== CENTRAL) return [];
  return [{ start: offset, end, entries: 1, prefix: 0, isAtEnd: false }];
}

function* directoryOf(bytes: Buffer): Slices<Directory | undefined> {
  // As far from the end as some program might look for it, a comment and junk behind it included.
  const from = Math.max(0, bytes.length - 4 * FULL_16);
  const tail = bytes.subarray(from);
  let tries = 0;
  for (
    let at = tail.lastIndexOf(END_SIGNATURE);
    at >= 0;
    at = at === 0 ? -1 : tail.lastIndexOf(END_SIGNATURE, at - 1)
  ) {
    const found = at + 22 <= tail.length ? directoryAt(bytes, from + at) : undefined;
    if (found) return found;
    tries += 1;
    if (tries % TRIES === 0) yield;
  }
  return undefined;
}

function directoryAt(bytes: Buffer, at: number): Directory | undefined {
  let entries = bytes.readUInt16LE(at + 10);
  let size = bytes.readUInt32LE(at + 12);
  let offset = bytes.readUInt32LE(at + 16);
  let end = at;
  const locator = at - 20;
  if (locator >= 0 && bytes.readUInt32LE(locator) === LOCATOR_64) {
    const written = numberAt(bytes, locator + 8);
    const place = [written, locator - 56].find(
      (start) => start >= 0 && start + 56 <= bytes.length && bytes.readUInt32LE(start) === END_64,
    );
    if (place !== undefined) {
      if (entries === FULL_16) entries = numberAt(bytes, place + 32);
      if (size === FULL_32) size = numberAt(bytes, place + 40);
      if (offset === FULL_32) offset = numberAt(bytes, place + 48);
      end = place;
    }
  }
  const start = end - size;
  if (start < 0) return undefined;
  if (entries > 0 && (start + 4 > bytes.length || bytes.readUInt32LE(start) !== CENTRAL)) return undefined;
  const isAtEnd = at + 22 + bytes.readUInt16LE(at + 20) === bytes.length;
  return { start, end, entries, prefix: Math.max(0, start - offset), isAtEnd };
}

/** A 64-bit number; one that no archive here can have is taken for the largest. */
function numberAt(bytes: Buffer, at: number): number {
  return Number(bytes.readBigUInt64LE(at));
}

function* readDirectory(
  bytes: Buffer,
  { start, end, prefix }: Directory,
  limits: NameLimits,
  defects: Set<ArchiveDefect>,
): Slices<{ header: number; entry: ZipEntry }[]> {
  const listed: { header: number; entry: ZipEntry }[] = [];
  let nameBytes = 0;
  // By its size and not by the number of entries, which need not be true.
  for (let at = start; at + 46 <= end && bytes.readUInt32LE(at) === CENTRAL; ) {
    const nameLength = bytes.readUInt16LE(at + 28);
    const extraLength = bytes.readUInt16LE(at + 30);
    const nameStart = at + 46;
    // One that goes beyond the directory is shown as far as it is there.
    const extraStart = Math.min(nameStart + nameLength, end);
    if (extraStart < nameStart + nameLength) defects.add('cut off');
    nameBytes += extraStart - nameStart;
    if (listed.length >= limits.names || nameBytes > limits.nameBytes) {
      defects.add('names');
      break;
    }
    const flags = bytes.readUInt16LE(at + 8);
    const extra = extraLength > 0 ? bytes.subarray(extraStart, extraStart + extraLength) : undefined;
    const sizes = wideSizes(extra, {
      size: bytes.readUInt32LE(at + 24),
      packed: bytes.readUInt32LE(at + 20),
      header: bytes.readUInt32LE(at + 42),
    });
    const header = prefix + sizes.header;
    const data = dataStart(bytes, header);
    listed.push({
      header,
      entry: {
        ...nameOf(bytes.toString('latin1', nameStart, extraStart), extra, flags),
        size: sizes.size,
        isEncrypted: (flags & 1) !== 0,
        method: bytes.readUInt16LE(at + 10),
        start: data,
        end: Math.min(bytes.length, data + sizes.packed),
      },
    });
    if (data < 0 || data + sizes.packed > bytes.length) defects.add('cut off');
    at = extraStart + extraLength + bytes.readUInt16LE(at + 32);
    if (listed.length % BATCH === 0) yield;
  }
  return listed;
}

/** Where the packed bytes behind a local header begin; -1 where none is. */
function dataStart(bytes: Buffer, header: number): number {
  if (header < 0 || header + 30 > bytes.length || bytes.readUInt32LE(header) !== LOCAL) return -1;
  return header + 30 + bytes.readUInt16LE(header + 26) + bytes.readUInt16LE(header + 28);
}

/** Files by the place of their local header: the chain that begins behind the prefix, and what lies in its gaps. */
function* readLocalHeaders(
  bytes: Buffer,
  from: number,
  to: number,
  limits: NameLimits,
  defects: Set<ArchiveDefect>,
): Slices<Map<number, ZipEntry>> {
  const found = new Map<number, ZipEntry>();
  let gaps = 0;
  let nameBytes = 0;
  let header = from;
  while (header >= 0 && header + 30 <= to && found.size < limits.names && nameBytes <= limits.nameBytes) {
    if (bytes.readUInt32LE(header) !== LOCAL) {
      gaps += 1;
      if (gaps > MAX_GAPS) {
        defects.add('names');
        break;
      }
      header = bytes.indexOf(LOCAL_SIGNATURE, header + 1);
      if (header >= to) break;
      continue;
    }
    const flags = bytes.readUInt16LE(header + 6);
    const nameLength = bytes.readUInt16LE(header + 26);
    const extraLength = bytes.readUInt16LE(header + 28);
    const extraStart = header + 30 + nameLength;
    const extra = extraLength > 0 ? bytes.subarray(extraStart, extraStart + extraLength) : undefined;
    const sizes = wideSizes(extra, {
      size: bytes.readUInt32LE(header + 22),
      packed: bytes.readUInt32LE(header + 18),
      header,
    });
    const start = extraStart + extraLength;
    if (start > bytes.length) {
      // No header, but bytes that look like one.
      gaps += 1;
      header = gaps > MAX_GAPS ? -1 : bytes.indexOf(LOCAL_SIGNATURE, header + 1);
      if (gaps > MAX_GAPS) defects.add('names');
      continue;
    }
    const end = Math.min(bytes.length, start + sizes.packed);
    nameBytes += nameLength;
    found.set(header, {
      ...nameOf(bytes.toString('latin1', header + 30, extraStart), extra, flags),
      size: sizes.size,
      isEncrypted: (flags & 1) !== 0,
      method: bytes.readUInt16LE(header + 8),
      start,
      end,
    });
    // Sizes that come behind the file are 0 here: the next header is looked for.
    header = end;
    if (found.size % BATCH === 0) yield;
  }
  const isFull = found.size >= limits.names || nameBytes > limits.nameBytes;
  if (isFull && header >= 0 && header + 30 <= to && bytes.readUInt32LE(header) === LOCAL)
    defects.add('names');
  return found;
}

interface Sizes {
  readonly size: number;
  readonly packed: number;
  readonly header: number;
}

/** Those of the ZIP64 field in the place of those that do not fit into 32 bits. */
function wideSizes(extra: Buffer | undefined, { size, packed, header }: Sizes): Sizes {
  if (extra === undefined || (size !== FULL_32 && packed !== FULL_32 && header !== FULL_32))
    return { size, packed, header };
  const field = extraField(extra, 0x0001);
  let at = 0;
  const wide = (narrow: number) => {
    if (narrow !== FULL_32 || !field || at + 8 > field.length) return narrow;
    at += 8;
    return numberAt(field, at - 8);
  };
  return { size: wide(size), packed: wide(packed), header: wide(header) };
}

function extraField(extra: Buffer, id: number): Buffer | undefined {
  for (let at = 0; at + 4 <= extra.length; ) {
    const length = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === id) return extra.subarray(at + 4, at + 4 + length);
    at += 4 + length;
  }
  return undefined;
}

/** Info-ZIP's Unicode path: a version, a checksum of the name, and the name in UTF-8. */
function unicodeName(extra: Buffer): string | undefined {
  const unicode = extraField(extra, 0x7075);
  return unicode && unicode.length > 5 && unicode[0] === 1 ? unicode.toString('latin1', 5) : undefined;
}

function nameOf(
  own: string,
  extra: Buffer | undefined,
  flags: number,
): Pick<ZipEntry, 'name' | 'charset' | 'otherName'> {
  const unicode = extra && unicodeName(extra);
  if (unicode === undefined) return { name: own, charset: (flags & 0x800) !== 0 ? 'utf-8' : CP437 };
  return { name: unicode, charset: 'utf-8', ...(areAlike(own, unicode) ? {} : { otherName: own }) };
}

/** Whether the names are the same but for letters that only one of their charsets has. */
function areAlike(one: string, other: string): boolean {
  const plain = (name: string) => name.replace(/[^\x20-\x7e]|[?_]/g, '');
  return plain(one) === plain(other);
}
