/** Base64 in lines of one length is read without a look at each byte: what comes of it is the same as with one. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { finish, MemorySource } from '../../src/mime/byte-source.ts';
import { decodedBytes } from '../../src/mime/decode.ts';
import type { Defect, Part } from '../../src/mime/part.ts';
import { readMime } from '../../src/mime/reader.ts';

/** Numbers that are the same in each run. */
class Dice {
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** @returns 0 or more, less than `sides` */
  roll(sides: number): number {
    this.#seed = (this.#seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((this.#seed / 2 ** 31) * sides);
  }

  of<T>(some: readonly T[]): T {
    return some[this.roll(some.length)] as T;
  }
}

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Byte by byte, and as slow as it is plain. */
function reference(body: string): { data: Buffer; defects: Set<Defect> } {
  const defects = new Set<Defect>();
  const bits: number[] = [];
  const out: number[] = [];
  let isPadded = false;
  const flush = () => {
    if (bits.length === 1) defects.add('junk in base64');
    const all = bits.reduce((value, six) => value * 64 + six, 0) * 64 ** (4 - bits.length);
    for (let i = 0; i + 1 < bits.length; i++) out.push(Math.floor(all / 256 ** (2 - i)) % 256);
    bits.length = 0;
  };
  for (const character of body) {
    const six = LETTERS.indexOf(character);
    if (six >= 0) {
      if (isPadded) defects.add('base64 after its end');
      isPadded = false;
      bits.push(six);
      if (bits.length === 4) flush();
    } else if (character === '=') {
      flush();
      isPadded = true;
    } else if (!/[ \t\n\v\f\r\xa0]/.test(character)) defects.add('junk in base64');
  }
  flush();
  if (body.includes('\0')) defects.add('NUL');
  if (/\r(?!\n)/.test(body)) defects.add('bare CR');
  if (/(?<!\r)\n/.test(body)) defects.add('bare LF');
  return { data: Buffer.from(out), defects };
}

function noise(size: number): Buffer {
  const pieces = Array.from({ length: Math.ceil(size / 64) }, (_, i) =>
    createHash('sha512').update(`${i}`).digest(),
  );
  return Buffer.concat(pieces).subarray(0, size);
}

function inLines(text: string, length: number): string {
  const lines = Array.from({ length: Math.ceil(text.length / length) }, (_, i) =>
    text.slice(i * length, (i + 1) * length),
  );
  return lines.join('\r\n');
}

const HEAD =
  'Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\n';
const ODD = [
  '-',
  '_',
  '=',
  '!',
  '\r',
  '\n',
  '\0',
  ' ',
  '\xff',
  '--b',
  '\r\n',
  '\r\r\n',
  '\n--x',
  'begin 644 x\r\n',
];

/** The part with the body, and what is odd of message and body; the body is in one part. */
function readBody(body: string): { part: Part; data: Buffer; defects: Set<Defect> } {
  const source = new MemorySource(Buffer.from(`${HEAD}${body}\r\n--b--\r\n`, 'latin1'));
  const { parts, defects: ofMessage } = finish(readMime(source));
  const [, part] = parts as [Part, Part];
  const defects = new Set(ofMessage);
  const data = finish(decodedBytes(part, 1e9, defects)) as Buffer;
  return { part, data, defects };
}

describe('base64 in regular lines', () => {
  it('is what it stands for, whatever the length of lines', () => {
    const data = noise(150_000);
    const text = data.toString('base64');
    for (const length of [4, 60, 64, 71, 74, 75, 76, 77, 78, 990, 70_000]) {
      const body = inLines(text, length);
      const found = readBody(body);
      assert.ok(found.data.equals(data), `${length}`);
      assert.deepEqual([...found.defects], [], `${length}`);
      assert.equal(found.part.end - found.part.bodyStart, body.length, `${length}`);
    }
  });

  it('with anything odd anywhere: the same bytes and defects as byte by byte', () => {
    const dice = new Dice(7);
    const text = noise(60_000).toString('base64');
    for (let round = 0; round < 300; round++) {
      const length = dice.of([20, 75, 76, 76, 76]);
      const size = dice.of([900, 5000, 70_000]);
      let body = inLines(text.slice(0, size - (size % 4)), length);
      for (let odd = dice.roll(3) + 1; odd > 0; odd--) {
        const at = dice.roll(body.length);
        const cut = dice.of([0, 0, 1, 2]);
        body = body.slice(0, at) + dice.of(ODD) + body.slice(at + cut);
      }
      // A delimiter at the beginning of a line would end the part.
      body = body.replace(/(^|\n)--(b|x)/g, '$1-+$2');
      const found = readBody(body);
      const expected = reference(body);
      assert.equal(found.part.end - found.part.bodyStart, body.length, JSON.stringify(body.slice(0, 300)));
      assert.ok(found.data.equals(expected.data), `round ${round}`);
      assert.deepEqual([...found.defects].sort(), [...expected.defects].sort(), `round ${round}`);
    }
  });

  it('with delimiters among its lines: each ends a part', () => {
    const dice = new Dice(11);
    const text = noise(60_000).toString('base64');
    for (let round = 0; round < 60; round++) {
      const lines = inLines(text.slice(0, dice.of([2000, 70_000])), 76)
        .split('\r\n')
        .map((line) => `${line}\r\n`);
      const count = dice.roll(4) + 1;
      for (let i = 0; i < count; i++) {
        lines.splice(dice.roll(lines.length + 1), 0, '--b\r\nContent-Transfer-Encoding: base64\r\n\r\n');
      }
      const body = lines.join('');
      const source = new MemorySource(Buffer.from(`${HEAD}${body}--b--\r\n`, 'latin1'));
      const { parts } = finish(readMime(source));
      const expected = `${HEAD}${body}`.split('--b\r\nContent-Transfer-Encoding: base64\r\n\r\n').slice(1);
      assert.equal(parts.length, expected.length + 1, `round ${round}`);
      for (const [i, part] of parts.slice(1).entries()) {
        const bytes = source.read(part.bodyStart, part.end - part.bodyStart).toString('latin1');
        assert.equal(bytes, expected[i]?.replace(/\r\n$/, ''), `round ${round}, part ${i}`);
      }
    }
  });
});
