/**
 * Encoded words of headers (RFC 2047) -> UTF-8.
 *
 * Lenient where mailers are careless: a word may stand inside other text, hold blanks and bytes above 127, or end in the
 * middle of a character that the next word of the same charset completes. Text is latin1.
 */
import { decoderOf } from './charset.ts';
import { finish, type Slices } from './slices.ts';

/** Charset, with a language perhaps (RFC 2231); Q or B; text. */
const WORD = String.raw`=\?([^?\s*]+)(?:\*[^?\s]*)?\?([QqBb])\?([^?]*)\?=`;
const WORDS = new RegExp(WORD, 'g');
const WORD_HERE = new RegExp(WORD, 'y');

/** Where the encoded word that begins at `start` ends; -1 when none begins there. */
export function endOfEncodedWord(text: string, start: number): number {
  WORD_HERE.lastIndex = start;
  return WORD_HERE.test(text) ? WORD_HERE.lastIndex : -1;
}

/**
 * `text` with its encoded words decoded. Blanks between two words are dropped. An unknown charset is taken for
 * windows-1252, so that its ASCII is seen; unknown-8bit stands for the bytes themselves. Line ends and NULs that were
 * hidden in words become blanks. What is not encoded passes as it is.
 *
 * @param put what to put in the place of words, given what they say
 */
export function decodeWords(text: string, put: (decoded: string) => string = (decoded) => decoded): string {
  return text.includes('=?') ? finish(decodeInSlices(text, put)) : text;
}

/** As decodeWords. */
export function* decodeInSlices(
  text: string,
  put: (decoded: string) => string = (decoded) => decoded,
): Slices<string> {
  const out: string[] = [];
  let run: Run | undefined;
  let end = 0;
  for (const match of text.matchAll(WORDS)) {
    const [word, charset = '', encoding = '', encoded = ''] = match;
    const between = text.slice(end, match.index);
    const follows = run !== undefined && /^[ \t\r\n]*$/.test(between);
    if (!follows || run?.charset !== charset.toLowerCase()) {
      if (run) out.push(put(run.decoded()));
      if (!follows) out.push(between);
      run = new Run(charset.toLowerCase());
    }
    run.add(encoding, encoded);
    end = match.index + word.length;
    yield 'pause';
  }
  if (run) out.push(put(run.decoded()));
  out.push(text.slice(end));
  return out.join('');
}

/** Words of one charset, one after the other: their bytes are one text. */
class Run {
  readonly charset: string;
  #bytes: string[] = [];
  /** Base64 that has not come to an end: some mailers cut it anywhere. */
  #base64 = '';

  constructor(charset: string) {
    this.charset = charset;
  }

  add(encoding: string, encoded: string): void {
    if (encoding === 'B' || encoding === 'b') {
      this.#base64 += encoded.replace(/[^A-Za-z0-9+/=]+/g, '');
      if (this.#base64.length % 4 === 0 || encoded.endsWith('=')) this.#endBase64();
      return;
    }
    this.#endBase64();
    const plain = encoded
      .replaceAll('_', ' ')
      .replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
    this.#bytes.push(plain);
  }

  decoded(): string {
    this.#endBase64();
    const decode = decoderOf(this.charset) ?? decoderOf('windows-1252');
    const bytes = this.#bytes.join('');
    return (decode?.(bytes) ?? bytes).replace(/[\r\n\0]/g, ' ');
  }

  #endBase64(): void {
    // Text may go on behind padding.
    for (const part of this.#base64.split(/=+/))
      this.#bytes.push(Buffer.from(part, 'base64').toString('latin1'));
    this.#base64 = '';
  }
}
