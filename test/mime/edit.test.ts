/** Changes to parts: what is outside stays byte for byte, and Python reads what was put in. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { finish, MemorySource } from '../../src/mime/byte-source.ts';
import {
  binaryPart,
  MimeEdits,
  obstacleTo,
  quotedPrintable,
  type Replacement,
  textPart,
} from '../../src/mime/edit.ts';
import type { MimeTree, Part } from '../../src/mime/part.ts';
import { readMime } from '../../src/mime/reader.ts';

const crlf = (text: string) => Buffer.from(text.replace(/\n/g, '\r\n'), 'latin1');
const read = (message: Buffer): MimeTree => finish(readMime(new MemorySource(message)));

function rootOf(tree: MimeTree): Part {
  const root = tree.parts[0];
  assert.ok(root);
  return root;
}

/** The message with its new body; its top headers must not have changed. */
function applied(message: Buffer, edits: MimeEdits): Buffer {
  const { headers, body } = finish(edits.apply());
  assert.deepEqual(headers, []);
  return Buffer.concat([message.subarray(0, rootOf(read(message)).bodyStart), body]);
}

const outline = (message: Buffer) =>
  read(message).parts.map((part) =>
    `${'. '.repeat(part.depth)}${part.type} ${part.names[0]?.text ?? ''}`.trimEnd(),
  );

describe('changes to messages of Python', () => {
  const directory = mkdtempSync(join(tmpdir(), 'smtpf-milter-edit-'));
  after(() => rmSync(directory, { recursive: true }));
  const script = fileURLToPath(new URL('messages.py', import.meta.url));
  const made = JSON.parse(
    execFileSync('python3', [script, directory, '21', '60'], { encoding: 'utf8', maxBuffer: 1e8 }),
  );
  const messages: Buffer[] = made.messages.map(({ path }: { path: string }) => readFileSync(path));

  it('leave every byte outside of the part that is replaced', () => {
    let replaced = 0;
    for (const message of messages) {
      const tree = read(message);
      for (const part of tree.parts) {
        if (part.depth === 0 || obstacleTo(part) !== undefined) continue;
        const edits = new MimeEdits(rootOf(tree));
        const put = finish(textPart('text/plain', Buffer.from('gone: über\n'), undefined));
        edits.replace(part, put);
        const result = applied(message, edits);
        assert.deepEqual(result.subarray(0, part.headerStart), message.subarray(0, part.headerStart));
        const rest = message.subarray(part.end);
        assert.deepEqual(result.subarray(result.length - rest.length), rest);
        const again = read(result).parts.find(({ headerStart }) => headerStart === part.headerStart);
        assert.equal(again?.type, 'text/plain');
        replaced += 1;
      }
    }
    assert.ok(replaced > 60, `${replaced}`);
  });

  it('make no part of what is in a new text', () => {
    const message = crlf('Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n');
    for (const text of ['--b\nContent-Type: a/b\n\nMZ', `x\r--b--`, `${'x'.repeat(75)}--b\nü`]) {
      const tree = read(message);
      const edits = new MimeEdits(rootOf(tree));
      const [, first] = tree.parts;
      assert.ok(first);
      edits.replace(first, finish(textPart('text/plain', Buffer.from(text), undefined)));
      edits.add(finish(textPart('text/plain', Buffer.from(text), '')));
      const result = applied(message, edits);
      assert.deepEqual(outline(result), ['multipart/mixed', '. text/plain', '. text/plain']);
      assert.deepEqual([...read(result).defects], []);
    }
  });

  it('take a part out with its delimiter', () => {
    for (const message of messages) {
      const tree = read(message);
      for (const part of tree.parts) {
        const { parent } = part;
        if (parent === undefined || parent.children.length < 2 || obstacleTo(part) !== undefined) continue;
        const edits = new MimeEdits(rootOf(tree));
        edits.remove(part);
        const expected = Buffer.concat([
          message.subarray(0, part.delimiterStart),
          message.subarray(part.end),
        ]);
        assert.deepEqual(applied(message, edits), expected);
      }
    }
  });
});

describe('changes', () => {
  const message = crlf(
    'Subject: x\nContent-Type: multipart/mixed; boundary=b\n\npreamble\n--b\nContent-Type: text/plain\n\none\n--b\nContent-Type: a/b; name=x.exe\n\ntwo\n--b\nContent-Type: multipart/signed; boundary=s\n\n--s\nContent-Type: text/plain\n\nthree\n--s--\n--b--\nepilogue\n',
  );
  const partNamed = (tree: MimeTree, name: string) => {
    const part = tree.parts.find(({ names }) => names[0]?.text === name);
    assert.ok(part);
    return part;
  };

  it('of several parts go together', () => {
    const tree = read(message);
    const edits = new MimeEdits(rootOf(tree));
    edits.remove(partNamed(tree, 'x.exe'));
    const first = tree.parts[1];
    assert.ok(first);
    edits.replace(first, finish(textPart('text/plain', Buffer.from('changed'), undefined)));
    assert.equal(
      applied(message, edits).toString(),
      message
        .toString()
        .replace(
          'Content-Type: text/plain\r\n\r\none',
          'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\nchanged',
        )
        .replace('\r\n--b\r\nContent-Type: a/b; name=x.exe\r\n\r\ntwo', ''),
    );
  });

  it('leave an empty text where the last part of a multipart goes', () => {
    const tree = read(message);
    const edits = new MimeEdits(rootOf(tree));
    for (const part of tree.parts.filter(({ depth }) => depth === 1)) edits.remove(part);
    assert.deepEqual(outline(applied(message, edits)), ['multipart/mixed', '. text/plain']);
    assert.match(applied(message, edits).toString(), /preamble.*--b--\r\nepilogue\r\n$/s);
  });

  it('of a part around others win over those inside', () => {
    const nested = crlf(
      'Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n\nin\n--c--\n--b\n\nlast\n--b--\n',
    );
    const tree = read(nested);
    const [root, around, inside] = tree.parts;
    assert.ok(root && around && inside);
    const edits = new MimeEdits(root);
    edits.replace(inside, finish(textPart('text/plain', Buffer.from('lost'), undefined)));
    edits.remove(around);
    assert.equal(applied(nested, edits).toString().includes('lost'), false);
    assert.deepEqual(outline(applied(nested, edits)), ['multipart/mixed', '. text/plain']);
  });

  it('of the whole message are headers and a body', () => {
    const tree = read(crlf('Subject: x\n\nbody\n'));
    const edits = new MimeEdits(rootOf(tree));
    edits.replace(rootOf(tree), finish(binaryPart('a/b', Buffer.from('hello'), 'x.bin')));
    assert.deepEqual(finish(edits.apply()), {
      dropped: [],
      headers: [
        'MIME-Version: 1.0',
        'Content-Type: a/b',
        'Content-Transfer-Encoding: base64',
        'Content-Disposition: attachment;\r\n filename="x.bin"',
      ],
      body: Buffer.from('aGVsbG8=\r\n'),
    });
  });

  it('take a uuencoded file out of its text', () => {
    const text = crlf('Subject: x\n\nhello\nbegin 644 cat.exe\n#0V%T\n`\nend\nbye\n');
    const tree = read(text);
    const edits = new MimeEdits(rootOf(tree));
    edits.remove(partNamed(tree, 'cat.exe'));
    assert.equal(applied(text, edits).toString(), 'Subject: x\r\n\r\nhello\r\nbye\r\n');
  });

  it('are not made inside what is signed or encrypted, or encoded as a whole', () => {
    const around = (type: string) =>
      crlf(`Content-Type: ${type}\n\n--b\nContent-Type: text/plain\n\none\n--b--\n`);
    const innermost = (bytes: Buffer) => {
      const part = read(bytes).parts.at(-1);
      assert.ok(part);
      return obstacleTo(part);
    };
    assert.equal(innermost(around('multipart/signed; boundary=b')), 'signed');
    assert.equal(innermost(around('multipart/encrypted; boundary=b')), 'encrypted');
    assert.equal(innermost(around('multipart/mixed; boundary=b')), undefined);
    assert.equal(
      innermost(crlf('Content-Type: application/pkcs7-mime; smime-type=signed-data\n\nx')),
      'signed',
    );
    assert.equal(innermost(crlf('Content-Type: application/x-pkcs7-mime\n\nx')), 'encrypted');
    const encoded = `Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n${Buffer.from('A: b\n\nc').toString('base64')}\n`;
    assert.equal(innermost(crlf(encoded)), 'encoded');
  });
});

describe('what is put in', () => {
  /** Python's reading of a part. */
  const python = (part: Buffer): { text: string; name: string | null } =>
    JSON.parse(
      execFileSync(
        'python3',
        [
          '-c',
          'import email,email.policy,sys,json,base64\nm=email.message_from_bytes(sys.stdin.buffer.read(),policy=email.policy.SMTP)\nprint(json.dumps({"text":base64.b64encode(m.get_payload(decode=True)).decode(),"name":m.get_filename()}))',
        ],
        { input: part, encoding: 'utf8' },
      ),
    );
  const whole = ({ headers, body }: Replacement) =>
    Buffer.concat([Buffer.from(`${headers.join('\r\n')}\r\n\r\n`, 'latin1'), body]);

  for (const name of [
    'a.txt',
    'qu"o\\te.txt',
    'über.txt',
    '日本語'.repeat(30),
    'x'.repeat(200),
    "it's 100%.doc",
  ]) {
    it(`is read by Python: ${name.slice(0, 20)}`, () => {
      const data = Buffer.from(Array.from({ length: 500 }, (_, i) => (i * 37) % 256));
      const part = finish(binaryPart('application/x', data, Buffer.from(name).toString('latin1')));
      const found = python(whole(part));
      assert.equal(found.name, name);
      assert.deepEqual(Buffer.from(found.text, 'base64'), data);
      for (const line of whole(part).toString('latin1').split('\r\n')) assert.ok(line.length <= 78, line);
    });
  }

  it('is quoted-printable that Python reads, in lines of 76 letters', () => {
    const texts = [
      '',
      'a',
      'über \n',
      `${'ü'.repeat(300)}\n=\n`,
      `${'x'.repeat(76)}\n${'y'.repeat(77)}`,
      'tab\t\nend ',
      '.\n.\n',
    ];
    for (const text of texts) {
      const body = finish(quotedPrintable(crlf(Buffer.from(text).toString('latin1'))));
      for (const line of body.toString('latin1').split('\r\n')) {
        assert.ok(line.length <= 76 && !/[ \t]$/.test(line), JSON.stringify(line));
      }
      const found = python(
        Buffer.concat([Buffer.from('Content-Transfer-Encoding: quoted-printable\r\n\r\n'), body]),
      );
      assert.equal(Buffer.from(found.text, 'base64').toString(), text.replace(/\n/g, '\r\n'));
    }
  });
});
