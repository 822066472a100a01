/** Parts of messages changed, as the next hop sees them: all other bytes must be as they were sent. */
import {
  DATA,
  EHLO,
  GREETING,
  MAIL,
  type MailCase,
  mailWith,
  message,
  PLAIN_ARRIVAL,
  QUIT,
  RCPT,
  WHOLE_SESSION,
} from '../mail-case.ts';

/** In seven bits: Sendmail itself rewrites others, for a next hop that takes no more. */
const HEADERS = ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary="=_b"'];
const PREAMBLE = 'for old programs \r\n\r\n';
const TEXT = '--=_b\r\nContent-type:  text/plain;\r\n\tcharset="us-ascii"\r\n\r\nhello  \r\n.dots\r\n\r\n';
const PROGRAM =
  '--=_b\r\nContent-Type: application/x\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\nMZ\r\n';
const LAST = '--=_b\r\nX-Odd:header\r\n\r\nlast\r\n';
const END = '--=_b--\r\nbehind\r\n';

const changed = (name: string, policy: string, sent: string, arrives: string): MailCase => ({
  name: `parts: ${name}`,
  policy: `function answer.dot() ${policy} end`,
  sessions: [[GREETING, EHLO, MAIL, RCPT, DATA, message(sent, '250'), QUIT]],
  calls: [WHOLE_SESSION],
  arrives: [{ ...PLAIN_ARRIVAL, content: arrives }],
});

const SIGNED = mailWith(
  ['MIME-Version: 1.0', 'Content-Type: multipart/signed; boundary=s; protocol="application/pgp-signature"'],
  '--s\r\n\r\nhello\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n',
);

export const PARTS: readonly MailCase[] = [
  changed(
    'one taken out, one replaced, one added',
    `for _, part in ipairs(mime.parts) do
      if part.name == 'a.exe' then assert(part:remove()) end
      if part.type == 'text/plain' and part.charset then
        assert(part:replace { type = 'text/plain', data = 'gone: \\u{fc}\\n' })
      end
    end
    assert(mime.add { type = 'application/x', data = '\\0\\255', name = 'a b.bin' })`,
    mailWith(HEADERS, PREAMBLE + TEXT + PROGRAM + LAST + END),
    mailWith(
      HEADERS,
      `${PREAMBLE}--=_b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ngone: =C3=BC\r\n\r\n${LAST}--=_b\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n filename="a b.bin"\r\n\r\nAP8=\r\n\r\n${END}`,
    ),
  ),
  changed(
    'a banner in a message of one text',
    `assert(mime.banner { text = 'From outside: \\u{20ac}\\n', mark = 'outside' })
    assert(select(2, mime.banner { text = 'x', mark = 'outside' }) == 'changed')`,
    mailWith(
      [
        'MIME-Version: 1.0',
        'Content-Type: text/plain; charset=iso-8859-15',
        'Content-Transfer-Encoding: 8bit',
        'X-Last: x',
      ],
      'caf\xe9\r\n',
    ),
    mailWith(
      [
        'MIME-Version: 1.0',
        'Content-Type: text/plain; charset=iso-8859-15',
        'Content-Transfer-Encoding: 8bit',
        'X-Last: x',
        'X-Policy-Banner: outside',
      ],
      'From outside: \xa4\r\ncaf\xe9\r\n',
    ),
  ),
  changed(
    'the whole message replaced, with its headers',
    `assert(mime.parts[1]:replace { type = 'text/plain', data = 'all gone\\n' })`,
    mailWith(['MIME-Version: 1.0', 'Content-Disposition: inline', 'Content-Type: a/b', 'X-Last: x'], 'x\r\n'),
    mailWith(
      [
        'MIME-Version: 1.0',
        'Content-Type: text/plain; charset=utf-8',
        'X-Last: x',
        'Content-Transfer-Encoding: 7bit',
      ],
      'all gone\r\n',
    ),
  ),
  changed(
    'a signed message stays',
    `local done, why = mime.parts[2]:remove()
    assert(done == false and why == 'signed')
    assert(select(2, mime.add { data = 'x' }) == 'signed')`,
    SIGNED,
    SIGNED,
  ),
];
