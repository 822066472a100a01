/** Banners in messages of all kinds, as Python's email module reads them afterwards. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { type Banner, type Charsets, markOf, putBanner } from '../../src/mime/banner.ts';
import { finish, MemorySource } from '../../src/mime/byte-source.ts';
import { MimeEdits } from '../../src/mime/edit.ts';
import { readMime } from '../../src/mime/reader.ts';

const charsets: Charsets = {
  toUtf8: (bytes, charset) => {
    if (charset === 'us-ascii' || charset === 'utf-8') return bytes;
    return charset === 'iso-8859-1' ? Buffer.from(bytes.toString('latin1')) : undefined;
  },
  fromUtf8: (text, charset) => {
    if (charset === 'utf-8') return text;
    const letters = text.toString('utf8');
    return charset === 'iso-8859-1' && /^[\0-\xff]*$/.test(letters)
      ? Buffer.from(letters, 'latin1')
      : undefined;
  },
};

const TEXT = Buffer.from('Mail from outside: ü\n');
const banner = (given: Partial<Banner> = {}): Banner => ({
  text: TEXT,
  html: Buffer.from('<p>Mail from outside: ü</p>'),
  at: 'top',
  once: true,
  mark: markOf(TEXT),
  ...given,
});

/** The message with the banner, as far as its body goes; headers of the top that change are put in place. */
function withBanner(text: string, given?: Partial<Banner>): { result: string; message: Buffer } {
  const message = Buffer.from(text.replace(/\n/g, '\r\n'), 'latin1');
  const tree = finish(readMime(new MemorySource(message)));
  const root = tree.parts[0];
  assert.ok(root);
  const edits = new MimeEdits(root);
  const result = finish(putBanner(tree.parts, edits, banner(given), charsets));
  const { headers, body } = finish(edits.apply());
  const changed = headers.map((line) => line.slice(0, line.indexOf(':')).toLowerCase());
  const kept = root.headers.lines.filter(({ name }) => !changed.includes(name)).map((line) => line.text);
  const head = [...kept, ...headers].map((line) => `${line}\r\n`).join('');
  return { result, message: Buffer.concat([Buffer.from(`${head}\r\n`, 'latin1'), body]) };
}

/** Texts of the parts as Python shows them, with CR LF as LF. */
function shown(message: Buffer): string[] {
  const program =
    'import email,email.policy,sys,json\nm=email.message_from_bytes(sys.stdin.buffer.read(),policy=email.policy.default)\nprint(json.dumps([p.get_content() for p in m.walk() if p.get_content_maintype()=="text"]))';
  const out = execFileSync('python3', ['-c', program], { input: message, encoding: 'utf8' });
  return JSON.parse(out).map((text: string) => text.replace(/\r\n/g, '\n'));
}

const COMMENT = `<!-- banner ${markOf(TEXT)} -->`;
const HTML = `${COMMENT}<p>Mail from outside: ü</p>\n`;

describe('a banner', () => {
  const cases: Readonly<Record<string, { message: string; given?: Partial<Banner>; texts: string[] }>> = {
    'above a plain message': {
      message: 'Subject: x\n\nhello\n',
      texts: ['Mail from outside: ü\nhello\n'],
    },
    'at the end of one without a last line end': {
      message:
        'Content-Type: text/plain; charset=utf-8\nMIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\n\nhello',
      given: { at: 'end' },
      texts: ['hello\nMail from outside: ü\n'],
    },
    'in its charset': {
      message:
        'Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nh=E9llo =3D\n',
      texts: ['Mail from outside: ü\nhéllo =\n'],
    },
    'that its charset does not have': {
      message:
        'Content-Type: text/plain; format=fixed; charset=iso-8859-1\nContent-Transfer-Encoding: base64\n\naOlsbG8K\n',
      given: { text: Buffer.from('日本\n') },
      texts: ['日本\nhéllo\n'],
    },
    'in both texts of an alternative, and not in attachments': {
      message:
        'Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nhello\n--b\nContent-Type: text/html; charset=utf-8\nX-Y: z\n\n<html><head></head><body class="a>b">hi</body></html>\n--b--\n--a\nContent-Type: text/plain; name=x.txt\n\nfile\n--a--\n',
      texts: [
        'Mail from outside: ü\nhello',
        `<html><head></head><body class="a>b">${HTML}hi</body></html>`,
        'file',
      ],
    },
    'before the end of the body': {
      message: 'Content-Type: text/html; charset=utf-8\n\n<BODY>hi</BODY>\n',
      given: { at: 'end' },
      texts: [`<BODY>hi${HTML}</BODY>\n`],
    },
    'in HTML without a body': {
      message: 'Content-Type: text/html\n\n<p>hi\n',
      given: { html: Buffer.from('<b>x</b>') },
      texts: [`${COMMENT}<b>x</b>\n<p>hi\n`],
    },
    'not into a comment, a script or an attribute': {
      message:
        'Content-Type: text/html\n\n<!-- <body> --><html a="<body>" b=c"d><script>"<body>"</script><p e=f">\n<Body/x=">"\ty = 3>hi<!-- </body> --></body ><!-- </body> -->\n',
      given: { html: Buffer.from('<b>x</b>') },
      texts: [
        `<!-- <body> --><html a="<body>" b=c"d><script>"<body>"</script><p e=f">\n<Body/x=">"\ty = 3>${COMMENT}<b>x</b>\nhi<!-- </body> --></body ><!-- </body> -->\n`,
      ],
    },
    'before the last </body> that is one': {
      message: 'Content-Type: text/html\n\n<body>hi</body ><!-- </body> -->\n',
      given: { html: Buffer.from('<b>x</b>'), at: 'end' },
      texts: [`<body>hi${COMMENT}<b>x</b>\n</body ><!-- </body> -->\n`],
    },
    'where Outlook and others see it': {
      message:
        'Content-Type: text/html\n\n<!--[if mso]><body class="mso"><![endif]-->\n<!--[if !mso]><!--><body class="clean"><!--<![endif]-->hi</body>\n',
      given: { html: Buffer.from('<b>x</b>') },
      texts: [
        `<!--[if mso]><body class="mso"><![endif]-->\n<!--[if !mso]><!--><body class="clean"><!--<![endif]-->${COMMENT}<b>x</b>\nhi</body>\n`,
      ],
    },
    'in a text whose charset is not named': {
      message: 'Subject: x\n\nh\xc3\xa9llo\n',
      texts: ['Mail from outside: ü\nhéllo\n'],
    },
    'in a text that is called ASCII and is not': {
      message:
        'Content-Type: text/plain; charset=US-ASCII\nContent-Transfer-Encoding: base64\n\naMOpbGxvCg==\n',
      texts: ['Mail from outside: ü\nhéllo\n'],
    },
    'in HTML that names its charset itself': {
      message:
        'Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<meta charset=3Dkoi8-r>=C1=C2\n',
      texts: [`${COMMENT}<p>Mail from outside: &#252;</p>\n<meta charset=koi8-r>\ufffd\ufffd\n`],
    },
    'in a text that is flowed': {
      message: 'Content-Type: text/plain; format=flowed\n\nhello \nworld\n',
      given: { text: Buffer.from('> outside  \nFrom x\n') },
      texts: [' > outside\n From x\nhello \nworld\n'],
    },
  };
  for (const [name, { message, given, texts }] of Object.entries(cases)) {
    it(name, () => {
      const made = withBanner(message, given);
      assert.equal(made.result, 'put');
      assert.deepEqual(shown(made.message), texts);
    });
  }

  it('makes no delimiter of what was none', () => {
    const evil = 'Content-Type: application/x-msdownload; name=evil.exe\n\nMZ\n';
    const inner = {
      decoded: `Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\nhello\n=2D-b\n${evil}`,
      'behind a soft line break': `Content-Type: text/plain\nContent-Transfer-Encoding: quoted-printable\n\n${'x'.repeat(75)}=2D-b\n${evil}`,
      'on the line of a tag': `Content-Type: text/html\n\n<body>--b\n${evil}`,
      'of another charset': `Content-Type: text/plain; charset=utf-16be\nContent-Transfer-Encoding: 8bit\n\n\0\n\0-\0-\0b\0\n\0Z\0:\0z\0\n\0\n`,
      'in a parameter': `Content-Type: text/html; charset=utf-16; x*=us-ascii''a%0d%0aContent-Disposition:%20attachment%0d%0a%0d%0a--b%0d%0a\n\n${evil}`,
    };
    for (const [name, part] of Object.entries(inner)) {
      const message = `Content-Type: multipart/mixed; boundary=b\n\n--b\n${part}--b--\n`;
      const made = withBanner(message, { html: Buffer.from('<p>x</p>') });
      assert.equal(made.result, 'put', name);
      const { parts } = finish(readMime(new MemorySource(made.message)));
      assert.deepEqual(
        parts.map(({ depth, disposition }) => [depth, disposition?.value]),
        [
          [0, undefined],
          [1, undefined],
        ],
        name,
      );
      assert.equal(shown(made.message).length, 1, name);
    }
  });

  it('cannot be hidden by a boundary that is a line of it', () => {
    const made = withBanner(
      'Content-Type: multipart/mixed; boundary="- outside -"\n\n--- outside -\n\nhello\n--- outside ---\n',
      { text: Buffer.from('--- outside -\n') },
    );
    assert.deepEqual(shown(made.message), ['--- outside -\nhello']);
  });

  it('is not put twice, nor into a reply that quotes it', () => {
    for (const message of ['Subject: x\n\nhello\n', 'Content-Type: text/html\n\n<body>x</body>\n']) {
      const { message: first } = withBanner(message);
      const again = first.toString('latin1').replace(/\r\n/g, '\n');
      assert.equal(withBanner(again).result, 'present');
      assert.equal(withBanner(again, { once: false }).result, 'put');
    }
    assert.equal(
      withBanner('Content-Type: text/plain; charset=utf-8\n\n> Mail from\n> outside: \xc3\xbc\nyes\n').result,
      'present',
    );
    assert.equal(withBanner(`X-Policy-Banner: ${markOf(TEXT)}\n\nhello\n`).result, 'present');
  });

  it('is not put into what is signed or encrypted, or has no text', () => {
    const around = (type: string, inner = 'text/plain') =>
      `Content-Type: ${type}; boundary=b\n\n--b\nContent-Type: ${inner}\n\none\n--b--\n`;
    assert.equal(withBanner(around('multipart/signed')).result, 'signed');
    assert.equal(withBanner(around('multipart/encrypted', 'application/octet-stream')).result, 'encrypted');
    assert.equal(
      withBanner('Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx\n').result,
      'encrypted',
    );
    assert.equal(withBanner(around('multipart/mixed', 'image/png')).result, 'no text part');
    assert.equal(withBanner(around('multipart/mixed', 'text/plain; name=x')).result, 'no text part');
  });
});
