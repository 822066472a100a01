/** Archives that hide something, and those that eat memory: made here byte by byte, and with real tools. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ARCHIVE_LIMITS, type ArchiveLimits, filesIn } from '../../src/mime/archive.ts';
import type { ArchiveDefect } from '../../src/mime/archive-entry.ts';
import { finish } from '../../src/mime/byte-source.ts';
import { unpackLzma } from '../../src/mime/lzma.ts';
import * as samples from './archive-samples.ts';
import { zip } from './zip-builder.ts';

/** Of this process, ms: what others do at the time does not count. */
const processorTime = () => process.cpuUsage().user / 1000;

interface Seen {
  readonly type: string | undefined;
  readonly names: readonly string[] | undefined;
  readonly encrypted: readonly string[] | undefined;
  readonly trouble: string | undefined;
  readonly defects: readonly ArchiveDefect[];
  /** The longest time without a pause, ms. */
  readonly longest: number;
}

async function look(bytes: Buffer, limits?: Partial<ArchiveLimits>): Promise<Seen> {
  const defects = new Set<ArchiveDefect>();
  const work = filesIn(bytes, defects, { ...ARCHIVE_LIMITS, ...limits });
  let longest = 0;
  for (;;) {
    const begin = processorTime();
    const { value, done } = work.next();
    longest = Math.max(longest, processorTime() - begin);
    if (!done) {
      await value;
      continue;
    }
    return {
      type: value?.type,
      names: value?.files?.map(({ name }) => name),
      trouble: value?.trouble,
      encrypted: value?.files?.filter(({ isEncrypted }) => isEncrypted).map(({ name }) => name),
      defects: [...defects],
      longest,
    };
  }
}

const seen = async (bytes: Buffer, limits?: Partial<ArchiveLimits>) => {
  const { names, defects } = await look(bytes, limits);
  return { names, defects };
};

const decoded = (name: string) => Buffer.from(name, 'latin1').toString();

/** A header of a tar archive, with a checksum. */
function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write(size.toString(8).padStart(11, '0'), 124);
  header.write('0', 156);
  header.fill(' ', 148, 156);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

describe('ZIP archives', () => {
  it('show encrypted files', async () => {
    const { names, encrypted } = await look(zip([{ name: 'a', flags: 1 }, { name: 'b' }]));
    assert.deepEqual([names, encrypted], [['a', 'b'], ['a']]);
  });

  it('behind a program, with a comment, and with junk at the end', async () => {
    const archive = zip([{ name: 'a.txt', data: 'x' }], { comment: 'PK\x05\x06 not the end' });
    const junk = Buffer.concat([Buffer.from('MZ'.repeat(500)), archive, Buffer.alloc(30_000, 'j')]);
    assert.deepEqual(await seen(junk), { names: ['a.txt'], defects: [] });
  });

  it('with a file that the directory leaves out', async () => {
    const archive = zip([
      { name: 'a.txt', data: 'x' },
      { name: 'evil.exe', data: 'y', listedAs: null },
      { name: 'b' },
    ]);
    assert.deepEqual(await seen(archive), {
      names: ['a.txt', 'b', 'evil.exe'],
      defects: ['file not in the directory'],
    });
  });

  it('with another name in the directory', async () => {
    assert.deepEqual(await seen(zip([{ name: 'evil.exe', listedAs: 'good.txt' }])), {
      names: ['good.txt', 'evil.exe'],
      defects: ['names that differ'],
    });
  });

  it('without a directory', async () => {
    assert.deepEqual(await seen(zip([{ name: 'a' }, { name: 'b' }], { directory: false })), {
      names: ['a', 'b'],
      defects: ['no directory'],
    });
  });

  it('with names that lead elsewhere', async () => {
    const names = ['../../etc/passwd', '/etc/passwd', 'C:\\x.exe', 'a\0b.exe', ''];
    // A NUL ends the name for some programs.
    assert.deepEqual(await seen(zip(names.map((name) => ({ name })))), {
      names: [...names.slice(0, 4), 'a', ''],
      defects: ['names that differ'],
    });
  });

  it('with several names for a file', async () => {
    // Info-ZIP's Unicode path, which Windows does not know.
    const extra = (name: string) => {
      const field = Buffer.alloc(9);
      field.writeUInt16LE(0x7075, 0);
      field.writeUInt16LE(5 + name.length, 2);
      field[4] = 1;
      return Buffer.concat([field, Buffer.from(name, 'latin1')]);
    };
    const withExtra = (name: string, unicode: string) => {
      const whole = zip([{ name }]);
      const field = extra(unicode);
      const local = Buffer.from(whole.subarray(0, 30 + name.length));
      local.writeUInt16LE(field.length, 28);
      const central = Buffer.from(whole.subarray(local.length, local.length + 46 + name.length));
      central.writeUInt16LE(field.length, 30);
      const end = Buffer.from(whole.subarray(-22));
      end.writeUInt32LE(central.length + field.length, 12);
      end.writeUInt32LE(local.length + field.length, 16);
      return Buffer.concat([local, field, central, field, end]);
    };
    assert.deepEqual(await seen(withExtra('evil.exe', 'good.txt')), {
      names: ['good.txt', 'evil.exe'],
      defects: ['names that differ'],
    });
    assert.deepEqual(await seen(withExtra('_bung.txt', '\xc3\x9cbung.txt')), {
      names: ['\xc3\x9cbung.txt'],
      defects: [],
    });
  });

  it('with two directories, of which programs take one or the other', async () => {
    const evil = zip([{ name: 'evil.exe' }]);
    const good = zip([{ name: 'good.txt' }]);
    const local = 30 + 'evil.exe'.length;
    const both = Buffer.concat([evil.subarray(0, -22), good]);
    both.writeUInt32LE(local, both.length - 6);
    for (const bytes of [both, Buffer.concat([Buffer.from('x'), both])]) {
      if (bytes !== both) bytes.writeUInt32LE(local + 1, bytes.length - 6);
      const { names, defects } = await seen(bytes);
      assert.deepEqual([...new Set(names)].sort(), ['evil.exe', 'good.txt']);
      assert.ok(defects.length > 0, defects.join());
    }
  });

  it('whose end says that nothing is in it', async () => {
    const evil = zip([{ name: 'evil.exe' }], { comment: zip([]).toString('latin1') });
    assert.deepEqual((await seen(evil)).names, ['evil.exe']);
  });

  it('behind what looks like another archive', async () => {
    const evil = zip([{ name: 'evil.exe' }]);
    for (const [front, names] of [
      ['Rar!\x1a\x07\0', ['evil.exe']],
      ['BZh91AY', ['evil.exe']],
      [gzipSync('x').toString('latin1'), ['', 'evil.exe']],
      [tarHeader('good.txt', 0).toString('latin1'), ['good.txt', 'evil.exe']],
    ] as const) {
      const { names: found } = await seen(Buffer.concat([Buffer.from(front, 'latin1'), evil]));
      assert.deepEqual(found, names, front.slice(0, 8));
    }
  });

  it('in archives, packed or not, whatever their names', async () => {
    const inner = zip([{ name: 'evil.js', data: 'x'.repeat(100) }]);
    const middle = zip([{ name: 'inner.txt', data: inner, deflate: true }]);
    assert.deepEqual(await seen(zip([{ name: 'middle.zip', data: middle }])), {
      names: ['middle.zip', 'middle.zip/inner.txt', 'middle.zip/inner.txt/evil.js'],
      defects: [],
    });
  });

  it('deeper than the limit', async () => {
    let archive = zip([{ name: 'end' }]);
    for (let level = 0; level < 6; level++) archive = zip([{ name: 'z', data: archive }]);
    assert.deepEqual(await seen(archive), { names: ['z', 'z/z', 'z/z/z', 'z/z/z/z'], defects: ['depth'] });
  });

  it('that grow without measure are left packed', async () => {
    const bomb = zip([
      { name: 'zeros.zip', data: Buffer.concat([zip([{ name: 'a' }]), Buffer.alloc(5e6)]), deflate: true },
    ]);
    assert.deepEqual(await seen(bomb), { names: ['zeros.zip'], defects: ['ratio'] });
    const large = zip([{ name: 'a.zip', data: zip([{ name: 'a', data: Buffer.alloc(50_000, 'x') }]) }]);
    // What is stored as it is costs nothing.
    assert.deepEqual(await seen(large, { unpackedBytes: 40_000 }), {
      names: ['a.zip', 'a.zip/a'],
      defects: [],
    });
    const packed = zip([
      { name: 'a.zip', data: zip([{ name: 'a', data: Buffer.alloc(50_000, 'x') }]), deflate: true },
    ]);
    assert.deepEqual(await seen(packed, { unpackedBytes: 40_000, ratio: 1e6 }), {
      names: ['a.zip'],
      defects: ['size'],
    });
  });

  it('with more names than the limit', async () => {
    const many = zip(Array.from({ length: 12_000 }, (_, i) => ({ name: `file-${i}` })));
    const { names, defects, longest } = await look(many);
    assert.equal(names?.length, 10_000);
    assert.deepEqual(defects, ['names']);
    assert.ok(longest < 500, `${longest} ms`);
    assert.deepEqual(
      (await look(zip([{ name: 'x'.repeat(900) }, { name: 'y'.repeat(900) }]), { nameBytes: 1000 })).defects,
      ['names'],
    );
  });

  it('cut off anywhere, or with any byte changed, end in an answer', async () => {
    const inner = zip([{ name: 'b.txt', data: 'hello', deflate: true }]);
    const archive = zip(
      [
        { name: 'a.zip', data: inner, deflate: true },
        { name: 'c', data: 'x' },
      ],
      { comment: 'c' },
    );
    for (let length = 0; length < archive.length; length++) await look(archive.subarray(0, length));
    for (let at = 0; at < archive.length; at++) {
      for (const value of [0, 0xff, 0x50]) {
        const changed = Buffer.from(archive);
        changed[at] = value;
        await look(changed);
      }
    }
  });

  it('of signatures alone', async () => {
    for (const text of ['PK\x05\x06', 'PK\x03\x04', 'PK\x01\x02', 'PK\x06\x07']) {
      const { longest } = await look(Buffer.from(text.repeat(200_000), 'latin1'));
      assert.ok(longest < 500, `${longest} ms`);
    }
  });

  it('places where a directory might end are looked at a thousand at a time', () => {
    const work = filesIn(Buffer.from('PK\x05\x06'.repeat(60_000), 'latin1'), new Set());
    assert.ok([...work].length > 50);
  });
});

describe('other archives', () => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-archive-'));
  after(() => rmSync(directory, { recursive: true }));
  const tar = (...options: string[]) => execFileSync('tar', ['-C', directory, '-cf', '-', ...options]);
  const long = `${'d'.repeat(90)}/${'n'.repeat(120)}.txt`;
  execFileSync('mkdir', ['-p', join(directory, 'd'.repeat(90))]);
  for (const name of ['a.txt', 'ü.exe', long]) writeFileSync(join(directory, name), 'hello');

  for (const format of ['gnu', 'pax', 'ustar']) {
    it(`tar, as ${format}`, async () => {
      const { type, names, defects } = await look(
        tar(`--format=${format}`, 'a.txt', 'ü.exe', ...(format === 'ustar' ? [] : [long])),
      );
      const expected = ['a.txt', 'ü.exe', ...(format === 'ustar' ? [] : [long])];
      assert.equal(type, 'tar');
      assert.deepEqual(
        names?.map((name) => Buffer.from(name, 'latin1').toString()),
        expected,
      );
      assert.deepEqual(defects, []);
    });
  }

  it('tar, where programs go on', async () => {
    const evil = tarHeader('evil.exe', 0);
    const nameless = tarHeader('', 0);
    const record = (key: string, value: string) => {
      const rest = ` ${key}=${value}\n`;
      return `${rest.length + 2}${rest}`;
    };
    const pax = (text: string, name: string, size: number) => {
      const header = tarHeader('pax', text.length);
      header[156] = 'x'.charCodeAt(0);
      header.write('        ', 148, 'latin1');
      const sum = header.reduce((all, byte) => all + byte, 0);
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      return Buffer.concat([header, Buffer.from(text.padEnd(512, '\0')), tarHeader(name, size)]);
    };
    const end = Buffer.alloc(1024);
    const good = tarHeader('good.txt', 0);
    for (const [tar, names] of [
      [
        [good, Buffer.alloc(512), evil],
        ['good.txt', 'evil.exe'],
      ],
      [
        [good, nameless, evil],
        ['good.txt', '', 'evil.exe'],
      ],
      [
        [good, Buffer.alloc(512, '777'), evil],
        ['good.txt', 'evil.exe'],
      ],
      [[pax(record('path', 'good.txt') + record('path', 'evil.exe'), 'x', 0)], ['evil.exe']],
      [[pax(record('comment', '\n17 path=good.txt\n'), 'evil.exe', 0)], ['evil.exe']],
      [
        [pax(record('size', '0'), 'good.txt', 512), evil],
        ['good.txt', 'evil.exe'],
      ],
      [
        [pax(record('size', '512'), 'good.txt', 0), evil, good],
        ['good.txt', 'good.txt/evil.exe', 'good.txt'],
      ],
    ] as [Buffer[], string[]][]) {
      assert.deepEqual((await seen(Buffer.concat([...tar, end]))).names, names);
    }
  });

  it('gzip, with and without a name; tar without its signature', async () => {
    execFileSync('gzip', ['-kf', join(directory, 'a.txt')]);
    assert.deepEqual(await seen(readFileSync(join(directory, 'a.txt.gz'))), {
      names: ['a.txt'],
      defects: [],
    });
    const nameless = execFileSync('gzip', ['-nc', join(directory, 'a.txt')]);
    assert.deepEqual(await seen(nameless), { names: [''], defects: [] });
    assert.deepEqual(await seen(Buffer.concat([tarHeader('old', 0), Buffer.alloc(1024)])), {
      names: ['old'],
      defects: [],
    });
  });

  it('tar in gzip, as the files of the tar', async () => {
    const packed = tar('-z', '--format=gnu', 'a.txt', 'ü.exe', long);
    const { type, names, defects } = await look(packed);
    assert.equal(type, 'gzip');
    assert.deepEqual(names?.map(decoded), ['a.txt', 'ü.exe', long]);
    assert.deepEqual(defects, []);
    writeFileSync(join(directory, 'b.tar'), tar('a.txt'));
    execFileSync('gzip', ['-f', join(directory, 'b.tar')]);
    assert.deepEqual(await seen(readFileSync(join(directory, 'b.tar.gz'))), {
      names: ['b.tar', 'a.txt'],
      defects: [],
    });
  });

  it('tar in gzip that is cut off, or too large, as far as it may be read', async () => {
    const packed = tar('-z', 'a.txt', 'ü.exe');
    assert.deepEqual(await seen(packed.subarray(0, packed.length - 20)), {
      names: ['a.txt', '\xc3\xbc.exe'],
      defects: ['cut off'],
    });
    assert.deepEqual(await seen(packed, { unpackedBytes: 1000 }), {
      names: ['a.txt', '\xc3\xbc.exe'],
      defects: ['size'],
    });
    const zeros = gzipSync(
      Buffer.concat([tar('a.txt').subarray(0, 1024), tarHeader('big', 50e6), Buffer.alloc(50e6)]),
    );
    assert.deepEqual(await seen(zeros), { names: ['a.txt', 'big'], defects: ['ratio', 'cut off'] });
  });

  it('TNEF, with all names of a file, and what is in it', async () => {
    const attribute = (id: number, data: Buffer) => {
      const head = Buffer.alloc(9, 2);
      head.writeUInt32LE(id, 1);
      head.writeUInt32LE(data.length, 5);
      return Buffer.concat([head, data, Buffer.alloc(2)]);
    };
    const property = (type: number, id: number, value: Buffer) => {
      const head = Buffer.alloc(12);
      head.writeUInt16LE(type, 0);
      head.writeUInt16LE(id, 2);
      head.writeUInt32LE(1, 4);
      head.writeUInt32LE(value.length, 8);
      return Buffer.concat([head, value, Buffer.alloc((4 - (value.length % 4)) % 4)]);
    };
    const file = (short: string, long: string, data: Buffer) =>
      Buffer.concat([
        attribute(0x00069002, Buffer.alloc(14)),
        attribute(0x0006800f, data),
        attribute(0x00018010, Buffer.from(`${short}\0`)),
        attribute(
          0x00069005,
          Buffer.concat([
            Buffer.from([4, 0, 0, 0]),
            Buffer.from([3, 0, 0x21, 0x0e, 0, 0, 0, 0]),
            property(0x102, 0x3702, Buffer.from('abc')),
            property(0x1e, 0x3704, Buffer.from(`${short}\0`)),
            property(0x1f, 0x3707, Buffer.from(`${long}\0`, 'utf16le')),
          ]),
        ),
      ]);
    const tnef = Buffer.concat([
      Buffer.from('\x78\x9f\x3e\x22\x01\0', 'latin1'),
      attribute(0x00089006, Buffer.alloc(4)),
      file('INVOIC~1.TXT', 'invoice ü.exe', Buffer.from('MZ')),
      file('a.zip', 'a.zip', zip([{ name: 'in.js' }])),
    ]);
    const { names, defects } = await seen(tnef);
    assert.deepEqual(names?.map(decoded), ['INVOIC~1.TXT', 'invoice ü.exe', 'a.zip', 'a.zip/in.js']);
    assert.deepEqual(defects, []);
    assert.deepEqual((await seen(tnef.subarray(0, -50))).defects, ['cut off']);
    for (let at = 4; at < tnef.length; at++) {
      const broken = Buffer.from(tnef);
      broken[at] = 255;
      assert.equal((await look(broken)).type, 'tnef');
    }
  });

  it('in one another, of any kind', async () => {
    const script = zip([{ name: 'evil.js', data: 'x' }]);
    writeFileSync(join(directory, 'in.zip'), script);
    const packed = tar('-z', 'in.zip');
    const names = ['in.zip', 'in.zip/evil.js'];
    assert.deepEqual(await seen(packed), { names, defects: [] });
    const inside = (name: string, of: readonly string[]) => [name, ...of.map((inner) => `${name}/${inner}`)];
    for (const deflate of [false, true]) {
      const around = (name: string, data: Buffer) => zip([{ name, data, deflate }]);
      assert.deepEqual(await seen(around('a.tgz', packed)), { names: inside('a.tgz', names), defects: [] });
      assert.deepEqual(await seen(around('a.tar', tar('in.zip'))), {
        names: inside('a.tar', names),
        defects: [],
      });
      assert.deepEqual(await seen(around('a.bin', tar('a.txt'))), {
        names: inside('a.bin', ['a.txt']),
        defects: [],
      });
      assert.deepEqual(
        (await look(around('a.7z', samples.plain7z))).names,
        inside('a.7z', ['d/e/', 'd/a.txt']),
      );
      assert.deepEqual(await seen(around('a.rar', samples.rar4Locked)), {
        names: ['a.rar'],
        defects: ['not read'],
      });
      assert.deepEqual(await seen(around('a.xz', Buffer.from('\xfd7zXZ\0', 'latin1'))), {
        names: ['a.xz'],
        defects: ['not read'],
      });
    }
    assert.deepEqual(await seen(gzipSync(gzipSync(gzipSync(gzipSync(gzipSync('x')))))), {
      names: [],
      defects: ['depth'],
    });
  });

  it('the names of archives around count as often as they are shown', async () => {
    const many = zip(Array.from({ length: 1000 }, (_, i) => ({ name: `${i}` })));
    const { names, defects } = await look(zip([{ name: `${'n'.repeat(50_000)}.zip`, data: many }]));
    assert.deepEqual(defects, ['names']);
    assert.equal(names?.length, 20);
  });

  const packed: Readonly<Record<string, { data: Buffer; names: string[]; encrypted?: string[] }>> = {
    '7z': {
      data: samples.packed7z,
      names: [
        'd/',
        'd/e/',
        'd/empty',
        'd/a.txt',
        ...Array.from({ length: 8 }, (_, i) => `d/f${i + 1}.js`),
        'd/ü€.exe',
      ],
    },
    '7z, directory not packed': { data: samples.plain7z, names: ['d/e/', 'd/a.txt'] },
    '7z, each file by itself': {
      data: samples.loose7z,
      names: [
        'd/',
        'd/e/',
        'd/empty',
        'd/a.txt',
        ...Array.from({ length: 8 }, (_, i) => `d/f${i + 1}.js`),
        'd/ü€.exe',
      ],
    },
    '7z by libarchive': {
      data: samples.bsd7z,
      names: [
        'd/a.txt',
        'd/f7.js',
        'd/f6.js',
        'd/f5.js',
        'd/f4.js',
        'd/f3.js',
        'd/f2.js',
        'd/f1.js',
        'd/ü€.exe',
        'd/f8.js',
        'd/empty',
        'd/e/',
        'd/',
      ],
    },
    '7z, encrypted': { data: samples.encrypted7z, names: ['d/empty', 'd/a.txt'], encrypted: ['d/a.txt'] },
    'RAR 3': {
      data: samples.rar4,
      names: ['test.txt', 'testlink', 'testdir/test.txt', 'testdir/', 'testemptydir/'],
    },
    'RAR 4 with names in UTF-16': {
      data: samples.rar4Unicode,
      names: [
        '表だよ/新しいフォルダ/新規テキスト ドキュメント.txt',
        '表だよ/漢字長いファイル名long-filename-in-漢字.txt',
        '表だよ/新しいフォルダ/',
        '表だよ/',
        '表だよ/ファイル',
        'abcdefghijklmnopqrsテスト.txt',
      ],
    },
    'RAR 4, encrypted': {
      data: samples.rar4Encrypted,
      names: ['a.txt', 'b.txt', 'c.txt', 'd.txt'],
      encrypted: ['b.txt', 'd.txt'],
    },
    'RAR 5': { data: samples.rar5, names: ['👋🌎.txt', 'Ⓗⓐⓡⓓ Ⓛⓘⓝⓚ.txt', '𝒮𝓎𝓂𝒷𝑜𝓁𝒾𝒸 𝐿𝒾𝓃𝓀.txt'] },
    'RAR 5 with a folder': {
      data: samples.rar5Folder,
      names: ['payload/inner.zip', 'payload/real_after.txt', 'payload/'],
    },
    'RAR 5, encrypted': {
      data: samples.rar5Encrypted,
      names: ['a.txt', 'b.txt', 'c.txt', 'd.txt'],
      encrypted: ['b.txt', 'd.txt'],
    },
  };
  for (const [name, { data, names, encrypted = [] }] of Object.entries(packed)) {
    it(`${name}, as other programs pack it`, async () => {
      const found = await look(data);
      assert.deepEqual([...(found.names ?? [])].map(decoded).sort(), [...names].sort());
      assert.deepEqual(found.encrypted, encrypted);
      assert.deepEqual(found.defects, []);
      for (let length = 0; length < data.length; length++) await look(data.subarray(0, length));
      for (let at = 0; at < data.length; at++) {
        for (const value of [0, 0x7f, 0x80, 0xff]) {
          const changed = Buffer.from(data);
          changed[at] = value;
          assert.ok(((await look(changed)).names?.length ?? 0) <= ARCHIVE_LIMITS.names);
        }
      }
    });
  }

  it('cut off, with what stands before the cut', async () => {
    const { names, defects } = await look(samples.rar4Unicode.subarray(0, 300));
    assert.ok(names && names.length > 0 && names.length < 6, JSON.stringify(names));
    assert.deepEqual(defects, ['cut off']);
    for (const data of [
      samples.packed7z.subarray(0, 200),
      samples.rar4.subarray(0, 50),
      samples.rar5.subarray(0, 20),
    ]) {
      const found = await look(data);
      assert.deepEqual([found.names, found.trouble, found.defects], [undefined, 'damaged', []]);
    }
  });

  it('whose names are encrypted say so', async () => {
    for (const data of [samples.locked7z, samples.rar4Locked, samples.rar5Locked]) {
      const { names, trouble } = await look(data);
      assert.deepEqual([names, trouble], [undefined, 'locked']);
    }
  });

  it('7z with a directory that is larger than may be unpacked', async () => {
    const { names, defects } = await look(samples.packed7z, { directoryBytes: 250 });
    assert.deepEqual(names?.slice(0, 3), ['d/', 'd/e/', 'd/empty']);
    assert.equal(names?.length, 10);
    assert.deepEqual(defects, ['size', 'cut off']);
  });

  it('LZMA is unpacked as Python does', () => {
    const script = `import lzma, random, sys, base64, json
random.seed(7)
made = []
for lc, lp, pb, size in [(3,0,2,50),(0,0,0,3000),(8,0,4,20000),(0,4,0,20000),(3,1,2,300000)]:
    words = [bytes(random.randrange(256) for _ in range(random.randrange(1, 9))) for _ in range(40)]
    data = b''
    while len(data) < size: data += random.choice(words)
    packed = lzma.compress(data, format=lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "lc": lc if lc + lp <= 4 else 4, "lp": lp, "pb": pb}])
    lc = lc if lc + lp <= 4 else 4
    made.append([(pb * 5 + lp) * 9 + lc, base64.b64encode(packed).decode(), base64.b64encode(data).decode()])
print(json.dumps(made))`;
    const made = JSON.parse(execFileSync('python3', ['-c', script], { encoding: 'utf8', maxBuffer: 1e8 }));
    assert.equal(made.length, 5);
    for (const [properties, packed, data] of made) {
      const plain = Buffer.from(data, 'base64');
      const found = finish(unpackLzma(Buffer.from(packed, 'base64'), properties, plain.length));
      assert.ok(found.isWhole && found.bytes.equals(plain));
      const half = finish(
        unpackLzma(Buffer.from(packed, 'base64').subarray(0, 20), properties, plain.length),
      );
      assert.equal(half.isWhole, false);
      assert.ok(half.bytes.length <= plain.length);
    }
  });

  it('kinds that are known and not read', async () => {
    const kinds: Readonly<Record<string, string>> = {
      xz: '\xfd7zXZ\0',
      cab: 'MSCF\0\0',
      bzip2: 'BZh9',
      arj: '\x60\xea',
      zstd: '\x28\xb5\x2f\xfd',
      compress: '\x1f\x9d\x90',
      wim: 'MSWIM\0\0\0',
      ace: 'xxxxxxx**ACE**',
      lzh: 'xx-lh5-',
      iso: `${'\0'.repeat(0x8001)}BEA01`,
    };
    for (const [type, text] of Object.entries(kinds)) {
      const found = await look(Buffer.from(text, 'latin1'));
      assert.deepEqual([found.type, found.names], [type, undefined]);
    }
    assert.equal((await look(Buffer.from('hello'))).type, undefined);
  });
});
