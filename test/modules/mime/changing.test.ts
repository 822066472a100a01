/** Changes of parts, as the MTA would carry them out and Python's email module reads them. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it, type TestContext } from 'node:test';
import type { Reply } from '../../helpers/mta.ts';
import { multipart, Policy } from './policy.ts';

/** The message with the modifications of a reply carried out, as both MTAs do. */
function delivered(message: string, reply: Reply): Buffer {
  const text = message.replace(/\r?\n/g, '\r\n');
  const end = text.indexOf('\r\n\r\n');
  let headers = text.slice(0, end).split(/\r\n(?![ \t])/);
  let body = Buffer.from(text.slice(end + 4), 'latin1');
  const replaced: Buffer[] = [];
  const nameOf = (line: string | undefined) => line?.slice(0, line.indexOf(':')).toLowerCase();
  for (const { letter, payload } of reply.modifications) {
    const strings = payload.toString('latin1', letter === 'm' ? 4 : 0).split('\0');
    const [name = '', value = ''] = strings;
    const line = `${name}:${value.replace(/\r?\n/g, '\r\n')}`;
    if (letter === 'b') replaced.push(payload);
    else if (letter === 'h') headers.push(line);
    else if (letter === 'm') {
      const index = payload.readUInt32BE(0);
      const places = [...headers.keys()].filter((at) => nameOf(headers[at]) === name.toLowerCase());
      const place = places[index - 1];
      if (place === undefined) headers.push(line);
      else if (value === '') headers = headers.filter((_, at) => at !== place);
      else headers[place] = line;
    } else assert.fail(letter);
  }
  if (replaced.length > 0) body = Buffer.concat(replaced);
  return Buffer.concat([Buffer.from(`${headers.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

interface Seen {
  readonly type: string;
  readonly name: string | null;
  readonly text: string | null;
}

const READ = `import email, email.policy, sys, json
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
print(json.dumps([{ "type": p.get_content_type(), "name": p.get_filename(),
  "text": None if p.is_multipart() else p.get_payload(decode=True).decode("utf-8", "replace") } for p in m.walk()]))`;

function read(message: Buffer): Seen[] {
  return JSON.parse(execFileSync('python3', ['-c', READ], { input: message, encoding: 'utf8' }));
}

async function change(t: TestContext, lua: string, message: string) {
  const policy = await Policy.open(t, `function smtp.do_dot() local parts = mime.parts ${lua} end`);
  const { reply, shown, errors } = await policy.look(message);
  assert.deepEqual(errors, []);
  assert.equal(reply.letter, 'c');
  const result = delivered(message, reply);
  return { reply, shown, result, seen: read(result).map(({ type, name, text }) => [type, name, text]) };
}

const TEXT = 'Content-Type: text/plain\n\nhello';
const FILE = 'Content-Type: application/x\nContent-Disposition: attachment; filename=a.exe\n\nMZ';

describe('changes of parts', () => {
  it('take one out, and leave all other bytes', async (t) => {
    const message = multipart(TEXT, FILE, '\nlast');
    const { result, seen } = await change(t, 'show { parts[3]:remove() }', message);
    assert.deepEqual(seen, [
      ['multipart/mixed', null, null],
      ['text/plain', null, 'hello'],
      ['text/plain', null, 'last'],
    ]);
    assert.equal(result.toString('latin1'), message.replace(`--=_b\n${FILE}\n`, '').replace(/\n/g, '\r\n'));
  });

  it('put another in the place of one, several at a time', async (t) => {
    const { seen, shown } = await change(
      t,
      `show { parts[3]:replace { type = "text/plain", data = "gone: \\u{fc}\\n" }, parts[2]:remove(),
        mime.add { type = "application/x", data = "\\0x", name = "\\u{fc}.bin" } }`,
      multipart(TEXT, FILE),
    );
    assert.deepEqual(shown, [[true, true, true]]);
    assert.deepEqual(seen, [
      ['multipart/mixed', null, null],
      ['text/plain', null, 'gone: ü\r\n'],
      ['application/x', 'ü.bin', '\0x'],
    ]);
  });

  it('add to a message that is no multipart', async (t) => {
    const message =
      'Subject: x\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n<b>=C3=BC</b>\n';
    const { seen, result } = await change(t, 'mime.add { data = "x" }', message);
    assert.deepEqual(seen, [
      ['multipart/mixed', null, null],
      ['text/html', null, '<b>ü</b>\r\n'],
      ['application/octet-stream', null, 'x'],
    ]);
    assert.match(
      result.toString('latin1'),
      /^Subject: x\r\nContent-Type: multipart\/mixed;\r\n boundary="[^"]+"\r\nMIME-Version: 1\.0\r\n\r\n--/,
    );
  });

  it('add behind the last part, also where the end is missing', async (t) => {
    for (const message of [multipart(TEXT), multipart(TEXT).replace('--=_b--\n', '')]) {
      const { seen, result } = await change(
        t,
        'mime.add { data = "x", type = "text/plain", name = "n" }',
        message,
      );
      assert.deepEqual(
        seen.map(([, name]) => name),
        [null, null, 'n'],
      );
      assert.ok(
        result
          .toString('latin1')
          .startsWith(multipart(TEXT).split('--=_b--')[0]?.trimEnd().replace(/\n/g, '\r\n') ?? '?'),
      );
    }
  });

  it('put another message in the place of all of it', async (t) => {
    const { seen, result } = await change(
      t,
      'parts[1]:replace { type = "text/plain", data = "all gone" }',
      'Subject: x\nContent-Type: a/b\nContent-Disposition: attachment; filename=x\nContent-Transfer-Encoding: base64\n\neA==\n',
    );
    assert.deepEqual(seen, [['text/plain', null, 'all gone']]);
    assert.doesNotMatch(result.toString('latin1'), /attachment|base64/);
  });

  it('put a banner into what is read, once', async (t) => {
    const alternative = (html: string) =>
      `MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=x\n\n--x\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\nh\xe9\n--x\nContent-Type: text/html; charset=utf-8\n\n${html}\n--x--\n`;
    const lua = 'show { mime.banner { text = "External: \\u{20ac} <mail>\\n" } }';
    const { result, seen } = await change(t, lua, alternative('<body>hi</body>'));
    const [, plain, html] = seen.map(([, , text]) => text);
    assert.match(String(plain), /^External: € <mail>\r\nhé\r?\n?$/);
    assert.match(
      String(html),
      /^<body><!-- banner [0-9a-f]{16} --><div>External: € &lt;mail&gt;<\/div>\r\nhi<\/body>/,
    );
    const again = await change(t, lua, result.toString('latin1'));
    assert.deepEqual(again.shown, [[false, 'present']]);
    assert.deepEqual(again.reply.modifications, []);
  });

  it('leave alone what is signed or encrypted', async (t) => {
    const signed = `Content-Type: multipart/signed; boundary=s\n\n--s\n${TEXT}\n--s\nContent-Type: application/pgp-signature\n\nx\n--s--\n`;
    const { shown, reply } = await change(
      t,
      `show { parts[2]:remove() } show { parts[2]:replace { data = "" } } show { mime.add { data = "x" } } show { mime.banner { text = "x" } }`,
      signed,
    );
    assert.deepEqual(shown, Array(4).fill([false, 'signed']));
    assert.deepEqual(reply.modifications, []);
    const encrypted = signed.replace('multipart/signed', 'multipart/encrypted');
    const other = await change(t, 'show { parts[2]:remove() } show { mime.add { data = "x" } }', encrypted);
    assert.deepEqual(other.shown, Array(2).fill([false, 'encrypted']));
    const smime = 'Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nx\n';
    assert.deepEqual((await change(t, 'show { mime.banner { text = "x" } }', smime)).shown, [
      [false, 'encrypted'],
    ]);
  });

  it('and body.replace keep out of each other’s way', async (t) => {
    const { shown, seen } = await change(
      t,
      `parts[2]:remove() show { select(2, pcall(body.replace, "x")) }`,
      multipart(TEXT, '\nlast'),
    );
    assert.match(String(shown), /body\.replace: parts of the message have been changed by mime/);
    assert.equal(seen.length, 2);
    const other = await change(
      t,
      `body.replace("x\\r\\n") show { select(2, pcall(parts[2].remove, parts[2])) }`,
      multipart(TEXT, '\nlast'),
    );
    assert.match(String(other.shown), /mime\.part:remove: body\.replace has replaced the body/);
    assert.ok(other.result.toString('latin1').endsWith('\r\n\r\nx\r\n'));
  });

  it('go with the callback that fails', async (t) => {
    const policy = await Policy.open(t, 'function smtp.do_dot() mime.parts[1]:remove() error "no" end', {
      'on-error': 'continue',
    });
    const { reply, errors } = await policy.look(multipart(TEXT));
    assert.deepEqual(reply.modifications, []);
    assert.match(errors.join(), /the changes it asked for \(1\) are dropped/);
  });

  it('that the MTA does not grant are refused', async (t) => {
    const policy = await Policy.open(
      t,
      'function smtp.do_dot() show { type(mime.parts[2]:remove()), select(2, mime.parts[2]:remove()) } end',
      { actions: 'add-header' },
    );
    const { reply, shown } = await policy.look(multipart(TEXT, FILE));
    assert.deepEqual(reply.modifications, []);
    assert.match(String(shown), /^nil,refused: the MTA has not agreed/);
  });

  it('raise errors for what is no part', async (t) => {
    for (const [lua, error] of [
      ['parts[1]:replace {}', /option data: is missing/],
      ['parts[1]:replace { data = 1 }', /option data: string expected/],
      ['parts[1]:replace { data = "", typ = "x" }', /options are type, data, name/],
      [
        'parts[1]:replace { data = "", type = "text/plain; charset=x" }',
        /option type: like text\/plain expected/,
      ],
      ['mime.add { data = "", type = "message/rfc822" }', /no multipart and no message/],
      ['mime.banner { text = "x", at = "middle" }', /option at: top or end expected/],
      ['mime.banner { text = "\\xff" }', /option text: UTF-8 expected/],
      ['mime.banner { text = "x", mark = "a b" }', /option mark: 1 to 64/],
    ] as const) {
      const { shown } = await change(t, `show { select(2, pcall(function() ${lua} end)) }`, multipart(TEXT));
      assert.match(String(shown), error);
    }
  });
});
