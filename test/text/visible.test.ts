/** Text of strangers on its way to a person: what does harm is escaped, what a person reads is left. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { visible, visibleLines, visibleText } from '../../src/text/visible.ts';

const utf8 = (text: string): string => Buffer.from(text).toString('latin1');

describe('visible', () => {
  const cases: Readonly<Record<string, [latin1: string, shown: string]>> = {
    'plain ASCII is left': ['550 5.1.1 "no" \\n', '550 5.1.1 "no" \\n'],
    'controls have their escapes': ['a\n\r\t\x00\x1b[2J\x7f', 'a\\n\\r\\t\\x00\\x1b[2J\\x7f'],
    'characters of UTF-8 are left': [utf8('Grüße, 世界, 🙂'), utf8('Grüße, 世界, 🙂')],
    'bytes that are no UTF-8 are escaped': ['caf\xe9 \xc3', 'caf\\xe9 \\xc3'],
    'an overlong form is no UTF-8': ['\xc0\xaf', '\\xc0\\xaf'],
    'a surrogate is no UTF-8': ['\xed\xa0\x80', '\\xed\\xa0\\x80'],
    'controls of C1 are escaped': [utf8('\u009b2J'), '\\u{9b}2J'],
    'turns of direction are escaped': [utf8('a\u202egnp.exe\u2066'), 'a\\u{202e}gnp.exe\\u{2066}'],
    'separators of lines are escaped': [utf8('a\u2028b\u2029'), 'a\\u{2028}b\\u{2029}'],
    'a byte order mark is escaped': [utf8('\ufeffa'), '\\u{feff}a'],
    'characters above U+00FF stand for their bytes': ['\u4e16', utf8('\u4e16')],
  };
  for (const [name, [latin1, shown]] of Object.entries(cases)) {
    test(name, () => assert.equal(visible(latin1), shown));
  }

  test('every byte but printable ASCII is escaped where it stands alone', () => {
    for (let byte = 0; byte < 256; byte++) {
      const text = String.fromCharCode(byte);
      assert.equal(visible(text) === text, byte >= 0x20 && byte < 0x7f, `0x${byte.toString(16)}`);
    }
  });
});

test('visibleText takes characters and gives characters', () => {
  assert.equal(visibleText('Grüße \u202e\n'), 'Grüße \\u{202e}\\n');
});

test('visibleLines keeps line ends and tabs', () => {
  assert.equal(visibleLines('a\x1b\n\tb\r\n'), 'a\\x1b\n\tb\\r\n');
});
