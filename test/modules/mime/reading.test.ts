/** `mime.parts` and what they tell, over a milter connection. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { multipart, Policy } from './policy.ts';

const FIELDS = `function smtp.do_dot()
  for _, part in ipairs(mime.parts) do
    show { type = part.type, charset = part.charset, name = part.name, names = #part.names, disposition = part.disposition,
      size = part.size, depth = part.depth, encoding = part.encoding, id = part.id, parent = part.parent and part.parent.type,
      sha256 = part:sha256() }
  end
end`;

const sha256 = (text: string) => createHash('sha256').update(text, 'latin1').digest('hex');
const base64 = (text: string) => Buffer.from(text, 'latin1').toString('base64');

describe('mime.parts', () => {
  it('tell what each part is', async (t) => {
    const policy = await Policy.open(t, FIELDS);
    const { shown, errors } = await policy.look(
      multipart(
        'Content-Type: Text/Plain; charset=UTF-8\n\nhello',
        `Content-Type: application/x; name="=?utf-8?Q?=C3=BC.exe?="\nContent-Disposition: Attachment; filename*=iso-8859-1''%FC.txt\nContent-Transfer-Encoding: BASE64\nContent-ID: <a@b>\n\n${base64('\0\x01\xff')}\n`,
        'Content-Type: message/rfc822\n\nSubject: inner\nContent-Type: text/html\n\n<b>',
      ),
    );
    assert.deepEqual(errors, []);
    assert.deepEqual(
      shown.slice(1, 4).map((part) => ({ ...(part as object) })),
      [
        {
          type: 'text/plain',
          charset: 'utf-8',
          names: 0,
          size: 5,
          depth: 1,
          encoding: 'identity',
          parent: 'multipart/mixed',
          sha256: sha256('hello'),
        },
        {
          type: 'application/x',
          name: 'ü.txt',
          names: 2,
          disposition: 'attachment',
          size: 3,
          depth: 1,
          encoding: 'base64',
          id: 'a@b',
          parent: 'multipart/mixed',
          sha256: sha256('\0\x01\xff'),
        },
        {
          type: 'message/rfc822',
          names: 0,
          size: 46,
          depth: 1,
          encoding: 'identity',
          parent: 'multipart/mixed',
          sha256: sha256('Subject: inner\r\nContent-Type: text/html\r\n\r\n<b>'),
        },
      ],
    );
    assert.equal(shown.length, 5);
    const [, , , , inner] = shown as { type: string; depth: number; parent: string }[];
    assert.deepEqual([inner?.type, inner?.depth, inner?.parent], ['text/html', 2, 'message/rfc822']);
  });

  it('are the same tables each time, and of one message only', async (t) => {
    const policy = await Policy.open(
      t,
      `local kept
      function smtp.do_dot()
        show { kept ~= nil and select(2, pcall(kept.data, kept)) or "", kept and kept.size == nil or false, mime.parts == mime.parts, #mime.parts }
        kept = mime.parts[1]
        show { #kept:data() }
      end`,
    );
    const message = 'Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\naGVsbG8=\n';
    assert.deepEqual((await policy.look(message)).shown, [['', false, true, 1], [5]]);
    const { shown } = await policy.look(message);
    assert.match(
      JSON.stringify(shown[0]),
      /a part of the message expected, one of mime.parts\)",true,true,1\]/,
    );
  });

  it('raise an error in other callbacks, with the line', async (t) => {
    const policy = await Policy.open(
      t,
      `function smtp.do_headers()
        show { select(2, pcall(function() return mime.parts end)) }
        show { select(2, pcall(function() return mime.defects end)) }
      end
      function smtp.do_dot() show { mime.other == nil } end`,
    );
    const { shown } = await policy.look('Subject: x\n\nx\n');
    assert.match(String(shown[0]), /smtpf\.lua:2: mime\.parts: only smtp\.do_dot can look into a message/);
    assert.match(String(shown[1]), /smtpf\.lua:3: mime\.defects: only/);
    assert.deepEqual(shown[2], [true]);
  });

  it('are there where a file that is required looks at them', async (t) => {
    const policy = await Policy.open(
      t,
      `local count = load("return function() return #mime.parts end")()
      function smtp.do_dot() show(count()) end`,
    );
    assert.deepEqual((await policy.look('Subject: x\n\nx\n')).shown, [1]);
  });

  it('cannot be had when the script has removed the file', async (t) => {
    const policy = await Policy.open(
      t,
      `function smtp.do_dot(file) os.remove(file) show(select(2, pcall(function() return mime.parts end))) end`,
    );
    assert.match(
      String((await policy.look('Subject: x\n\nx\n')).shown[0]),
      /mime: the message cannot be read: ENOENT/,
    );
  });
});

describe('a part', () => {
  const one = async (
    t: Parameters<typeof Policy.open>[0],
    expression: string,
    message: string,
    options = {},
  ) => {
    const policy = await Policy.open(
      t,
      `function smtp.do_dot() local part = mime.parts[1] show { ${expression} } end`,
      options,
    );
    const { shown, errors } = await policy.look(message);
    return errors.length > 0 ? errors : shown[0];
  };

  it('gives its bytes', async (t) => {
    const text = 'Content-Type: x/y\nContent-Transfer-Encoding: quoted-printable\n\n=00=FFa=\nb\n';
    assert.deepEqual(await one(t, 'base64.encode(part:data())', text), [base64('\0\xffab\r\n')]);
    assert.deepEqual(await one(t, 'part:head(0), #part:head(3), #part:head(100)', text), ['', 3, 6]);
    assert.match(
      JSON.stringify(await one(t, 'part:head(-1)', text)),
      /bad argument #1 to 'head' \(0 to 65536 expected\)/,
    );
  });

  it('of more than --string-mb gives none, but its digest', async (t) => {
    const body = 'x'.repeat(70).concat('\r\n').repeat(40_000);
    const shown = await one(
      t,
      'tostring(part:data()), select(2, part:data()), select(2, part:text()), part:sha256(), part.size',
      `Subject: x\n\n${body}`,
      { 'string-mb': '1' },
    );
    assert.deepEqual(shown, [
      'nil',
      'limit more than 1048576 bytes',
      'limit more than 1048576 bytes',
      sha256(body),
      body.length,
    ]);
  });

  it('gives its text, in whatever charset it is', async (t) => {
    const part = (type: string, bytes: string) =>
      `Content-Type: ${type}\nContent-Transfer-Encoding: base64\n\n${base64(bytes)}\n`;
    const policy = await Policy.open(
      t,
      'function smtp.do_dot() for i = 2, #mime.parts do show { mime.parts[i]:text() } end end',
    );
    const { shown, errors } = await policy.look(
      multipart(
        part('text/plain; charset=iso-8859-1', 'gr\xfc\xdfe'),
        part('text/plain; charset="windows-1252"', '\x80'),
        part('text/plain; charset=koi8-r', '\xf0\xd2\xc9'),
        part('text/plain; charset=utf-16', '\xfe\xff\x00a\xd8\x3d\xde\x00'),
        part('text/plain; charset=iso-2022-jp', '\x1b$B$"\x1b(B\na'),
        part('text/plain; charset=shift_jis', '\x82\xa0\x82\xa2'),
        part('text/plain; charset=gb2312', '\xc4\xe3'),
        part('text/plain', '\xef\xbb\xbf\xc3\xbc'),
        part('text/plain', '\xfc'),
        part('text/plain; charset=nobody-knows', 'a\xfc'),
        part('text/html', '<meta charset="iso-8859-1"><p>\xfc&euro;<br>x<script>y</script>'),
        part('application/pdf', 'x'),
      ),
    );
    assert.deepEqual(errors, []);
    assert.deepEqual(
      shown.map((texts) => (texts as string[])[0]),
      ['grüße', '€', 'При', 'a😀', 'あ\na', 'あい', '你', 'ü', 'ü', 'aü', 'ü€\nx', undefined],
    );
  });

  it('tells what it is by its bytes', async (t) => {
    const kinds: Readonly<Record<string, string>> = {
      '%PDF-1.7': 'application/pdf',
      MZ: 'application/x-dosexec',
      '\x7fELF': 'application/x-elf',
      '\x89PNG\r\n\x1a\n': 'image/png',
      '#!/bin/sh': 'text/x-shellscript',
      '\n<!-- x -->\n<html>': 'text/html',
      '\xff\xfe<\0h\0t\0m\0l\0>\0': 'text/html',
      'Rar!\x1a\x07\x01\0': 'application/vnd.rar',
    };
    const policy = await Policy.open(
      t,
      'function smtp.do_dot() for i = 2, #mime.parts do show { mime.parts[i]:kind() } end end',
    );
    const part = (bytes: string) =>
      `Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n${base64(bytes)}\n`;
    const { shown, errors } = await policy.look(multipart(...Object.keys(kinds).map(part), part('hello')));
    assert.deepEqual(errors, []);
    assert.deepEqual(shown, [...Object.values(kinds).map((kind) => [kind]), []]);
  });
});

describe('mime.defects', () => {
  it('name what is odd, in bodies too', async (t) => {
    const policy = await Policy.open(t, 'function smtp.do_dot() show(mime.defects) end');
    const broken = multipart('Content-Transfer-Encoding: base64\n\naGVs#bG8=\n').replace('--=_b--\n', '');
    assert.deepEqual((await policy.look(broken)).shown, [['no final boundary', 'junk in base64']]);
    assert.deepEqual((await policy.look(multipart('\nx'))).shown, [[]]);
  });
});
