/**
 * The process's time zone as C's library sees it: offset, abbreviation and whether daylight saving time is in effect.
 *
 * JavaScript knows the offset only. Abbreviation and the daylight flag come from the system's zone file (RFC 8536),
 * chosen by TZ or /etc/localtime.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';

export interface ZoneTime {
  /** Seconds east of Greenwich. */
  readonly offset: number;
  readonly abbreviation: string;
  readonly daylight: boolean;
}

interface ZoneFile {
  /** Seconds since the epoch, ascending, and the index in `types` that holds from there on. */
  readonly transitions: readonly number[];
  readonly typeOf: readonly number[];
  readonly types: readonly ZoneTime[];
}

/** The ends of what a Date can hold, in seconds. */
const LAST_TIME = 8.64e12;
/** How many of a file's last changes show what its zone does today. */
const RECENT = 4;
const ZONE_FOLDER = '/usr/share/zoneinfo/';

let loaded: { readonly name: string | undefined; readonly file: ZoneFile | null } | undefined;

/** What holds at `time`, in seconds since the epoch. */
export function zoneAt(time: number): ZoneTime {
  const file = zoneFile();
  if (file !== null && time < (file.transitions.at(-1) ?? Number.POSITIVE_INFINITY)) {
    const type = typeAt(file, time);
    if (type !== undefined) return type;
  }
  const date = new Date(Math.max(-LAST_TIME, Math.min(LAST_TIME, time)) * 1000);
  const offset = -date.getTimezoneOffset() * 60;
  // Behind the last change that the file lists its rule goes on: the type with the offset that JavaScript knows.
  const recent = file?.typeOf.slice(-RECENT).reverse() ?? [];
  for (const index of recent) {
    const type = file?.types[index];
    if (type?.offset === offset) return type;
  }
  if (offset === 0) return { offset, abbreviation: 'UTC', daylight: false };
  return { offset, abbreviation: shortName(date), daylight: offset !== standardOffset(date) };
}

function typeAt(file: ZoneFile, time: number): ZoneTime | undefined {
  let low = 0;
  let high = file.transitions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((file.transitions[middle] ?? 0) <= time) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return file.types.find((type) => !type.daylight) ?? file.types[0];
  return file.types[file.typeOf[low - 1] ?? 0];
}

/** The smaller of the offsets in winter and summer. */
function standardOffset(date: Date): number {
  const year = date.getFullYear();
  const january = -new Date(year, 0, 1).getTimezoneOffset() * 60;
  const july = -new Date(year, 6, 1).getTimezoneOffset() * 60;
  return Math.min(january, july);
}

function shortName(date: Date): string {
  const format = new Intl.DateTimeFormat('en-GB', { timeZoneName: 'short' });
  return format.formatToParts(date).find((part) => part.type === 'timeZoneName')?.value ?? '';
}

function zoneFile(): ZoneFile | null {
  const { TZ: name } = process.env;
  if (loaded === undefined || loaded.name !== name) loaded = { name, file: readZone(name) };
  return loaded.file;
}

function readZone(name: string | undefined): ZoneFile | null {
  const zone = name?.replace(/^:/, '');
  const path = zone === undefined ? '/etc/localtime' : zone.startsWith('/') ? zone : ZONE_FOLDER + zone;
  try {
    return parseZone(readZoneFile(path));
  } catch {
    return null; // No such zone, or no zone files on this system: JavaScript's knowledge is all there is.
  }
}

/** The bytes of a file; a FIFO, for which a reader would wait, and a device have none. */
function readZoneFile(path: string): Buffer {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return fstatSync(descriptor).isFile() ? readFileSync(descriptor) : Buffer.alloc(0);
  } finally {
    closeSync(descriptor);
  }
}

/** The 64-bit part of a zone file of version 2 or later. */
function parseZone(bytes: Buffer): ZoneFile | null {
  if (bytes.toString('latin1', 0, 4) !== 'TZif' || (bytes[4] ?? 0) < 0x32) return null;
  const skipped = blockSizes(bytes, 0, 4);
  const sizes = blockSizes(bytes, skipped.end, 8);
  let at = skipped.end + 44;
  const transitions: number[] = [];
  for (let i = 0; i < sizes.times; i++, at += 8) transitions.push(Number(bytes.readBigInt64BE(at)));
  const typeOf = [...bytes.subarray(at, at + sizes.times)];
  at += sizes.times;
  const names = at + sizes.types * 6;
  const types: ZoneTime[] = [];
  for (let i = 0; i < sizes.types; i++, at += 6) {
    const start = names + bytes.readUInt8(at + 5);
    const abbreviation = bytes.toString('latin1', start, bytes.indexOf(0, start));
    types.push({ offset: bytes.readInt32BE(at), daylight: bytes.readUInt8(at + 4) === 1, abbreviation });
  }
  return { transitions, typeOf, types };
}

/** Counts in the header at `at`, and where the block behind it ends when its times are `timeBytes` long. */
function blockSizes(
  bytes: Buffer,
  at: number,
  timeBytes: number,
): { times: number; types: number; end: number } {
  const count = (index: number): number => bytes.readUInt32BE(at + 20 + index * 4);
  const [isUt, isStd, leaps, times, types, characters] = [0, 1, 2, 3, 4, 5].map(count);
  const body =
    (times ?? 0) * (timeBytes + 1) +
    (types ?? 0) * 6 +
    (characters ?? 0) +
    (leaps ?? 0) * (timeBytes + 4) +
    (isStd ?? 0) +
    (isUt ?? 0);
  return { times: times ?? 0, types: types ?? 0, end: at + 44 + body };
}
