/** Messages and archives that are made to harm who looks into them. */
import { createHash } from 'node:crypto';
import { deflateRawSync, gzipSync } from 'node:zlib';
import * as samples from '../../mime/archive-samples.ts';
import { zip } from '../../mime/zip-builder.ts';

export interface Hostile {
  readonly name: string;
  readonly message: Buffer;
  /** What must be among its defects. */
  readonly defect?: string;
}

const latin1 = (text: string) => Buffer.from(text, 'latin1');

function attached(data: Buffer, type = 'application/zip'): Buffer {
  const lines = data.toString('base64').replace(/.{1,76}/g, '$&\r\n');
  return latin1(
    `Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: ${type}; name=a.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n${lines}\r\n--b--\r\n`,
  );
}

const text = (message: string) => latin1(message.replace(/\n/g, '\r\n'));

/** Bytes that differ with each number and cannot be packed. */
function noise(number: number, size: number): Buffer {
  const pieces = Array.from({ length: Math.ceil(size / 32) }, (_, i) =>
    createHash('sha256').update(`${number} ${i}`).digest(),
  );
  return Buffer.concat(pieces).subarray(0, size);
}

/** With a number of the archive at a place of its end record overwritten. */
function withEnd(archive: Buffer, offset: number, value: number, width: 2 | 4): Buffer {
  const changed = Buffer.from(archive);
  const end = changed.lastIndexOf(latin1('PK\x05\x06'));
  changed.writeUIntLE(value, end + offset, width);
  return changed;
}

/** A 7z archive whose directory, or what leads to it, lies behind `packed`. */
function sevenZipStart(directory: Buffer, packed: Buffer): Buffer {
  const start = Buffer.alloc(32);
  start.write("7z\xbc\xaf'\x1c\0\x04", 'latin1');
  start.writeBigUInt64LE(BigInt(packed.length), 12);
  start.writeBigUInt64LE(BigInt(directory.length), 20);
  return Buffer.concat([start, packed, directory]);
}

/** With a directory of `size` bytes, as it says, packed with LZMA. */
function sevenZip(packed: Buffer, size: number, properties: number): Buffer {
  const number = (value: number) => {
    const bytes = Buffer.alloc(9, 0xff);
    bytes.writeBigUInt64LE(BigInt(value), 1);
    return bytes.toString('latin1');
  };
  const lzma = `\x23\x03\x01\x01\x05${String.fromCharCode(properties)}\0\0\x01\0`;
  const directory = `\x17\x06\0\x01\x09${number(packed.length)}\0\x07\x0b\x01\0\x01${lzma}\x0c${number(size)}\0\0`;
  return sevenZipStart(latin1(directory), packed);
}

function archives(): Hostile[] {
  const all: Hostile[] = [];
  const add = (name: string, data: Buffer, defect?: string) =>
    all.push({ name, message: attached(data), ...(defect !== undefined && { defect }) });
  const small = zip([{ name: 'a.exe', data: 'MZ' }]);
  // Bombs: archives of nothing but zeros, one in the other, and many beside each other.
  for (const size of [1e6, 5e6, 20e6, 60e6]) {
    const bomb = { name: 'a.zip', data: Buffer.concat([small, Buffer.alloc(size)]), deflate: true };
    add(`a bomb of ${size} bytes`, zip([bomb]), 'archive: ratio');
    add(
      `ten bombs of ${size / 10} bytes`,
      zip(Array(10).fill({ ...bomb, data: Buffer.concat([small, Buffer.alloc(size / 10)]) })),
      'archive: ratio',
    );
    add(`a bomb of ${size} bytes in gzip`, gzipSync(Buffer.alloc(size)));
  }
  // As many bytes as may be unpacked, and more: half of them cannot be packed, so that the ratio is small.
  const half = Buffer.concat([small, noise(1, 100_000), Buffer.alloc(9_000_000)]);
  for (const count of [7, 8, 20]) {
    const packed = zip(
      Array.from({ length: count }, (_, i) => ({ name: `${i}.zip`, data: half, deflate: true })),
    );
    add(
      `${count} archives of nine million bytes`,
      packed,
      count * half.length > 64 * 1024 * 1024 ? 'archive: size' : undefined,
    );
  }
  for (const depth of [1, 2, 3, 4, 5, 10, 50]) {
    for (const deflate of [false, true]) {
      let inner = small;
      for (let level = 0; level < depth; level++) inner = zip([{ name: 'z', data: inner, deflate }]);
      add(`${depth} archives in archives, ${deflate}`, inner, depth > 3 ? 'archive: depth' : undefined);
    }
  }
  // Each has two of the next: the names of all are two to the power of the depth.
  let twice = small;
  for (let level = 0; level < 3; level++) {
    twice = zip(Array.from({ length: 40 }, (_, i) => ({ name: `${i}`, data: twice })));
  }
  add('forty archives, in each of forty, in each of forty', twice, 'archive: names');
  for (const count of [9_999, 10_001, 66_000]) {
    const many = zip(Array.from({ length: count }, (_, i) => ({ name: `${i}` })));
    add(`${count} files`, many, count > 10_000 ? 'archive: names' : undefined);
    add(
      `${count} files, without a directory`,
      zip(
        Array.from({ length: count }, (_, i) => ({ name: `${i}` })),
        { directory: false },
      ),
      count > 10_000 ? 'archive: names' : 'archive: no directory',
    );
  }
  for (const length of [1000, 60_000]) {
    add(
      `names of ${length} bytes`,
      zip(Array.from({ length: 20 }, (_, i) => ({ name: `${i}`.padEnd(length, 'n') }))),
      length === 60_000 ? 'archive: names' : undefined,
    );
  }
  for (const [field, offset, width] of [
    ['entries', 10, 2],
    ['size', 12, 4],
    ['offset', 16, 4],
    ['comment', 20, 2],
  ] as const) {
    for (const value of [0, 1, 0x7fff, 0xffff])
      add(`${field} of ${value}`, withEnd(small, offset, value, width));
    if (width === 4)
      for (const value of [0x7fffffff, 0xffffffff])
        add(`${field} of ${value}`, withEnd(small, offset, value, width));
  }
  // Local headers and directory that say other sizes, methods and places.
  for (const offset of [6, 8, 18, 22, 26, 28]) {
    for (const value of [0, 1, 0xff, 0xffff]) {
      const local = Buffer.from(small);
      local.writeUInt16LE(value, offset);
      add(`local field ${offset} of ${value}`, local);
    }
  }
  const at = small.indexOf(latin1('PK\x01\x02'));
  for (const offset of [8, 10, 20, 24, 28, 30, 32, 42]) {
    for (const value of [0xff, 0xffff]) {
      const central = Buffer.from(small);
      central.writeUInt16LE(value, at + offset);
      add(`directory field ${offset} of ${value}`, central);
    }
  }
  // All entries of a directory are the same file, which is an archive.
  const one = zip([{ name: 'a', data: small, deflate: true }]);
  const place = one.indexOf(latin1('PK\x01\x02'));
  const entry = one.subarray(place, one.lastIndexOf(latin1('PK\x05\x06')));
  const overlapping = Buffer.concat([
    one.subarray(0, place),
    ...Array(5000).fill(entry),
    one.subarray(place + entry.length),
  ]);
  const end = overlapping.lastIndexOf(latin1('PK\x05\x06'));
  overlapping.writeUInt32LE(entry.length * 5000, end + 12);
  add('five thousand times the same file', overlapping);
  for (const signature of ['PK\x03\x04', 'PK\x01\x02', 'PK\x05\x06', 'PK\x06\x06', 'PK\x06\x07']) {
    add(`signatures ${JSON.stringify(signature)} alone`, latin1(signature.repeat(50_000)));
    add(
      `an archive and signatures ${JSON.stringify(signature)}`,
      Buffer.concat([small, latin1(signature.repeat(20_000))]),
    );
  }
  // A stream that is packed data without end, and one that is none.
  const damaged = deflateRawSync(noise(2, 50_000)).subarray(0, 30_000);
  add('a file that is cut off', zip([{ name: 'a.zip', data: damaged, flags: 0 }]));
  for (let seed = 0; seed < 10; seed++)
    add(`an archive in noise ${seed}`, Buffer.concat([small, noise(seed, 5000), small.subarray(0, 60)]));
  // Tape archives.
  const header = (size: string, kind: string, name = 'a') => {
    const block = Buffer.alloc(512);
    block.write(name, 0, 'latin1');
    block.write(size, 124, 'latin1');
    block.write(kind, 156, 'latin1');
    block.write('ustar\0', 257, 'latin1');
    return block;
  };
  for (const size of [
    '00000000000',
    '77777777777',
    '-1',
    'x',
    '\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
  ]) {
    for (const kind of ['0', 'L', 'x', 'g', ''])
      add(
        `a tape of ${JSON.stringify(size)} ${kind}`,
        Buffer.concat([header(size, kind), header('0', '0', 'b')]),
      );
  }
  add(
    'a tape of twenty thousand files',
    Buffer.concat(Array(20_000).fill(header('0', '0'))),
    'archive: names',
  );
  // The same, packed: files in gzip are looked into where they are archives.
  add(
    'a packed tape of twenty thousand files',
    gzipSync(Buffer.concat(Array(20_000).fill(header('0', '0')))),
    'archive: names',
  );
  for (const size of [1e6, 50e6, 150e6]) {
    const tape = Buffer.concat([header('0', '0'), header(size.toString(8), '0'), Buffer.alloc(size)]);
    add(`a packed tape of ${size} bytes`, gzipSync(tape), 'archive: ratio');
  }
  const tape = Buffer.concat([header('17000000000', '0'), noise(3, 1e6)]);
  add('a packed tape that is cut off', gzipSync(tape), 'archive: cut off');
  for (const depth of [2, 10, 1000]) {
    let packed = gzipSync('MZ');
    for (let level = 1; level < depth; level++) packed = gzipSync(packed, { level: 0 });
    add(`${depth} times gzip`, packed, depth > 4 ? 'archive: depth' : undefined);
  }
  // 7z: directories that are large, packed again and again, or no packed bytes at all.
  for (const size of [0, 1e6, 2 ** 45]) {
    for (const [kind, data] of [
      ['zeros', Buffer.alloc(200_000)],
      ['noise', Buffer.concat([Buffer.alloc(1), noise(4, 300_000)])],
      ['nothing', Buffer.alloc(0)],
    ] as const) {
      for (const properties of [0x5d, 224, 255]) {
        add(
          `7z with ${size} bytes of ${kind} as its directory, ${properties}`,
          sevenZip(data, size, properties),
        );
      }
    }
  }
  const folders = Buffer.concat([
    latin1('\x01\x04\x07\x0b\xf0\xff\xff\xff\x7f\0'),
    Buffer.alloc(300_000, '\x01\x01\0', 'latin1'),
  ]);
  add('7z with two thousand million chains', sevenZipStart(folders, Buffer.alloc(0)), 'archive: names');
  for (const at of [32, 33, 40, 60, 100, 150, 200, 250]) {
    for (const value of [0, 0x0f, 0xff]) {
      const changed = Buffer.from(samples.plain7z);
      changed[Math.min(at, changed.length - 1)] = value;
      add(`7z with ${value} at ${at}`, changed);
    }
  }
  // RAR: blocks of no size, and as many as there is room for.
  const blocks = (front: string, block: Buffer) =>
    Buffer.concat([latin1(front), ...Array(60_000).fill(block)]);
  add('blocks of RAR 4', blocks('Rar!\x1a\x07\0', latin1('\0\0\x77\0\0\x07\0')));
  add('blocks of RAR 5', blocks('Rar!\x1a\x07\x01\0', latin1('\0\0\0\0\x03\x03\0\0')));
  const newFile = latin1('\0\0\0\0\x0b\x02\0\0\0\0\0\0\x01abc');
  add('files of RAR 5', blocks('Rar!\x1a\x07\x01\0', newFile), 'archive: names');
  for (const kind of ['\0', '\x01\0']) {
    for (const byte of ['\0', '\x07', '\x80', '\xff'])
      add(
        `RAR ${JSON.stringify(kind)} and ${JSON.stringify(byte)}`,
        latin1(`Rar!\x1a\x07${kind}${byte.repeat(50_000)}`),
      );
  }
  for (const flags of [0, 4, 8, 16, 0xff])
    add(
      `gzip with flags ${flags}`,
      latin1(`\x1f\x8b\x08${String.fromCharCode(flags)}\0\0\0\0\0\0\xff\xff${'n'.repeat(5000)}`),
    );
  return all;
}

function messages(): Hostile[] {
  const all: Hostile[] = [];
  const add = (name: string, message: string, defect?: string) =>
    all.push({ name, message: text(message), ...(defect !== undefined && { defect }) });
  const blank = ' '.repeat(60_000);
  const inside = (lines: readonly string[]) => `${lines.join('\n')}\n`;
  for (const count of [40, 49, 60, 500, 2000]) {
    const nest = Array.from(
      { length: count },
      (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\n\n--b${i}`,
    );
    add(`${count} multiparts in multiparts`, inside(nest), count > 50 ? 'depth' : undefined);
    add(
      `${count} messages in messages`,
      inside(Array(count).fill('Content-Type: message/rfc822\n')),
      count > 50 ? 'depth' : undefined,
    );
  }
  for (const depth of [1, 5, 12]) {
    let message = 'Subject: x\n\nhello\n';
    for (let level = 0; level < depth; level++) {
      const encoded = latin1(message)
        .toString('base64')
        .replace(/.{1,76}/g, '$&\n');
      message = `Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${encoded}`;
    }
    add(`${depth} encoded messages in each other`, message);
  }
  for (const count of [999, 1001, 20_000]) {
    const parts = `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(count)}--b--\n`;
    add(`${count} parts`, parts, count > 1000 ? 'parts' : undefined);
    add(
      `${count} files in uuencode`,
      `Subject: x\n\n${'begin 644 a\n#0V%T\n`\nend\n'.repeat(count)}`,
      count > 1000 ? 'parts' : 'uuencode in text',
    );
  }
  const values: Readonly<Record<string, string>> = {
    brackets: '('.repeat(50_000),
    quotes: '"'.repeat(50_000),
    backslashes: `"${'\\'.repeat(50_000)}`,
    semicolons: ';'.repeat(50_000),
    'equals signs': '='.repeat(50_000),
    stars: `${'name*0*=a;'.repeat(5000)}`,
    sections: Array.from({ length: 999 }, (_, i) => `name*${i}=x`).join(';'),
    percents: `name*=utf-8''${'%41'.repeat(15_000)}`,
    'encoded words': `name="${'=?utf-8?B?QUFB?= '.repeat(3000)}"`,
    'beginnings of words': `name="${'=?x?Q?'.repeat(8000)}"`,
    blanks: `name="x${blank}y"`,
  };
  for (const [name, value] of Object.entries(values)) {
    add(`a type of ${name}`, `Content-Type: a/b;${value}\n\nx\n`);
    add(`a disposition of ${name}`, `Content-Disposition: attachment;${value}\n\nx\n`);
    add(
      `a boundary of ${name}`,
      `Content-Type: multipart/mixed; boundary="${value.replaceAll('"', '')}"\n\n--x\n\ny\n`,
    );
  }
  for (const [name, body] of Object.entries({
    'quoted-printable of blanks': blank.repeat(10),
    'quoted-printable of equals signs': '='.repeat(300_000),
    'quoted-printable of soft ends': '=\n'.repeat(100_000),
    'base64 of equals signs': '='.repeat(300_000),
    'base64 in letters with blanks': 'Q U I D '.repeat(50_000),
    'base64 with an end in each group': 'QQ=='.repeat(50_000),
    'x-uuencode without end': `begin 644 a\n${'M'.repeat(300_000)}`,
  })) {
    const [encoding = ''] = name.split(' ');
    add(name, `Content-Type: text/html\nContent-Transfer-Encoding: ${encoding}\n\n${body}\n`);
  }
  for (const piece of ['<', '<a ', '<a "', '<!--', '&', '&#', '</', '<script>', '<p>', '<meta charset=']) {
    add(`HTML of ${piece}`, `Content-Type: text/html\n\n${piece.repeat(300_000 / piece.length)}\n`);
  }
  for (const charset of ['utf-7', 'utf-16', 'utf-32', 'iso-2022-jp', 'hz-gb-2312', 'big5', 'x-nobody']) {
    add(
      `text in ${charset}`,
      `Content-Type: text/plain; charset=${charset}\n\n${'+AG\x1b$B~{\xd8\0'.repeat(20_000)}\n`,
    );
  }
  return all;
}

export const HOSTILE: readonly Hostile[] = [...archives(), ...messages()];
