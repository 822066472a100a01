import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { BodyHash, type Canonicalization } from '../../src/mail-auth/body-hash.ts';
import { withDkimpy } from './dkimpy.ts';

function hashOf(form: Canonicalization, pieces: readonly Buffer[], length?: number): string | undefined {
  const hash = new BodyHash(form, length === undefined ? [] : [length]);
  for (const piece of pieces) hash.update(piece);
  hash.end();
  return hash.digest(length);
}

const sha256 = (text: string) => createHash('sha256').update(text, 'latin1').digest('base64');

describe('the hash of a body', () => {
  // RFC 6376 sections 3.4.3 to 3.4.5.
  const canonical: readonly [body: string, simple: string, relaxed: string][] = [
    ['', '\r\n', ''],
    ['\r\n', '\r\n', ''],
    ['\r\n\r\n\r\n', '\r\n', ''],
    [' C \r\nD \t E\r\n\r\n\r\n', ' C \r\nD \t E\r\n', ' C\r\nD E\r\n'],
    ['a', 'a\r\n', 'a\r\n'],
    ['a\r\n\r\nb\r\n', 'a\r\n\r\nb\r\n', 'a\r\n\r\nb\r\n'],
    ['a\r\n \t\r\n', 'a\r\n \t\r\n', 'a\r\n'],
    [' \r\n', ' \r\n', ''],
    ['\ta\0\xe4\r\n', '\ta\0\xe4\r\n', ' a\0\xe4\r\n'],
    ['a\rb\nc\r\n', 'a\rb\nc\r\n', 'a\rb\nc\r\n'],
    ['a \rb\r\n', 'a \rb\r\n', 'a \rb\r\n'],
    ['a\r', 'a\r\r\n', 'a\r\r\n'],
  ];
  for (const [body, simple, relaxed] of canonical) {
    it(`is that of the canonical form of ${JSON.stringify(body)}, however it is cut`, () => {
      const bytes = Buffer.from(body, 'latin1');
      for (let cut = 0; cut <= bytes.length; cut += 1) {
        const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)];
        assert.equal(hashOf('simple', pieces), sha256(simple), `simple, cut at ${cut}`);
        assert.equal(hashOf('relaxed', pieces), sha256(relaxed), `relaxed, cut at ${cut}`);
      }
      const single = [...bytes].map((byte) => Buffer.from([byte]));
      assert.equal(hashOf('simple', single), sha256(simple));
      assert.equal(hashOf('relaxed', single), sha256(relaxed));
    });
  }

  it('is what dkimpy makes of a thousand bodies, in any pieces', () => {
    const bits = fc.constantFrom('a', ' ', '  ', '\t', '\r\n', '\r\n\r\n', 'word ', '\0', '\xa0', ' \r\n');
    const bodies = fc
      .sample(fc.array(bits, { maxLength: 40 }), 1000)
      .map((parts) => `${parts.join('')}.\r\n`);
    const many = bodies.map((body, i) => body + '\r\n'.repeat(i % 4));
    const theirs = withDkimpy<[string, string][]>(
      `
from dkim.canonicalization import Simple, Relaxed
digest = lambda text: base64.b64encode(hashlib.sha256(text).digest()).decode()
print(json.dumps([[digest(form.canonicalize_body(base64.b64decode(body))) for form in (Simple, Relaxed)] for body in input]))
`,
      many.map((body) => Buffer.from(body, 'latin1').toString('base64')),
    );
    for (const [i, body] of many.entries()) {
      const bytes = Buffer.from(body, 'latin1');
      const size = 1 + (i % 7);
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
        bytes.subarray(n * size, (n + 1) * size),
      );
      const ours = [hashOf('simple', pieces), hashOf('relaxed', pieces)];
      assert.deepEqual(ours, theirs[i], JSON.stringify(body));
    }
  });

  it('is of a beginning where a signature covers no more, however the body is cut', () => {
    const body = Buffer.from('one  two\r\nthree\r\n\r\nfour\r\n\r\n\r\n');
    const relaxed = 'one two\r\nthree\r\n\r\nfour\r\n';
    for (let length = 0; length <= relaxed.length; length += 1) {
      for (const cut of [0, 5, 9, 17, 19, 20]) {
        const pieces = [body.subarray(0, cut), body.subarray(cut)];
        assert.equal(hashOf('relaxed', pieces, length), sha256(relaxed.slice(0, length)), `${length} ${cut}`);
      }
    }
    assert.equal(hashOf('relaxed', [body], relaxed.length + 1), undefined);
  });

  it('gives all lengths that are wanted of one pass', () => {
    const hash = new BodyHash('simple', [3, 0, 3, 5, 99]);
    hash.update(Buffer.from('abcdefgh\r\n'));
    hash.end();
    assert.deepEqual(
      [0, 3, 5, 99].map((length) => hash.digest(length)),
      [sha256(''), sha256('abc'), sha256('abcde'), undefined],
    );
    assert.equal(hash.digest(), sha256('abcdefgh\r\n'));
    assert.equal(hash.length, 10);
  });

  it('holds nothing of many empty lines, and counts those before text', () => {
    const lines = Buffer.from('\r\n'.repeat(32 * 1024));
    const many = Array.from({ length: 32 }, () => lines);
    assert.equal(hashOf('relaxed', [Buffer.from('a'), ...many]), sha256('a\r\n'));
    const text = `a${'\r\n'.repeat(32 * 32 * 1024)}b\r\n`;
    assert.equal(hashOf('relaxed', [Buffer.from('a'), ...many, Buffer.from('b')]), sha256(text));
  });

  it('is none where a line is longer than 1 MiB, in whatever pieces it comes', () => {
    const piece = Buffer.alloc(64 * 1024, 'x');
    const line = (bytes: number) => [
      ...Array.from({ length: Math.floor(bytes / piece.length) }, () => piece),
      Buffer.alloc(bytes % piece.length, 'x'),
      Buffer.from('\r\nend\r\n'),
    ];
    assert.equal(hashOf('relaxed', line(1024 * 1024 + 1)), undefined);
    assert.equal(
      hashOf('relaxed', line(1024 * 1024 - 1)),
      sha256(`${'x'.repeat(1024 * 1024 - 1)}\r\nend\r\n`),
    );
  });

  it('finds blanks wherever they stand in a piece, and wherever a piece begins', () => {
    const room = Buffer.alloc(64);
    for (const blanks of ['  ', ' \r\n', '\t', ' ', ' x ']) {
      for (let offset = 0; offset < 8; offset += 1) {
        for (let at = 0; at < 20; at += 1) {
          const text = `${'a'.repeat(at)}${blanks}${'b'.repeat(at % 2 === 0 ? 20 - at : 1)}`;
          const piece = room.subarray(offset, offset + room.write(text, offset, 'latin1'));
          const expected = text.replace(/[ \t]+/g, ' ').replace(/ (?=\r\n)/g, '');
          assert.equal(
            hashOf('relaxed', [piece]),
            sha256(`${expected}\r\n`),
            JSON.stringify({ text, offset }),
          );
        }
      }
    }
  });

  it('costs little more than SHA-256 alone', () => {
    const lines = {
      base64: `${'QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo'.repeat(2)}xxxxxx\r\n`,
      text: 'It is a text of which there are many lines, and none is longer than others.\r\n',
    };
    const time = (work: () => void) => {
      const times = [0, 1, 2, 3, 4].map(() => {
        const began = process.cpuUsage();
        work();
        const { user, system } = process.cpuUsage(began);
        return (user + system) / 1000;
      });
      return Math.min(...times);
    };
    for (const [name, line] of Object.entries(lines)) {
      const piece = Buffer.from(line.repeat(840));
      const pieces = Array.from({ length: 25 * 16 }, () => piece);
      const alone = time(() => {
        const hash = createHash('sha256');
        for (const each of pieces) hash.update(each);
        hash.digest();
      });
      const ours = time(() => void hashOf('relaxed', pieces));
      console.log(`25 MB of ${name}: SHA-256 alone ${alone.toFixed(1)} ms, relaxed ${ours.toFixed(1)} ms`);
      assert.ok(ours < alone * 3 + 20, `${ours} ms, SHA-256 alone ${alone} ms`);
    }
  });
});
