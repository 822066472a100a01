/** Address lists, as policies compare what is in them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeHeader } from '../../src/message/header-encoding.ts';
import { decodeHeader, parseMailboxes } from '../../src/message/header-text.ts';
import { pathOf } from '../../src/message/mailbox.ts';
import { finish } from '../../src/message/slices.ts';
import { mailboxOf } from '../../src/milter/envelope-address.ts';

const utf8 = (text: string) => Buffer.from(text).toString('latin1');
/** `name <addr>`, with `?` in front of one that is a guess. */
const shown = (list: string): string[] =>
  [...parseMailboxes(list)]
    .flat()
    .map(({ name, addr, malformed }) => `${malformed ? '? ' : ''}${name === '' ? '' : `${name} `}<${addr}>`);

for (const [list, ...expected] of [
  // RFC 5322, 3.4.
  [' a@b.example', '<a@b.example>'],
  [' Name <a@B.Example>', 'Name <a@b.example>'],
  [' "Doe, John" <j@x.example>, <a@b.example>', 'Doe, John <j@x.example>', '<a@b.example>'],
  [' J. R. "Bob" Doe <j@x.example>', 'J. R. Bob Doe <j@x.example>'],
  [' "a \\"b\\" \\\\c" <j@x.example>', 'a "b" \\c <j@x.example>'],
  ['\r\n\ta@b.example,\r\n\tc@d.example', '<a@b.example>', '<c@d.example>'],
  [' a@b.example (Jane Doe)', 'Jane Doe <a@b.example>'],
  [' undisclosed-recipients:;'],
  [''],
  [' (a@b.example)'],
  [' A: a@b.example, "B" <b@c.example>;, d@e.example', '<a@b.example>', 'B <b@c.example>', '<d@e.example>'],
  [' a@b.example (x (y) c@evil.example)', 'x (y) c@evil.example <a@b.example>'],
  [' (a@evil.example) b@c.example', 'a@evil.example <b@c.example>'],
  [' "john doe"@x.example', '<"john doe"@x.example>'],
  [' "a,b"@x.example', '<"a,b"@x.example>'],
  [' X <"a@evil.example"@x.example>', 'X <"a@evil.example"@x.example>'],
  [' "x@y" <a@b.example>', 'x@y <a@b.example>'],
  [' a@[192.0.2.1]', '<a@[192.0.2.1]>'],
  [' Fo\xe9 <a\xe9@b.example>', 'Fo\xe9 <a\xe9@b.example>'],
  [' \xa0 <a@b.example>', '\xa0 <a@b.example>'],
  [' <>', '<>'],
  // One mailbox in other clothes.
  [' ceo @ our.example', '<ceo@our.example>'],
  [' ceo@ our.example', '<ceo@our.example>'],
  [' ceo @our.example', '<ceo@our.example>'],
  [' ceo\t@\tour.example', '<ceo@our.example>'],
  [' ceo\r\n @\r\n our.example', '<ceo@our.example>'],
  [' ceo(x)@(y)our(z).(w)example', 'x y z w <ceo@our.example>'],
  [' < ceo @ our . example >', '<ceo@our.example>'],
  [' X <ceo(a)@(b)our.example>', 'X <ceo@our.example>'],
  [' "ceo"@our.example', '<ceo@our.example>'],
  [' "c\\eo"@OUR.example', '<ceo@our.example>'],
  [' j . doe @ our . example', '<j.doe@our.example>'],
  [' "j" . doe@our.example', '<j.doe@our.example>'],
  [' <@r.example,@s.example:ceo@our.example>', '<ceo@our.example>'],
  [' <@r.example, ,@s.example : ceo@our.example>', '<ceo@our.example>'],
  [' a@[ 192.0.2.1 ]', '<a@[192.0.2.1]>'],
  [' ,a@b.example,,c@d.example,', '<a@b.example>', '<c@d.example>'],
  // Encoded words.
  [' =?utf-8?Q?J=C3=BCrgen?= <j@x.example>', `${utf8('Jürgen')} <j@x.example>`],
  [' "=?utf-8?Q?J=C3=BCrgen?=" <j@x.example>', `${utf8('Jürgen')} <j@x.example>`],
  [' =?utf-8?Q?a?=\r\n =?utf-8?Q?b?= <j@x.example>', 'ab <j@x.example>'],
  [' =?utf-8?Q?a=40bank.example?= <x@evil.example>', 'a@bank.example <x@evil.example>'],
  [' =?utf-8?Q?Bank_=3Ca=40bank.example=3E?=', '? Bank <a@bank.example> <>'],
  [' =?utf-8?Q?Doe,_John?= <j@x.example>', '? Doe, John <j@x.example>'],
  [' =?utf-8?Q?a@our.example,?= <x@evil.example>', '<=?utf-8?Q?a@our.example>', '?= <x@evil.example>'],
  [' =?utf-8?Q?ceo?=@our.example', '<=?utf-8?Q?ceo?=@our.example>'],
  // Guesses.
  [' support@bank.example <x@evil.example>', '? support@bank.example <x@evil.example>'],
  [' A <a@b.example> <c@d.example>', '? A <a@b.example>', '? <c@d.example>'],
  [' A <a@b.example> c@d.example', '? A <a@b.example>', '? <c@d.example>'],
  [' a@b.example c@d.example', '? <a@b.example>', '? <c@d.example>'],
  [' a@b.example; c@d.example', '? <a@b.example>', '<c@d.example>'],
  [' MAILER-DAEMON', '? MAILER-DAEMON <>'],
  [' <postmaster>', '? <postmaster>'],
  [' Foo <foo@bar.example', '? Foo <foo@bar.example>'],
  [' Foo <foo@bar.example, ceo@our.example', '? Foo <foo@bar.example>', '<ceo@our.example>'],
  [' <<ceo@our.example>>', '? <>', '? > <ceo@our.example>'],
  [' ceo@our.example.', '? <ceo@our.example>'],
  [' ceo@our..example', '? <ceo@our..example>'],
  [' a..b@our.example', '? <"a..b"@our.example>'],
  [' .a.@our.example', '? <".a."@our.example>'],
  [' a@b@our.example', '? <"a@b"@our.example>'],
  [' <a@b@our.example>', '? <"a@b"@our.example>'],
  [' <a b@our.example>', '? <"a b"@our.example>'],
  [' John Doe @ our.example', '? John <Doe@our.example>'],
  [' ceo@our.example extra', '? extra <ceo@our.example>'],
  [' ceo@"our.example"', '? <ceo@our.example>'],
  [' mailto:ceo@our.example', '? <ceo@our.example>'],
  [' ceo@our.example: x@y.example;', '? <ceo@our.example>', '<x@y.example>'],
  [' <@x.example, ceo@our.example>', '? <"@x.example,ceo"@our.example>'],
  [' "ceo@our.example', '? ceo@our.example <>'],
  [' [EXTERNAL] Foo <a@b.example>', '? [EXTERNAL] Foo <a@b.example>'],
] as const) {
  test(`addresses of ${JSON.stringify(list)}`, () => assert.deepEqual(shown(list), expected));
}

test('a domain has the form that it has in the envelope', () => {
  for (const domain of [
    'Our.Example',
    '[192.0.2.7]',
    '[ipv6:2001:DB8::1]',
    '[IPV6:2001:db8::1]',
    'B\xc3\x9cCHER.example', // A capital letter of UTF-8.
    'b\xfccher.Example',
  ]) {
    const meant = mailboxOf(`<a@${domain}>`);
    assert.deepEqual(shown(` <a@${domain}>`), [`<${meant}>`], domain);
  }
});

test('what stands for one mailbox can be given to functions that take an address', () => {
  for (const list of [
    '"a,b"@x.example',
    'a..b@x.example',
    'a@b@c.example',
    'j . doe @ x . example',
    'a@[192.0.2.1]',
  ]) {
    for (const { addr } of [...parseMailboxes(list)].flat()) assert.ok('path' in pathOf(addr), addr);
  }
});

const token = fc.constantFrom(
  ...[
    'a',
    'b@c.example',
    '<d@e.example>',
    '<',
    '>',
    ',',
    ', ',
    ';',
    ':',
    'g:',
    '(',
    ')',
    '(x, y)',
    '"',
    '"p, q"',
  ],
  ...[
    '\\',
    ' ',
    '@',
    '.',
    '[',
    ']',
    '=?utf-8?Q?m,n?=',
    '=?utf-8?Q?=3Co=40p=3E?=',
    '=?utf-8?Q?=2C_r=40s.example?=',
  ],
  ...['=?utf-8?B?Ig==?=', '=?utf-8?Q?=0D=0A?=', '=?utf-8?Q?=3D=3Futf-8=3FQ=3Fx=3F=3D?=', '\xe9', '\xc3\xa9'],
);

test('what header.get gives of a list has the same addresses when it is written back', () => {
  fc.assert(
    fc.property(fc.array(token, { maxLength: 20 }), (tokens) => {
      const list = tokens.join('').trim();
      const got = finish(decodeHeader('From', list));
      const written = finish(encodeHeader('From', ` ${got}`, { utf8: false, line: false }));
      const addresses = (text: string) =>
        [...parseMailboxes(text)].flat().flatMap(({ addr }) => (addr === '' || addr === '@' ? [] : [addr]));
      assert.deepEqual(addresses(written), addresses(list), JSON.stringify([list, got, written]));
    }),
    { numRuns: 3000 },
  );
});
