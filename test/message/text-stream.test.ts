/** Text in pieces is the text in one: iconv-lite and Node.js decode the whole. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import iconv from 'iconv-lite';
import { TextStream } from '../../src/message/text-stream.ts';

const TEXT = 'Grüße, 日本 für 10 €\nzweite Zeile\n';
const SAMPLES: Readonly<Record<string, [text: string, bytes: Buffer]>> = {
  'utf-8': [`${TEXT}😀`, Buffer.from(`${TEXT}😀`)],
  'utf-16le': [`${TEXT}😀`, Buffer.from(`${TEXT}😀`, 'utf16le')],
  'utf-16': [`${TEXT}😀`, iconv.encode(`${TEXT}😀`, 'utf-16be', { addBOM: true })],
  'utf-32': ['aü😀', iconv.encode('aü😀', 'utf-32be', { addBOM: true })],
  'iso-8859-15': ['Grüße 10 €', iconv.encode('Grüße 10 €', 'iso-8859-15')],
  shift_jis: ['日本\nあ\n', iconv.encode('日本\nあ\n', 'shift_jis')],
  gb18030: ['你好\n世界\n', iconv.encode('你好\n世界\n', 'gb18030')],
  'iso-2022-jp': ['日本 a\n', Buffer.from('\x1b$BF|K\\\x1b(B a\n', 'latin1')],
  'iso-2022-kr': ['한국 a', Buffer.from('\x1b$)C\x0eGQ19\x0f a', 'latin1')],
  'hz-gb-2312': ['你好 a世界', Buffer.from('~{Dc:C~} a~\n~{J@=g~}', 'latin1')],
  'utf-7': ['ü日本-a', Buffer.from('+APxl5Wcs--a', 'latin1')],
  big5: ['許功蓋', iconv.encode('許功蓋', 'big5')],
  'euc-kr': ['한국\n어\n', iconv.encode('한국\n어\n', 'euc-kr')],
};

describe('text in pieces', () => {
  for (const [charset, [text, bytes]] of Object.entries(SAMPLES)) {
    it(charset, () => {
      for (const size of [1, 2, 3, 5, bytes.length]) {
        const latin1 = bytes.toString('latin1');
        const stream = new TextStream(charset, latin1.slice(0, Math.max(size, 4)));
        let decoded = '';
        for (let at = 0; at < latin1.length; at += size) decoded += stream.take(latin1.slice(at, at + size));
        decoded += stream.end();
        assert.equal(Buffer.from(decoded, 'latin1').toString(), text, `pieces of ${size}`);
      }
    });
  }

  it('of a charset that nobody knows is taken for windows-1252', () => {
    const stream = new TextStream('x-nobody', '');
    assert.equal(stream.take('\x80\n') + stream.end(), '\xe2\x82\xac\n');
  });

  for (const charset of ['iso-8859-1', 'gb18030', 'utf-7', 'hz-gb-2312', 'iso-2022-kr']) {
    it(`in one long line of ${charset} comes in pieces all the same`, () => {
      const stream = new TextStream(charset, '');
      for (let i = 0; i < 64; i++) assert.equal(stream.take('x'.repeat(8192)).length, 8192);
    });
  }
});
