/**
 * The files of a recording: a line that says what they are, and a block for each session.
 *
 *     smtpf-milter sessions 1 LF      then, again and again:
 *     length:u32be  crc32:u32be  deflated bytes of a RecordedSession, as V8 serializes it
 *
 * Blocks are only ever appended. What a crash has cut is left out by readers, as is a block whose checksum is wrong.
 */
import { closeSync, fstatSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { crc32, deflateRaw, inflateRawSync } from 'node:zlib';
import { openRegular } from '../system/regular-file.ts';
import type { RecordedSession } from './recorded-session.ts';

export const HEAD = Buffer.from('smtpf-milter sessions 1\n', 'latin1');
const BLOCK_HEAD_BYTES = 8;
/** Of a session that is unpacked: more is no recording of ours. */
const MAX_SESSION_BYTES = 256 << 20;
/** Fast, and half of what mail takes. */
const LEVEL = 1;

const SUFFIX = '.sessions';

/** In the order of their beginnings. @param instance of the process that writes it */
export function sessionFileName(began: Date, instance: string): string {
  const time = began.toISOString().replace(/[-:.]/g, '');
  return `${time}-${instance.replace(/[^\w-]/g, '_')}${SUFFIX}`;
}

export function isSessionFile(name: string): boolean {
  return /^\d{8}T\d{9}Z-[\w-]+\.sessions$/.test(name);
}

/** A block, to be appended. */
export async function blockOf(session: RecordedSession): Promise<Buffer> {
  const packed = await promisify<Buffer, { level: number }, Buffer>(deflateRaw)(serialize(session), {
    level: LEVEL,
  });
  const head = Buffer.allocUnsafe(BLOCK_HEAD_BYTES);
  head.writeUInt32BE(packed.length, 0);
  head.writeUInt32BE(crc32(packed), 4);
  return Buffer.concat([head, packed]);
}

/** Where a session is. */
export interface SessionPlace {
  readonly path: string;
  readonly at: number;
  readonly length: number;
}

/** What a directory holds, the oldest first. */
export interface SessionIndex {
  readonly places: readonly SessionPlace[];
  /** `FILE: what is wrong`, of files that are damaged or none of ours. */
  readonly problems: readonly string[];
}

/** @throws what the system says of the directory */
export function indexSessions(directory: string): SessionIndex {
  const places: SessionPlace[] = [];
  const problems: string[] = [];
  for (const name of readdirSync(directory).filter(isSessionFile).sort()) {
    const path = join(directory, name);
    try {
      const problem = indexFile(path, places);
      if (problem !== undefined) problems.push(`${path}: ${problem}`);
    } catch (error) {
      problems.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return { places, problems };
}

function indexFile(path: string, places: SessionPlace[]): string | undefined {
  const descriptor = openRegular(path);
  try {
    const { size } = fstatSync(descriptor);
    const head = Buffer.alloc(HEAD.length);
    readSync(descriptor, head, 0, HEAD.length, 0);
    if (!head.equals(HEAD)) return size === 0 ? undefined : 'is no recording of this version';
    const block = Buffer.alloc(BLOCK_HEAD_BYTES);
    let at = HEAD.length;
    while (at + BLOCK_HEAD_BYTES <= size) {
      readSync(descriptor, block, 0, BLOCK_HEAD_BYTES, at);
      const length = block.readUInt32BE(0);
      if (at + BLOCK_HEAD_BYTES + length > size) break;
      places.push({ path, at, length });
      at += BLOCK_HEAD_BYTES + length;
    }
    return at === size ? undefined : `its last session is cut off: ${size - at} bytes`;
  } finally {
    closeSync(descriptor);
  }
}

/** @throws an Error where it is damaged */
export function readSession({ path, at, length }: SessionPlace): RecordedSession {
  const descriptor = openRegular(path);
  try {
    const block = Buffer.alloc(BLOCK_HEAD_BYTES + length);
    const read = readSync(descriptor, block, 0, block.length, at);
    const packed = block.subarray(BLOCK_HEAD_BYTES);
    if (read < block.length || crc32(packed) !== block.readUInt32BE(4))
      throw new Error('the session is damaged');
    const session: unknown = deserialize(inflateRawSync(packed, { maxOutputLength: MAX_SESSION_BYTES }));
    if (!isSession(session)) throw new Error('is no session');
    return session;
  } finally {
    closeSync(descriptor);
  }
}

function isSession(value: unknown): value is RecordedSession {
  return (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    typeof value.id === 'string' &&
    'began' in value &&
    typeof value.began === 'number' &&
    'entries' in value &&
    Array.isArray(value.entries)
  );
}
