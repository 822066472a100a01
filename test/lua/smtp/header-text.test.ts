/** Header values as people read them. Expectations are written as UTF-8 text or as bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeHeader, type Mailbox, parseMailboxes } from '../../../src/lua/smtp/header-text.ts';

const mailboxesIn = (value: string, partChars?: number): Mailbox[] =>
  [...parseMailboxes(value, partChars)].flat();

/** Bytes of UTF-8 text, one character each. */
const utf8 = (text: string) => Buffer.from(text).toString('latin1');
const table = (rows: readonly (readonly [value: string, decoded: string])[]) => {
  for (const [value, decoded] of rows) {
    test(JSON.stringify(value), () => assert.equal(decodeHeader(value), decoded));
  }
};

table([
  [' plain', 'plain'],
  ['\t two \t', 'two'],
  [' folded\r\n more', 'folded more'],
  [' folded\n\tmore', 'folded\tmore'],
  [' =?utf-8?Q?J=C3=BCrgen?=', utf8('Jürgen')],
  [' =?ISO-8859-1?q?a=E9b_c?=', utf8('aéb c')],
  [' =?utf-8?B?SsO8cmdlbg==?=', utf8('Jürgen')],
  [' =?utf-8?B?SsM=?=\r\n =?utf-8?B?vHJnZW4=?=', `J${utf8('\ufffd\ufffd')}rgen`], // A character cut in two words.
  [' =?utf-8?Q?a?= =?utf-8?Q?b?= c', 'ab c'],
  [' =?utf-8?Q?=E6=97?=\r\n =?utf-8?Q?=A5?=', utf8('日')],
  [' =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=', utf8('日本')],
  [' =?koi8-r?B?8NLJ18XU?=', utf8('Привет')],
  [' =?x-unknown?Q?=E9?=', utf8('é')], // As windows-1252.
  [' =?utf-8?Q?=FF?=', utf8('\ufffd')],
  [' =?utf-8?Q?half', '=?utf-8?Q?half'],
  // Bytes that are not encoded: neither decoded nor trimmed.
  [' caf\xe9', 'caf\xe9'],
  [' \xa0x\xa0', '\xa0x\xa0'],
  [' \xc3\xa9 =?utf-8?Q?=C3=A9?= \xe9', '\xc3\xa9 \xc3\xa9 \xe9'],
  [' =?utf-8?Q?\xc3\xa9?=', '\xc3\xa9'],
  // What an encoded word hides must not become a header of its own.
  [' =?utf-8?Q?a=0D=0AX-Evil:_1?=', 'a  X-Evil: 1'],
  [' =?utf-8?Q?a=00b?=', 'a b'],
  ['', ''],
]);

const mailbox = (addr: string, name = '') => {
  const at = addr.lastIndexOf('@');
  return { name, addr, user: addr.slice(0, at), domain: addr.slice(at + 1).toLowerCase() };
};

for (const [list, mailboxes] of [
  [' a@b.example', [mailbox('a@b.example')]],
  [' Name <a@b.example>', [mailbox('a@b.example', 'Name')]],
  [
    ' "Doe, John" <j@x.example>, <a@B.Example>',
    [mailbox('j@x.example', 'Doe, John'), mailbox('a@B.Example')],
  ],
  [' J. R. "Bob" Doe <j@x.example>', [mailbox('j@x.example', 'J. R. Bob Doe')]],
  [' "a \\"b\\" \\\\c" <j@x.example>', [mailbox('j@x.example', 'a "b" \\c')]],
  ['\r\n\ta@b.example,\r\n\tc@d.example', [mailbox('a@b.example'), mailbox('c@d.example')]],
  [' a@b.example (Jane Doe)', [mailbox('a@b.example', 'Jane Doe')]],
  [' undisclosed-recipients:;', []],
  ['', []],
  [
    ' Team: a@b.example, "B" <b@c.example>;, d@e.example',
    [mailbox('a@b.example'), mailbox('b@c.example', 'B'), mailbox('d@e.example')],
  ],
  [' =?utf-8?Q?J=C3=BCrgen?= <j@x.example>', [mailbox('j@x.example', utf8('Jürgen'))]],
  [' "=?utf-8?Q?J=C3=BCrgen?=" <j@x.example>', [mailbox('j@x.example', utf8('Jürgen'))]],
  [' =?utf-8?Q?Doe,_John?= <j@x.example>', [mailbox('j@x.example', 'Doe, John')]],
  [' =?utf-8?Q?a?=\r\n =?utf-8?Q?b?= <j@x.example>', [mailbox('j@x.example', 'ab')]],
  [' Fo\xe9 <a\xe9@b.example>', [mailbox('a\xe9@b.example', 'Fo\xe9')]],
  [' \xa0 <a@b.example>', [mailbox('a@b.example', '\xa0')]],
  // The display name is no address, whatever it looks like.
  [' support@bank.example <x@evil.example>', [mailbox('x@evil.example', 'support@bank.example')]],
  [' "a@bank.example" <x@evil.example>', [mailbox('x@evil.example', 'a@bank.example')]],
  [' =?utf-8?Q?a=40bank.example?= <x@evil.example>', [mailbox('x@evil.example', 'a@bank.example')]],
  [
    ' =?utf-8?Q?Bank_=3Ca=40bank.example=3E?=',
    [{ name: 'Bank <a@bank.example>', addr: '', user: '', domain: '' }],
  ],
  [' a@b.example (x (y) c@evil.example)', [mailbox('a@b.example', 'x (y) c@evil.example')]],
  [' (a@evil.example) b@c.example', [mailbox('b@c.example', 'a@evil.example')]],
  [' <a(x)@b.example>', [mailbox('a@b.example')]],
  [' "john doe"@x.example', [mailbox('"john doe"@x.example')]],
  [' X <"a@evil.example"@x.example>', [mailbox('"a@evil.example"@x.example', 'X')]],
  [' "a,b"@x.example', [mailbox('"a,b"@x.example')]],
  [' <@r.example,@s.example:a@b.example>', [mailbox('a@b.example')]],
  [' a@[192.0.2.1], b@[IPv6:2001:db8::1]', [mailbox('a@[192.0.2.1]'), mailbox('b@[IPv6:2001:db8::1]')]],
  [' MAILER-DAEMON', [{ name: 'MAILER-DAEMON', addr: '', user: '', domain: '' }]],
  [' Foo <foo@bar.example', [mailbox('foo@bar.example', 'Foo')]],
  [' A <a@b.example> <c@d.example>', [mailbox('a@b.example', 'A c@d.example')]],
] as const) {
  test(`addresses of ${JSON.stringify(list)}`, () => assert.deepEqual(mailboxesIn(list), mailboxes));
}

const byte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
const soup = fc.oneof(
  byte,
  fc.constantFrom(
    '"',
    '(',
    ')',
    '<',
    '>',
    ',',
    ':',
    ';',
    '@',
    '\\',
    '=?',
    '?=',
    '=?utf-8?Q?',
    '[',
    ']',
    ' ',
    'a',
  ),
);

test('no value makes decoding or parsing throw, and bytes stay bytes without CR, LF and NUL from encoded words', () => {
  fc.assert(
    fc.property(fc.array(soup, { maxLength: 60 }), (parts) => {
      const value = parts.join('');
      for (const text of [
        decodeHeader(value),
        ...mailboxesIn(value).flatMap((m) => Object.values<string>({ ...m })),
      ]) {
        assert.match(text, /^[\0-\xff]*$/);
      }
    }),
    { numRuns: 2000 },
  );
});

test('bytes above 127 come out as they went in', () => {
  const eight = fc.array(fc.integer({ min: 0x80, max: 0xff }), { minLength: 1 });
  fc.assert(
    fc.property(eight, (codes) => {
      const bytes = String.fromCharCode(...codes);
      assert.equal(decodeHeader(` ${bytes} =?utf-8?Q?x?= ${bytes}`), `${bytes} x ${bytes}`);
      assert.deepEqual(mailboxesIn(`${bytes} <${bytes}@b.example>`), [mailbox(`${bytes}@b.example`, bytes)]);
    }),
  );
});

const atom = fc.stringMatching(/^[a-z0-9]{1,8}$/);
const address = fc.tuple(atom, atom).map(([local, domain]) => `${local}@${domain}.example`);
const quotable = fc.stringMatching(/^[ -~]{0,12}$/);

test('any list written by the rules is read back', () => {
  const entry = fc.tuple(quotable, address, quotable);
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1 }), (entries) => {
      const quote = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;
      const comment = (text: string) => `(${text.replace(/[()\\]/g, '\\$&')})`;
      const list = entries
        .map(([name, addr, note]) => `${quote(name)} <${addr}> ${comment(note)}`)
        .join(', ');
      const read = mailboxesIn(list);
      assert.deepEqual(
        read.map(({ addr }) => addr),
        entries.map(([, addr]) => addr),
      );
      entries.forEach(([name], i) => {
        if (!name.includes('=?')) assert.equal(read[i]?.name, name.trim());
      });
    }),
  );
});

test('a list that is cut into parts has the same mailboxes', () => {
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
      '\\',
      ' ',
    ],
    ...['@', '[', ']', '=?utf-8?Q?m,n?=', '=?utf-8?Q?=3Co=40p=3E?=', '\xe9', '\r\n\t'],
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 30 }), (tokens) => {
      const list = tokens.join('');
      assert.deepEqual(mailboxesIn(list, 0), mailboxesIn(list, Number.POSITIVE_INFINITY), list);
    }),
    { numRuns: 3000 },
  );
  const entries = Array.from({ length: 2000 }, (_, i) => `"Doe, ${i}" <u${i}@d.example> (x)`);
  assert.deepEqual(
    mailboxesIn(entries.join(', ')).map(({ name, addr }) => `${name} ${addr}`),
    entries.map((_, i) => `Doe, ${i} u${i}@d.example`),
  );
  for (const list of [entries.join(', '), entries.map((entry) => `group: ${entry};`).join('')]) {
    assert.ok(Math.max(...[...parseMailboxes(list)].map((part) => part.length)) < 200);
  }
});

test('the time for a hostile list grows with its length, not faster', () => {
  const size = 100_000;
  for (const unit of ['a:', '(', '"a" ', '<', 'a@b,', '=?', '=?utf-8?Q?a?= ', 'a:"b:c";', '@[', '\\"', ' ']) {
    const start = performance.now();
    mailboxesIn(unit.repeat(size / unit.length));
    decodeHeader(unit.repeat(size / unit.length));
    assert.ok(performance.now() - start < 3000, unit);
  }
});
