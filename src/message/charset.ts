/**
 * Text of any charset that mail names, as UTF-8.
 *
 * A label means what it means in the WHATWG Encoding Standard: iso-8859-1 and us-ascii are windows-1252, gb2312 is gbk,
 * ks_c_5601-1987 is euc-kr. Besides there are the charsets of mail which that standard has dropped: utf-7, utf-32,
 * iso-2022-kr, hz-gb-2312, and the single-byte ones that iconv-lite knows (cp437, viscii, ...).
 *
 * Who decodes what was measured against the standard's tables on Node 20, 22 and 24: TextDecoder is wrong in
 * windows-1252 (Node 20), koi8-u, windows-874, big5 and euc-kr, and has no iso-8859-16; iconv-lite lacks 18 characters of
 * gb18030 and the private ones of shift_jis. So each takes what it has right. iconv-lite is loaded when it is needed, or
 * by loadCharsets() (8 ms); its tables of big5 and euc-kr when such text comes (7 and 4 ms, once in a process).
 */
import { createRequire } from 'node:module';
import { TextDecoder } from 'node:util';

type Iconv = typeof import('iconv-lite');

const require = createRequire(import.meta.url);
let iconv: Iconv | undefined;

/** Bytes of the charset, one character each, to UTF-8, likewise. */
export type Decoder = (bytes: string) => string;

/** The same in pieces: what is not whole yet, and the state of a charset that has one, are kept for the next. */
export interface PieceDecoder {
  take(bytes: string): string;
  end(): string;
}

interface Charset {
  readonly decode: Decoder;
  readonly begin: () => PieceDecoder;
}

/** Loads what is needed for most charsets: to be called where a script is loaded that reads headers. */
export function loadCharsets(): void {
  decoderOf('windows-1252')?.('\x80');
}

/** Labels come from strangers. */
const MAX_KNOWN = 500;
const known = new Map<string, Charset | undefined>();

/** The decoder for a charset's label, in upper or lower case; undefined for an unknown charset. */
export function decoderOf(label: string): Decoder | undefined {
  return charsetOf(label)?.decode;
}

/** The same for text that comes in pieces. */
export function pieceDecoderOf(label: string): PieceDecoder | undefined {
  return charsetOf(label)?.begin();
}

function charsetOf(label: string): Charset | undefined {
  const key = label.trim().toLowerCase();
  if (known.has(key)) return known.get(key);
  if (known.size >= MAX_KNOWN) known.clear();
  const charset = mailCharset(key) ?? standardCharset(key) ?? singleByteCharset(key);
  known.set(key, charset);
  return charset;
}

/** Bytes of the charset for UTF-8; undefined where it does not have all the letters, or nobody knows it. Text is latin1. */
export function encodedIn(label: string, utf8: string): string | undefined {
  const decode = decoderOf(label);
  const key = label.trim().toLowerCase();
  if (decode === undefined || !openIconv().encodingExists(key)) return undefined;
  const bytes = openIconv().encode(bufferOf(utf8).toString(), key).toString('latin1');
  // What it puts in the place of letters that are not there differs.
  return decode(bytes) === utf8 ? bytes : undefined;
}

/** Names of vendors and of old mailers, which the Encoding Standard does not have; '' is for what is no charset of mail. */
const ALIASES: Readonly<Record<string, string>> = {
  cp932: 'shift_jis',
  cp936: 'gbk',
  ms936: 'gbk',
  'windows-936': 'gbk',
  cp949: 'euc-kr',
  ms949: 'euc-kr',
  ks_c_5601: 'euc-kr',
  cp950: 'big5',
  cp65001: 'utf-8',
  utf8mb4: 'utf-8',
  binary: '',
  'cesu-8': '',
  cesu8: '',
  'utf-7-imap': '',
};

/** Charsets that the Encoding Standard does not have, or gives another meaning. */
function mailCharset(label: string): Charset | undefined {
  const alias = Object.hasOwn(ALIASES, label) ? ALIASES[label] : undefined;
  if (alias) return charsetOf(alias);
  // RFC 1428: what these bytes are is not known. They stay as they are.
  if (label === 'unknown-8bit') return stateless((bytes) => bytes);
  if (/^utf-?8$/.test(label)) return inUtf8();
  if (/^(x-)?(unicode-\d-\d-)?utf-?7$/.test(label)) return utf7();
  if (/^utf-?32([bl]e)?$/.test(label)) return byIconv(label);
  if (/^(utf-?16|iso-10646-ucs-2|ucs-?2|unicode)$/.test(label)) return byTextDecoder('utf-16le', decodeUtf16);
  if (/^(iso-2022-jp-(1|2|3|2004|ms)|cp5022[012]|x-iso-2022-jp)$/.test(label))
    return charsetOf('iso-2022-jp');
  if (/^(cs)?iso-?2022-?kr$/.test(label)) return shifted('\x0e', '\x0f', 'euc-kr', '\x1b$)C');
  if (/^hz(-gb-2312)?$/.test(label)) return shifted('~{', '~}', 'gbk', '~\n');
  return undefined;
}

const BY_TEXT_DECODER: Readonly<Record<string, string>> = {
  gbk: 'gb18030', // TextDecoder of Node 20 has an old table for gbk.
  gb18030: 'gb18030',
  'euc-jp': 'euc-jp',
  shift_jis: 'shift_jis',
  'iso-2022-jp': 'iso-2022-jp',
  'utf-16le': 'utf-16le',
  'utf-16be': 'utf-16be',
  'utf-8': 'utf-8',
};

function standardCharset(label: string): Charset | undefined {
  let name: string;
  try {
    name = new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
  if (name === 'x-user-defined') return undefined;
  const own = BY_TEXT_DECODER[name];
  if (own !== undefined) return byTextDecoder(own);
  return name === 'big5' || name === 'euc-kr' ? byIconv(name) : singleByteCharset(name);
}

/** Each byte, or each piece, by itself. */
function stateless(decode: Decoder): Charset {
  return { decode, begin: () => ({ take: decode, end: () => '' }) };
}

function byTextDecoder(
  name: string,
  decode = (bytes: Buffer, decoder: TextDecoder) => decoder.decode(bytes),
): Charset {
  const whole = new TextDecoder(name);
  return {
    decode: (bytes) => utf8Of(decode(bufferOf(bytes), whole)),
    begin: () => inPieces(new TextDecoder(name)),
  };
}

function inPieces(decoder: TextDecoder): PieceDecoder {
  return {
    take: (bytes) => utf8Of(decoder.decode(bufferOf(bytes), { stream: true })),
    end: () => utf8Of(decoder.decode()),
  };
}

/** A byte order mark is a character. */
function inUtf8(): Charset {
  return {
    decode: (bytes) => utf8Of(bufferOf(bytes).toString()),
    begin: () => inPieces(new TextDecoder('utf-8', { ignoreBOM: true })),
  };
}

/** A byte order mark decides; without one it is little-endian, as in the Encoding Standard. */
function decodeUtf16(bytes: Buffer, littleEndian: TextDecoder): string {
  const isBigEndian = bytes[0] === 0xfe && bytes[1] === 0xff;
  return isBigEndian ? new TextDecoder('utf-16be').decode(bytes) : littleEndian.decode(bytes);
}

function byIconv(name: string): Charset {
  return {
    decode: (bytes) => utf8Of(openIconv().decode(bufferOf(bytes), name)),
    begin: () => {
      const decoder = openIconv().getDecoder(name);
      return {
        take: (bytes) => utf8Of(decoder.write(bufferOf(bytes))),
        end: () => utf8Of(decoder.end() ?? ''),
      };
    },
  };
}

/** What a run of base64 has at most that is decoded together. */
const LONGEST_RUN = 65_536;

/** The end of a run, `-`, is taken for a sign of its own by iconv-lite 0.7 where a piece begins with it. */
function utf7(): Charset {
  const { decode, begin } = byIconv('utf-7');
  return {
    decode,
    begin: () => {
      const decoder = begin();
      let rest = '';
      return {
        take: (bytes) => {
          const all = rest + bytes;
          const cut = openRunIn(all);
          rest = all.slice(cut);
          return decoder.take(all.slice(0, cut));
        },
        end: () => decoder.take(rest) + decoder.end(),
      };
    },
  };
}

/** Whether a byte belongs to a run: letters, digits, `+` and `/`. */
const IN_RUN = Array.from({ length: 256 }, (_, byte) => /[A-Za-z0-9+/]/.test(String.fromCharCode(byte)));

/** Where a run begins that may go on behind the text; the end of it where none does. */
function openRunIn(text: string): number {
  let from = text.length;
  const least = Math.max(0, from - LONGEST_RUN);
  while (from > least && IN_RUN[text.charCodeAt(from - 1)]) from -= 1;
  const run = text.indexOf('+', from);
  return run < 0 ? text.length : run;
}

function openIconv(): Iconv {
  iconv ??= require('iconv-lite') as Iconv;
  return iconv;
}

/** Seven-bit text, of which what stands between `on` and `off` is that of an eight-bit charset without the eighth bit. */
function shifted(on: string, off: string, charset: string, dropped: string): Charset {
  const begin = () => new Shifted(on, off, charset, dropped);
  return {
    decode: (bytes) => {
      const decoder = begin();
      return decoder.take(bytes) + decoder.end();
    },
    begin,
  };
}

class Shifted implements PieceDecoder {
  readonly #on: string;
  readonly #off: string;
  readonly #signs: readonly string[];
  readonly #anySign: RegExp;
  readonly #inner: PieceDecoder | undefined;
  /** The beginning of a sign. */
  #rest = '';
  #isOn = false;

  constructor(on: string, off: string, charset: string, dropped: string) {
    this.#on = on;
    this.#off = off;
    this.#signs = [on, off, dropped];
    this.#anySign = new RegExp(`(${this.#signs.map((sign) => sign.replace(/[{}$()]/g, '\\$&')).join('|')})`);
    this.#inner = pieceDecoderOf(charset);
  }

  take(bytes: string): string {
    const all = this.#rest + bytes;
    const cut = this.#beginOfSign(all);
    this.#rest = all.slice(cut);
    return this.#decoded(all.slice(0, cut));
  }

  end(): string {
    return this.#decoded(this.#rest) + (this.#inner?.end() ?? '');
  }

  /** Where a sign begins of which the rest has not come; the end where none does. */
  #beginOfSign(bytes: string): number {
    for (let at = Math.max(0, bytes.length - 3); at < bytes.length; at++) {
      const tail = bytes.slice(at);
      if (this.#signs.some((sign) => sign.length > tail.length && sign.startsWith(tail))) return at;
    }
    return bytes.length;
  }

  #decoded(bytes: string): string {
    let text = '';
    for (const piece of bytes.split(this.#anySign)) {
      if (piece === this.#on) this.#isOn = true;
      else if (piece === this.#off) this.#isOn = false;
      else if (!this.#signs.includes(piece)) text += this.#isOn ? raised(piece) : piece;
    }
    return this.#inner?.take(text) ?? text;
  }
}

function raised(bytes: string): string {
  return bytes.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) | 0x80));
}

const UPPER_HALF = Buffer.from(Array.from({ length: 128 }, (_, i) => 128 + i));
/** Names of the Encoding Standard that iconv-lite spells otherwise. */
const ICONV_NAMES: Readonly<Record<string, string>> = {
  'x-mac-cyrillic': 'maccyrillic',
  'iso-8859-8-i': 'iso-8859-8',
};
/** Where iconv-lite has older tables than the Encoding Standard. */
const NEWER: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  'koi8-u': { 174: '\u045e', 190: '\u040e' },
  macintosh: { 189: '\u03a9', 219: '\u20ac', 240: '\uf8ff' },
  'x-mac-cyrillic': { 162: '\u0490', 182: '\u0491', 255: '\u20ac' },
};

function singleByteCharset(name: string): Charset | undefined {
  const iconvName = ICONV_NAMES[name] ?? name;
  const lite = openIconv();
  if (ALIASES[name] === '' || !lite.encodingExists(iconvName)) return undefined;
  const half = lite.decode(UPPER_HALF, iconvName);
  // Whatever else iconv-lite can do (hex, base64, utf-16), or has the lower half otherwise, is no such charset.
  if (half.length !== 128 || lite.decode(Buffer.from('Az~ '), iconvName) !== 'Az~ ') return undefined;
  const table = Array.from(half, (char, i) => {
    const code = 128 + i;
    const unused = char === '\ufffd' && code < 0xa0;
    return utf8Of(NEWER[name]?.[code] ?? (unused ? String.fromCharCode(code) : char));
  });
  return stateless((bytes) =>
    bytes.replace(/[\x80-\xff]/g, (byte) => table[byte.charCodeAt(0) - 128] ?? byte),
  );
}

function bufferOf(bytes: string): Buffer {
  return Buffer.from(bytes, 'latin1');
}

function utf8Of(text: string): string {
  return Buffer.from(text).toString('latin1');
}
