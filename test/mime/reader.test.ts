/** Parts of messages: beside Python's email module, and of those that are broken on purpose. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { filesIn, type Work } from '../../src/mime/archive.ts';
import type { ArchiveDefect } from '../../src/mime/archive-entry.ts';
import { type ByteSource, FileSource, finish, MemorySource } from '../../src/mime/byte-source.ts';
import { decode, decodedBytes } from '../../src/mime/decode.ts';
import type { Defect, MimeTree, Part } from '../../src/mime/part.ts';
import { MIME_LIMITS, type MimeLimits, readMime } from '../../src/mime/reader.ts';

const bytes = (text: string) => Buffer.from(text, 'latin1');
/** Of this process, ms: what others do at the time does not count. */
const processorTime = () => process.cpuUsage().user / 1000;
const crlf = (text: string) => bytes(text.replace(/\n/g, '\r\n'));
const read = (source: ByteSource, limits?: MimeLimits): MimeTree => finish(readMime(source, limits));
const readText = (text: string, limits?: Partial<MimeLimits>) =>
  read(new MemorySource(crlf(text)), { ...MIME_LIMITS, ...limits });

function dataOf(part: Part, defects = new Set<Defect>()): Buffer {
  const data = finish(decodedBytes(part, 1e9, defects));
  assert.ok(data);
  return data;
}

async function finished<Result>(work: Work<Result>): Promise<Result> {
  for (;;) {
    const { value, done } = work.next();
    if (done) return value;
    await value;
  }
}

/** What a person would write down of a message. */
const outline = ({ parts }: MimeTree) =>
  parts.map((part) => {
    const data = part.children.length > 0 ? '' : ` ${JSON.stringify(dataOf(part).toString('latin1'))}`;
    const name = part.names[0] ? ` ${part.names[0].text}` : '';
    return `${'. '.repeat(part.depth)}${part.type}${name}${data}`;
  });

describe('parts beside the email module of Python', () => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-mime-'));
  after(() => rmSync(directory, { recursive: true }));
  const script = fileURLToPath(new URL('messages.py', import.meta.url));
  const made = JSON.parse(
    execFileSync('python3', [script, directory, '7', '150'], { encoding: 'utf8', maxBuffer: 1e8 }),
  );

  it('have the same types, names and bytes', () => {
    let parts = 0;
    for (const { path, parts: expected } of made.messages) {
      const descriptor = openSync(path, 'r');
      const tree = read(new FileSource(descriptor, statSync(path).size));
      const found = tree.parts.map((part) => {
        const isWhole = part.children.length === 0;
        const name = part.names[0];
        return {
          type: part.type,
          name: name === undefined ? null : Buffer.from(name.text, 'latin1').toString('utf8'),
          sha256: isWhole ? createHash('sha256').update(dataOf(part)).digest('hex') : null,
        };
      });
      closeSync(descriptor);
      assert.deepEqual(found, expected, path);
      assert.deepEqual([...tree.defects], [], path);
      parts += found.length;
    }
    assert.ok(parts > 300, `${parts} parts`);
  });

  it('are files of archives as the zipfile module lists them', async () => {
    for (const { path, files: expected } of made.archives) {
      const defects = new Set<ArchiveDefect>();
      const found = await finished(filesIn(readFileSync(path), defects));
      assert.equal(found?.type, 'zip', path);
      assert.deepEqual(
        found?.files?.map(({ name, size }) => [Buffer.from(name, 'latin1').toString('utf8'), size]),
        expected,
        path,
      );
      assert.deepEqual([...defects], [], path);
    }
  });
});

describe('broken messages', () => {
  const multipart = (boundary: string, rest: string) =>
    `Content-Type: multipart/mixed; boundary="${boundary}"\n\n${rest}`;

  const cases: Readonly<Record<string, { message: string; parts: string[]; defects: Defect[] }>> = {
    'no header at all': { message: '\nbody\n', parts: ['text/plain "body\\r\\n"'], defects: [] },
    'an empty message': { message: '', parts: ['text/plain ""'], defects: [] },
    'no final boundary': {
      message: multipart('b', '--b\n\none\n--b\n\ntwo\n'),
      parts: ['multipart/mixed', '. text/plain "one"', '. text/plain "two\\r\\n"'],
      defects: ['no final boundary'],
    },
    'an inner part that is not closed': {
      message: multipart(
        'a',
        `--a\n${multipart('b', '--b\n\none\n')}--a\nContent-Type: x/y; name=z\n\ntwo\n--a--\n`,
      ),
      parts: ['multipart/mixed', '. multipart/mixed', '. . text/plain "one"', '. x/y z "two"'],
      defects: ['no final boundary'],
    },
    'a boundary without a parameter': {
      message: 'Content-Type: multipart/mixed\n\n--x\n\none\n--x--\n',
      parts: ['multipart/mixed', '. text/plain "one"'],
      defects: ['no boundary'],
    },
    'a final boundary in the header of a message inside': {
      message: multipart('b', '--b\nContent-Type: message/rfc822\n--b--\nContent-Type: x/y\n\nbehind\n'),
      parts: ['multipart/mixed', '. message/rfc822', '. . text/plain ""'],
      defects: [],
    },
    'two boundaries': {
      message: 'Content-Type: multipart/mixed; boundary=x; boundary=y\n\n--x\n\none\n--y\n\ntwo\n--x--\n',
      parts: ['multipart/mixed', '. text/plain "one"', '. text/plain "two"'],
      defects: ['no boundary'],
    },
    'a boundary in sections': {
      message: 'Content-Type: multipart/mixed; boundary*0=ab; boundary*1=cd\n\n--abcd\n\none\n--abcd--\n',
      parts: ['multipart/mixed', '. text/plain "one"'],
      defects: [],
    },
    'two Content-Types, the second with parts': {
      message: `Content-Type: text/plain\n${multipart('b', '--b\nContent-Type: a/b; name=x.exe\n\none\n--b--\n')}`,
      parts: ['text/plain', '. a/b x.exe "one"'],
      defects: ['two Content-Type'],
    },
    'two Content-Types of a part': {
      message: multipart('b', '--b\nContent-Type: text/plain\nContent-Type: a/b; name=x.exe\n\none\n--b--\n'),
      parts: ['multipart/mixed', '. text/plain x.exe "one"', '. a/b x.exe "one"'],
      defects: ['two Content-Type'],
    },
    'a part after the final boundary': {
      message: multipart('b', '--b\n\none\n--b--\n--b\n\ntwo\n--b--\n'),
      parts: ['multipart/mixed', '. text/plain "one"', '. text/plain "two"'],
      defects: ['a part after the final boundary'],
    },
    'a boundary used twice': {
      message: multipart('b', `--b\n${multipart('b', '--b\n\none\n--b--\n')}--b\n\ntwo\n--b--\n`),
      parts: ['multipart/mixed', '. multipart/mixed', '. . text/plain "one"', '. . text/plain "two"'],
      defects: ['boundary used twice', 'a part after the final boundary', 'no final boundary'],
    },
    'blanks after a delimiter': {
      message: multipart('b', '--b  \t\n\none\n--b-- \n'),
      parts: ['multipart/mixed', '. text/plain "one"'],
      defects: [],
    },
    'a delimiter in the headers of a part': {
      message: multipart('b', '--b\nContent-Type: a/b\n--b\n\ntwo\n--b--\n'),
      parts: ['multipart/mixed', '. a/b ""', '. text/plain "two"'],
      defects: [],
    },
    'uuencode in text': {
      message: 'Subject: x\n\nhello\nbegin 644 cat.exe\n#0V%T\n`\nend\nbye\n',
      parts: ['text/plain', '. application/octet-stream cat.exe "Cat"'],
      defects: ['uuencode in text'],
    },
    'uuencode without its end, in front of the parts': {
      message: multipart('b', 'begin 644 cat.exe\n#0V%T\n--b\n\none\n--b--\n'),
      parts: ['multipart/mixed', '. application/octet-stream cat.exe "Cat"', '. text/plain "one"'],
      defects: ['no end of uuencode', 'uuencode in text'],
    },
    'a message inside in base64': {
      message: multipart(
        'b',
        `--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${Buffer.from(
          'Content-Type: a/b; name=x.js\r\n\r\nin',
        ).toString('base64')}\n--b--\n`,
      ),
      parts: ['multipart/mixed', '. message/rfc822', '. . a/b x.js "in"'],
      defects: [],
    },
    'an encoded multipart': {
      message: `Content-Transfer-Encoding: base64\n${multipart('b', Buffer.from('--b\r\n\r\none\r\n--b--\r\n').toString('base64'))}\n`,
      parts: ['multipart/mixed', '. text/plain "one"'],
      defects: ['encoded multipart'],
    },
    'an encoding with a comment, in capitals': {
      message: 'Content-Transfer-Encoding: (x) BASE64 ;\n\nb25l\n',
      parts: ['text/plain "one"'],
      defects: [],
    },
    'an unknown encoding': {
      message: 'Content-Transfer-Encoding: base63\n\nb25l\n',
      parts: ['text/plain "b25l\\r\\n"'],
      defects: ['unknown encoding'],
    },
    'a name in three ways': {
      message: `Content-Type: a/b; name="b.exe"\nContent-Disposition: attachment;\n filename*0*=utf-8''%C3%BC; filename*1=.exe\n\n`,
      parts: ['a/b Ã¼.exe ""'],
      defects: ['two names'],
    },
    'a line that is no header': {
      message: 'Subject: x\nthis is none\nContent-Type: a/b\n\n',
      parts: ['a/b ""'],
      defects: ['a header that is none'],
    },
    'a digest': {
      message: 'Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: in\n\none\n--b--\n',
      parts: ['multipart/digest', '. message/rfc822', '. . text/plain "one"'],
      defects: [],
    },
  };
  for (const [name, { message, parts, defects }] of Object.entries(cases)) {
    it(name, () => {
      const tree = readText(message);
      assert.deepEqual(outline(tree), parts);
      assert.deepEqual([...tree.defects].sort(), [...defects].sort());
    });
  }

  it('names that some program sees', () => {
    for (const text of [
      'filename="evil.exe" x="a.txt"',
      'x=a"; filename=evil.exe; y="',
      'x="C:\\"; filename=evil.exe; y="a',
      'x=(; filename=evil.exe',
      'filename=evil.exe .txt',
      'filename=a.txt filename=evil.exe',
      'filename*0=a.txt; filename*0=evil.exe',
      'filename*0=a.txt; filename*00=evil.exe',
      `${'x=y; '.repeat(300)}filename=evil.exe`,
    ]) {
      const { parts } = readText(`Content-Disposition: attachment; ${text}\n\n`);
      const names = parts[0]?.names.map((name) => name.text) ?? [];
      assert.ok(names.includes('evil.exe'), `${text}: ${names.join(' | ')}`);
    }
    const namesOf = (text: string) =>
      readText(`Content-Disposition: attachment; ${text}\n\n`).parts[0]?.names.map((name) => name.text);
    assert.deepEqual(namesOf("filename*=it's%20an'evil.exe"), ["it's an'evil.exe"]);
    assert.deepEqual(namesOf('filename=My report.pdf; size=1'), ['My report.pdf']);
    assert.deepEqual(namesOf('filename="a;b (1).pdf"; x=y'), ['a;b (1).pdf']);
  });

  it('bare line ends and NULs', () => {
    const tree = read(
      new MemorySource(bytes('Content-Type: multipart/mixed; boundary=b\n\n--b\r\n\r\na\rb\0\n--b--\n')),
    );
    assert.deepEqual(outline(tree), ['multipart/mixed', '. text/plain "a\\rb\\u0000"']);
    assert.deepEqual([...tree.defects].sort(), ['NUL', 'bare CR', 'bare LF']);
  });
});

describe('decoding', () => {
  const decoded = (encoding: string, body: string | Buffer): [string, Defect[]] => {
    const head = bytes(`Content-Transfer-Encoding: ${encoding}\r\n\r\n`);
    const { parts } = read(
      new MemorySource(Buffer.concat([head, typeof body === 'string' ? bytes(body) : body])),
    );
    const defects = new Set<Defect>();
    assert.ok(parts[0]);
    return [dataOf(parts[0], defects).toString('latin1'), [...defects]];
  };

  it('base64 with junk, without padding, and after its end', () => {
    assert.deepEqual(decoded('base64', 'b2\r\n5l'), ['one', []]);
    assert.deepEqual(decoded('base64', 'b2!5-_l'), ['one', ['junk in base64']]);
    assert.deepEqual(decoded('base64', 'b25lIQ'), ['one!', []]);
    assert.deepEqual(decoded('base64', 'b25lIQ==dHdv'), ['one!two', ['base64 after its end']]);
    assert.deepEqual(decoded('base64', 'b25lI'), ['one', ['junk in base64']]);
  });

  it('quoted-printable with soft breaks, blanks at line ends, and junk', () => {
    assert.deepEqual(decoded('quoted-printable', 'a=3D=e9 \t\r\nb=\r\nc= \r\nd='), ['a=\xe9\r\nbcd', []]);
    assert.deepEqual(decoded('quoted-printable', 'a=zz = b'), ['a=zz = b', ['junk in quoted-printable']]);
    assert.deepEqual(decoded('quoted-printable', 'a \n=\nb'), ['a\nb', []]);
  });

  it('what lies across the windows in which it is read', () => {
    const random = Buffer.from(Array.from({ length: 300_001 }, (_, i) => (i * 7919) % 251));
    const text = random.toString('base64');
    assert.equal(decoded('base64', text)[0], random.toString('latin1'));
    const quoted = [...random].map((byte) => `=${byte.toString(16).padStart(2, '0')}`).join('');
    assert.equal(decoded('quoted-printable', quoted)[0], random.toString('latin1'));
    assert.equal(
      decoded('quoted-printable', quoted.replace(/.{75}/g, '$&=\r\n'))[0],
      random.toString('latin1'),
    );
  });
});

describe('limits', () => {
  it('on parts, depth, headers, and what is decoded', () => {
    const many = `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(50)}--b--\n`;
    const tree = readText(many, { parts: 10 });
    assert.equal(tree.parts.length, 11);
    assert.deepEqual([...tree.defects], ['parts']);

    let nested = 'Subject: end\n\nx\n';
    for (let i = 0; i < 30; i++) nested = `Content-Type: message/rfc822\n\n${nested}`;
    const deep = readText(nested, { depth: 5 });
    assert.equal(deep.parts.length, 6);
    assert.deepEqual([...deep.defects], ['depth']);

    const long = readText(`X: ${'x'.repeat(70_000)}\nContent-Type: a/b\n\n`);
    assert.deepEqual([...long.defects], ['long header']);

    const inside = `Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${'QUFB'.repeat(1000)}\n`;
    assert.deepEqual([...readText(inside, { decodedBytes: 100 }).defects], ['size']);
  });
});

describe('hostile messages', () => {
  /** The longest time that the reader works without a pause, and its whole time. */
  function timed(message: Buffer): { longest: number; parts: number } {
    const slices = readMime(new MemorySource(message));
    let longest = 0;
    for (;;) {
      const begin = processorTime();
      const { value, done } = slices.next();
      longest = Math.max(longest, processorTime() - begin);
      if (done) return { longest, parts: value.parts.length };
    }
  }

  const blank = ' '.repeat(60_000);
  const hostile: Readonly<Record<string, string>> = {
    'brackets without end': `Content-Type: text/plain; x=${'('.repeat(60_000)}\n\n`,
    'an encoding of brackets': `Content-Transfer-Encoding: ${'('.repeat(60_000)}\n\n`,
    'a boundary of blanks': `Content-Type: multipart/mixed; boundary="x${blank}y"\n\n--x\n`,
    'a hundred thousand delimiters': `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n'.repeat(100_000)}`,
    'lines that look like delimiters': `Content-Type: multipart/mixed; boundary=b\n\n${'--bb\n'.repeat(100_000)}`,
    'a hundred thousand parameters': `Content-Type: a/b${';a=b'.repeat(15_000)}\n\n`,
    'a hundred thousand headers': `${'a:b\n'.repeat(100_000)}\n`,
    'a nest of multiparts': Array.from(
      { length: 2000 },
      (_, i) => `Content-Type: multipart/mixed; boundary=b${i}\n\n--b${i}\n`,
    ).join(''),
  };
  for (const [name, message] of Object.entries(hostile)) {
    it(`${name}: read in short slices`, (t) => {
      const { longest, parts } = timed(crlf(message));
      t.diagnostic(`${longest.toFixed(1)} ms at most, ${parts} parts`);
      assert.ok(longest < 500, `${longest} ms`);
    });
  }

  it('quoted-printable of blanks is decoded in short slices', () => {
    const { parts } = read(
      new MemorySource(bytes(`Content-Transfer-Encoding: quoted-printable\r\n\r\n${' '.repeat(3e6)}x`)),
    );
    assert.ok(parts[0]);
    assert.equal(dataOf(parts[0]).length, 3e6 + 1);
  });

  /** The part of a message with this body. */
  function partOf(encoding: string, body: string): Part {
    const { parts } = read(new MemorySource(bytes(`Content-Transfer-Encoding: ${encoding}\r\n\r\n${body}`)));
    assert.ok(parts[0]);
    return parts[0];
  }

  it('a line of quoted-printable without end is decoded by pieces', () => {
    let longest = 0;
    const take = (piece: Buffer) => {
      longest = Math.max(longest, piece.length);
    };
    finish(decode(partOf('quoted-printable', '='.repeat(300_000)), take, new Set()));
    assert.ok(longest < 32_768, `${longest} bytes`);
  });

  it('a large part is put together a few bytes at a time', () => {
    const part = partOf('base64', 'QUJD'.repeat(1_000_000));
    const decoding = [...decode(part, () => {}, new Set())].length;
    assert.ok([...decodedBytes(part, 1e9, new Set())].length > 1.2 * decoding);
  });

  it('ten thousand mutations end, with each part inside its source', () => {
    const seed = crlf(
      'Content-Type: multipart/mixed; boundary="b"\n\n--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=C3=BC\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdDogeA0KDQp5DQo=\n--c--\n--b\nContent-Disposition: attachment; filename*=utf-8\'\'a%20b\n\nbegin 644 x\n#0V%T\nend\n--b--\n',
    );
    let state = 12345;
    const random = (below: number) => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let round = 0; round < 10_000; round++) {
      let message = Buffer.from(seed);
      for (let change = random(6) + 1; change > 0; change--) {
        const at = random(message.length);
        const from = random(message.length);
        const piece = message.subarray(from, from + random(40));
        if (random(3) === 0) message[at] = random(256);
        else if (random(2) === 0)
          message = Buffer.concat([message.subarray(0, at), piece, message.subarray(at)]);
        else message = Buffer.concat([message.subarray(0, at), message.subarray(at + random(30))]);
      }
      for (const part of read(new MemorySource(message)).parts) {
        assert.ok(part.headerStart <= part.bodyStart && part.bodyStart <= part.end, `round ${round}`);
        assert.ok(part.end <= part.source.size, `round ${round}`);
        dataOf(part);
      }
    }
  });
});
