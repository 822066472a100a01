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

  it('in one long line comes in pieces all the same', () => {
    const stream = new TextStream('iso-8859-1', '');
    let most = 0;
    for (let i = 0; i < 64; i++) most = Math.max(most, stream.take('x'.repeat(65_536)).length);
    assert.ok(most > 0 && most < 2_000_000, `${most}`);
  });
});
