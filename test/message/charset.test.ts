/**
 * Charsets, by byte tables. charsets.json was made from the index files of the WHATWG Encoding Standard, not by our code:
 * of single-byte charsets what 80 to FF are, of two-byte ones a hash for each first byte from 81 to FE.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { decoderOf } from '../../src/message/charset.ts';

const tables: {
  single: Readonly<Record<string, string>>;
  double: Readonly<Record<string, readonly string[]>>;
} = JSON.parse(readFileSync(new URL('charsets.json', import.meta.url), 'utf8'));

function decode(label: string, bytes: readonly number[] | string): string {
  const decoder = decoderOf(label);
  assert.ok(decoder, label);
  const text = typeof bytes === 'string' ? bytes : String.fromCharCode(...bytes);
  return Buffer.from(decoder(text), 'latin1').toString();
}

for (const [label, upper] of Object.entries(tables.single)) {
  test(`bytes of ${label}`, () => {
    for (let byte = 0; byte < 256; byte++) {
      const expected = byte < 128 ? String.fromCharCode(byte) : upper[byte - 128];
      assert.equal(decode(label, [byte]), expected, byte.toString(16));
    }
  });
}

for (const [label, rows] of Object.entries(tables.double)) {
  test(`characters of ${label}`, () => {
    rows.forEach((expected, i) => {
      if (expected === '') return; // euc-jp 8E: TextDecoder knows five more than the standard.
      let row = '';
      for (let second = 0x40; second < 0xff; second++) {
        const [char = '', ...more] = decode(label, [0x81 + i, second]);
        if (more.length > 0 || char === '\ufffd') continue;
        row += `${second.toString(16).padStart(2, '0')}${char.codePointAt(0)?.toString(16)},`;
      }
      const hash = createHash('sha256').update(row).digest('hex').slice(0, 12);
      assert.equal(hash, expected, `first byte ${(0x81 + i).toString(16)}`);
    });
  });
}

for (const [label, bytes, expected] of [
  ['ISO-8859-1', '\x80 500 \x93win\x94', '\u20ac 500 \u201cwin\u201d'],
  ['us-ascii', '\x80', '\u20ac'],
  ['latin1', '\x80', '\u20ac'],
  ['iso-8859-9', '\xfd', '\u0131'],
  ['gb2312', '\xd6\xd0', '中'],
  ['ks_c_5601-1987', '\xb0\xa1', '가'],
  ['cp949', '\xb0\xa1', '가'],
  ['utf-7', 'Hi +AOQ- x', 'Hi ä x'],
  ['iso-2022-jp', '\x1b$BF|K\\\x1b(B x', '日本 x'],
  ['iso-2022-kr', '\x1b$)C\x0e0!3*\x0f abc', '가나 abc'],
  ['hz-gb-2312', 'a ~{VPND~} b', 'a 中文 b'],
  ['gb18030', '\x81\x30\x81\x30', '\x80'],
  ['utf-16', '\xfe\xff\0A', 'A'],
  ['utf-16', 'A\0', 'A'],
  ['utf-16be', '\0A', 'A'],
  ['utf-32be', '\0\0\0A', 'A'],
  ['cp437', '\x80', 'Ç'],
] as const) {
  test(`${label}: ${JSON.stringify(bytes)}`, () => assert.equal(decode(label, bytes), expected));
}

test('bytes of unknown-8bit stay as they are', () => {
  assert.equal(decoderOf('unknown-8bit')?.('\x80\xff'), '\x80\xff');
});

test('what is no charset of mail is unknown', () => {
  for (const label of ['', 'x-none', 'hex', 'base64', 'binary', 'utf-7-imap', '__proto__', 'constructor']) {
    assert.equal(decoderOf(label), undefined, label);
  }
});
