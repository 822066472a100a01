/** Header values as people read them. Expectations are written as UTF-8 text or as bytes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Mailbox } from '../../src/message/address-list.ts';
import { decodeHeader, parseMailboxes } from '../../src/message/header-text.ts';
import { finish } from '../../src/message/slices.ts';
import { cpuMsOf } from '../helpers/cpu-time.ts';

const decoded = (name: string, value: string) => finish(decodeHeader(name, value));
const mailboxesIn = (value: string): Mailbox[] => [...parseMailboxes(value)].flat();

/** Bytes of UTF-8 text, one character each. */
const utf8 = (text: string) => Buffer.from(text).toString('latin1');
const table = (rows: readonly (readonly [value: string, expected: string])[]) => {
  for (const [value, expected] of rows) {
    test(JSON.stringify(value), () => assert.equal(decoded('Subject', value), expected));
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
  [' =?utf-8?B?SsM=?=\r\n =?utf-8?B?vHJnZW4=?=', utf8('Jürgen')], // A character cut in two words.
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
        decoded('Subject', value),
        ...mailboxesIn(value).flatMap((m) => [m.name, m.addr, m.user, m.domain]),
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
      assert.equal(decoded('Subject', ` ${bytes} =?utf-8?Q?x?= ${bytes}`), `${bytes} x ${bytes}`);
      assert.deepEqual(
        mailboxesIn(`${bytes} <${bytes}@b.example>`).map(({ name, user }) => [name, user]),
        [[bytes, bytes]],
      );
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
        // A comment stands in for an empty name.
        if (name.trim() !== '' && !name.includes('=?')) assert.equal(read[i]?.name, name.trim());
      });
    }),
  );
});

test('the time for a hostile list grows with its length, not faster', () => {
  const size = 100_000;
  for (const unit of ['a:', '(', '"a" ', '<', 'a@b,', '=?', '=?utf-8?Q?a?= ', 'a:"b:c";', '@[', '\\"', ' ']) {
    const ms = cpuMsOf(() => {
      mailboxesIn(unit.repeat(size / unit.length));
      decoded('Subject', unit.repeat(size / unit.length));
    });
    assert.ok(ms < 3000, `${unit}: ${ms} ms`);
  }
});
