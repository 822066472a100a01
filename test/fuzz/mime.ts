/** Broken messages and archives, for the readers of both and for changes of what they find. */
import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import { ARCHIVE_LIMITS, filesIn } from '../../src/mime/archive.ts';
import { finish, MemorySource } from '../../src/mime/byte-source.ts';
import { decodedBytes } from '../../src/mime/decode.ts';
import { MimeEdits, obstacleTo, textPart } from '../../src/mime/edit.ts';
import { HtmlText } from '../../src/mime/html-text.ts';
import { kindOf } from '../../src/mime/kind.ts';
import type { Defect } from '../../src/mime/part.ts';
import { readMime } from '../../src/mime/reader.ts';
import * as samples from '../mime/archive-samples.ts';
import { zip } from '../mime/zip-builder.ts';
import type { Random } from './random.ts';

const TYPES = [
  'text/plain; charset=utf-8',
  'text/html',
  'multipart/mixed; boundary="b"',
  'multipart/alternative; boundary=bb',
  'multipart/signed; boundary=c',
  'message/rfc822',
  'application/zip; name="a.zip"',
  "application/x; name*0*=utf-8''a%20; name*1=b",
];
const ENCODINGS = ['7bit', 'base64', 'quoted-printable', 'x-uuencode', 'unknown'];
const PIECES = [
  '--b',
  '--b--',
  '--bb',
  '--bb--',
  '--c',
  '',
  'begin 644 x',
  '#0V%T',
  'end',
  '=C3=BC=',
  'aGVsbG8=',
  '<p>',
];

/** Of lines that mean something to a reader. */
export function brokenMessage(random: Random): Buffer {
  const lines: string[] = [];
  const header = () => {
    lines.push(`Content-Type: ${random.pick(TYPES)}`);
    if (random.chance(2)) lines.push(`Content-Transfer-Encoding: ${random.pick(ENCODINGS)}`);
    lines.push('');
  };
  header();
  for (let count = random.below(40); count > 0; count--) {
    lines.push(random.pick(PIECES));
    if (random.chance(3)) header();
  }
  const ending = random.pick(['\r\n', '\r\n', '\r\n', '\n', '\r']);
  return mutated(random, Buffer.from(lines.join(ending), 'latin1'));
}

const SAMPLES = Object.values(samples);

export function brokenArchive(random: Random): Buffer {
  if (random.chance(2)) return brokenSample(random);
  let archive = zip([{ name: 'a', data: 'x' }]);
  for (let depth = random.below(4); depth > 0; depth--) {
    archive = zip(
      Array.from({ length: random.below(4) + 1 }, (_, i) => ({
        name: `${i}.zip`,
        data: archive,
        deflate: random.chance(2),
        flags: random.below(2),
        ...(random.chance(5) && { listedAs: null }),
      })),
      { directory: !random.chance(6), comment: random.chance(3) ? 'PK\x05\x06' : '' },
    );
  }
  return mutated(random, archive);
}

/** What another program has packed, alone or in gzip. */
function brokenSample(random: Random): Buffer {
  const broken = mutated(random, random.pick(SAMPLES));
  return random.chance(4) ? mutated(random, gzipSync(broken)) : broken;
}

function mutated(random: Random, given: Buffer): Buffer {
  let bytes = Buffer.from(given);
  for (let count = random.below(6); count > 0 && bytes.length > 0; count--) {
    const at = random.below(bytes.length);
    const from = random.below(bytes.length);
    const piece = bytes.subarray(from, from + random.below(60));
    const kind = random.below(4);
    if (kind < 2) bytes[at] = random.below(256);
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), piece, bytes.subarray(at)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.below(60))]);
  }
  return bytes;
}

/** Reads all of a message; takes out and replaces parts, which must leave all other bytes as they are. */
export function checkMessage(message: Buffer, random: Random): void {
  const { parts } = finish(readMime(new MemorySource(message)));
  const [root] = parts;
  assert.ok(root);
  for (const part of parts) {
    assert.ok(
      part.headerStart <= part.bodyStart && part.bodyStart <= part.end && part.end <= part.source.size,
    );
    const bytes = finish(decodedBytes(part, 1e6, new Set<Defect>()));
    assert.ok(bytes);
    kindOf(bytes);
    const html = new HtmlText();
    html.take(bytes.toString('latin1'));
    html.end();
  }
  const part = random.pick(parts);
  if (part === root || obstacleTo(part) !== undefined) return;
  const edits = new MimeEdits(root);
  if (random.chance(2)) edits.remove(part);
  else if (!part.isUuencoded)
    edits.replace(part, finish(textPart('text/plain', Buffer.from('new'), undefined)));
  const { headers, body } = finish(edits.apply());
  assert.deepEqual(headers, []);
  const before = message.subarray(root.bodyStart, part.delimiterStart);
  const behind = message.subarray(part.end);
  assert.ok(body.subarray(0, before.length).equals(before), 'bytes before the part');
  assert.ok(body.subarray(body.length - behind.length).equals(behind), 'bytes behind the part');
}

/** Lists the files of an archive, within its limits. */
export async function checkArchive(bytes: Buffer): Promise<void> {
  const defects = new Set<string>();
  const work = filesIn(bytes, defects as never);
  for (;;) {
    const { value, done } = work.next();
    if (!done) {
      await value;
      continue;
    }
    assert.ok((value?.files?.length ?? 0) <= ARCHIVE_LIMITS.names);
    assert.ok((value?.unpackedBytes ?? 0) <= ARCHIVE_LIMITS.unpackedBytes);
    return;
  }
}

/** @param rounds so many of each @returns how many were read */
export async function fuzzMime(seed: number, random: Random, rounds: number): Promise<number> {
  for (let round = 1; round <= rounds; round++) {
    const message = brokenMessage(random);
    const archive = brokenArchive(random);
    try {
      checkMessage(message, random);
      await checkArchive(archive);
    } catch (error) {
      const input = `${message.toString('base64')} ${archive.toString('base64')}`;
      throw new Error(`seed ${seed}, round ${round}: ${input}`, { cause: error });
    }
  }
  return rounds;
}
