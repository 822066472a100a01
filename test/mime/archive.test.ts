/** Archives that hide something, and those that eat memory: made here byte by byte, and with real tools. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { ARCHIVE_LIMITS, type ArchiveLimits, filesIn } from '../../src/mime/archive.ts';
import type { ArchiveDefect } from '../../src/mime/zip.ts';
import { zip } from './zip-builder.ts';

/** Of this process, ms: what others do at the time does not count. */
const processorTime = () => process.cpuUsage().user / 1000;

interface Seen {
  readonly type: string | undefined;
  readonly names: readonly string[] | undefined;
  readonly encrypted: readonly string[] | undefined;
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
    assert.deepEqual(await seen(zip(names.map((name) => ({ name })))), { names, defects: [] });
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

  it('gzip, with and without a name', async () => {
    execFileSync('gzip', ['-kf', join(directory, 'a.txt')]);
    assert.deepEqual(await seen(readFileSync(join(directory, 'a.txt.gz'))), {
      names: ['a.txt'],
      defects: [],
    });
    const nameless = execFileSync('gzip', ['-nc', join(directory, 'a.txt')]);
    assert.deepEqual(await seen(nameless), { names: [''], defects: [] });
  });

  it('kinds that are known and not read', async () => {
    const kinds: Readonly<Record<string, string>> = {
      rar: 'Rar!\x1a\x07\x01\x00',
      '7z': "7z\xbc\xaf'\x1c",
      xz: '\xfd7zXZ\0',
      cab: 'MSCF\0\0',
      bzip2: 'BZh9',
    };
    for (const [type, text] of Object.entries(kinds)) {
      const found = await look(Buffer.from(text, 'latin1'));
      assert.deepEqual([found.type, found.names], [type, undefined]);
    }
    assert.equal((await look(Buffer.from('hello'))).type, undefined);
  });
});
