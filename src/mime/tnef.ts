/** The names of the files in a TNEF stream (MS-OXTNEF), `winmail.dat`, as which Outlook sends attachments. */
import { type ArchiveDefect, type ArchiveEntry, Listing, type NameLimits } from './archive-entry.ts';
import type { Slices } from './byte-source.ts';

export interface TnefEntry extends ArchiveEntry {
  /** Where its bytes begin and end in the stream. */
  readonly start: number;
  readonly end: number;
}

const SIGNATURE = Buffer.from('\x78\x9f\x3e\x22', 'latin1');
/** Attributes: the beginning of an attachment, its name, its bytes, its properties. */
const RENDERING = 0x00069002;
const TITLE = 0x00018010;
const DATA = 0x0006800f;
const PROPERTIES = 0x00069005;
/** Properties that are names: PidTagAttachLongFilename, PidTagAttachFilename. */
const NAMES = [0x3707, 0x3704];
/** Attributes that are read between two yields. */
const BATCH = 100;
const MAX_PROPERTIES = 1000;
/** Values of one property, and names of one file, that are looked at. */
const MOST = 20;

export function isTnef(bytes: Buffer): boolean {
  return SIGNATURE.equals(bytes.subarray(0, SIGNATURE.length));
}

/** Each name of a file is an entry of its own: programs show one or the other. */
export function* readTnef(
  bytes: Buffer,
  limits: NameLimits,
  defects: Set<ArchiveDefect>,
): Slices<TnefEntry[]> {
  const listing = new Listing<TnefEntry>(limits, defects);
  let names: Name[] = [];
  let data = { start: 0, end: 0 };
  const finish = () =>
    uniqueOf(names).every(({ name, charset }) =>
      listing.add({ name, charset, size: data.end - data.start, isEncrypted: false, ...data }),
    );
  let at = SIGNATURE.length + 2;
  for (let count = 1; at + 9 <= bytes.length; count++) {
    if (count % BATCH === 0) yield;
    if (names.length > MOST) {
      defects.add('names');
      return listing.entries;
    }
    const id = bytes.readUInt32LE(at + 1);
    const start = at + 9;
    const end = start + bytes.readUInt32LE(at + 5);
    if (end > bytes.length) break;
    if (id === RENDERING) {
      if (!finish()) return listing.entries;
      names = [];
      data = { start: 0, end: 0 };
    } else if (id === TITLE) names.push({ name: textOf(bytes.subarray(start, end)), charset: 'cp437' });
    else if (id === DATA) data = { start, end };
    else if (id === PROPERTIES) names = names.concat(namesIn(bytes.subarray(start, end)));
    at = end + 2;
  }
  if (at < bytes.length) defects.add('cut off');
  finish();
  return listing.entries;
}

type Name = Pick<ArchiveEntry, 'name' | 'charset'>;

function uniqueOf(names: readonly Name[]): Name[] {
  return names.filter(({ name }, i) => names.findIndex((other) => other.name === name) === i);
}

/** Up to a NUL; latin1. */
function textOf(bytes: Buffer): string {
  const nul = bytes.indexOf(0);
  return bytes.toString('latin1', 0, nul < 0 ? bytes.length : nul);
}

/** Bytes of values whose types have one length. */
const LENGTHS: Readonly<Record<number, number>> = {
  2: 4,
  3: 4,
  4: 4,
  5: 8,
  6: 8,
  7: 8,
  10: 4,
  11: 4,
  20: 8,
  64: 8,
  72: 16,
};
const STRING = 0x1e;
const UNICODE = 0x1f;
const OBJECT = 0x0d;
const BINARY = 0x102;
const MULTIPLE = 0x1000;

/** The names among properties; those behind one that cannot be read are lost. */
function namesIn(bytes: Buffer): Name[] {
  const names: Name[] = [];
  let at = 4;
  const number = () => {
    at += 4;
    return at <= bytes.length ? bytes.readUInt32LE(at - 4) : Number.NaN;
  };
  for (let count = 0; count < MAX_PROPERTIES && at + 8 <= bytes.length; count++) {
    const type = bytes.readUInt16LE(at);
    const id = bytes.readUInt16LE(at + 2);
    at += 4;
    if (id >= 0x8000) {
      at += 16;
      const isNamed = number() === 1;
      const length = number();
      if (isNamed) at += padded(length);
    }
    const plain = type & ~MULTIPLE;
    const isLong = plain === STRING || plain === UNICODE || plain === BINARY || plain === OBJECT;
    const values = isLong || type !== plain ? number() : 1;
    const fixed = LENGTHS[plain] ?? Number.NaN;
    if (!isLong) at += fixed * values;
    for (let i = 0; isLong && i < Math.min(values, MOST) && at < bytes.length; i++) {
      const length = number();
      const value = bytes.subarray(at, at + length);
      at += padded(length);
      if (!NAMES.includes(id)) continue;
      if (plain === UNICODE) {
        const text = value.toString('utf16le').split('\0')[0] ?? '';
        names.push({ name: Buffer.from(text).toString('latin1'), charset: 'utf-8' });
      } else if (plain === STRING) names.push({ name: textOf(value), charset: 'cp437' });
    }
    if (!(at <= bytes.length)) break;
  }
  return names;
}

const padded = (length: number) => Math.ceil(length / 4) * 4;
