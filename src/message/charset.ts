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

/** Loads what is needed for most charsets: to be called where a script is loaded that reads headers. */
export function loadCharsets(): void {
  decoderOf('windows-1252')?.('\x80');
}

/** Labels come from strangers. */
const MAX_KNOWN = 500;
const known = new Map<string, Decoder | undefined>();

/** The decoder for a charset's label, in upper or lower case; undefined for an unknown charset. */
export function decoderOf(label: string): Decoder | undefined {
  const key = label.trim().toLowerCase();
  if (known.has(key)) return known.get(key);
  if (known.size >= MAX_KNOWN) known.clear();
  const decoder = mailDecoder(key) ?? standardDecoder(key) ?? singleByteDecoder(key);
  known.set(key, decoder);
  return decoder;
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
function mailDecoder(label: string): Decoder | undefined {
  const alias = Object.hasOwn(ALIASES, label) ? ALIASES[label] : undefined;
  if (alias) return decoderOf(alias);
  // RFC 1428: what these bytes are is not known. They stay as they are.
  if (label === 'unknown-8bit') return (bytes) => bytes;
  if (/^utf-?8$/.test(label)) return (bytes) => utf8Of(bufferOf(bytes).toString());
  if (/^(x-)?(unicode-\d-\d-)?utf-?7$/.test(label)) return byIconv('utf-7');
  if (/^utf-?32([bl]e)?$/.test(label)) return byIconv(label);
  if (/^(utf-?16|iso-10646-ucs-2|ucs-?2|unicode)$/.test(label)) return byTextDecoder('utf-16le', decodeUtf16);
  if (/^(iso-2022-jp-(1|2|3|2004|ms)|cp5022[012]|x-iso-2022-jp)$/.test(label))
    return decoderOf('iso-2022-jp');
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

function standardDecoder(label: string): Decoder | undefined {
  let name: string;
  try {
    name = new TextDecoder(label).encoding;
  } catch {
    return undefined;
  }
  if (name === 'x-user-defined') return undefined;
  const own = BY_TEXT_DECODER[name];
  if (own !== undefined) return byTextDecoder(own);
  return name === 'big5' || name === 'euc-kr' ? byIconv(name) : singleByteDecoder(name);
}

function byTextDecoder(
  name: string,
  decode = (bytes: Buffer, decoder: TextDecoder) => decoder.decode(bytes),
): Decoder {
  const decoder = new TextDecoder(name);
  return (bytes) => utf8Of(decode(bufferOf(bytes), decoder));
}

/** A byte order mark decides; without one it is little-endian, as in the Encoding Standard. */
function decodeUtf16(bytes: Buffer, littleEndian: TextDecoder): string {
  const isBigEndian = bytes[0] === 0xfe && bytes[1] === 0xff;
  return isBigEndian ? new TextDecoder('utf-16be').decode(bytes) : littleEndian.decode(bytes);
}

function byIconv(name: string): Decoder {
  return (bytes) => utf8Of(openIconv().decode(bufferOf(bytes), name));
}

function openIconv(): Iconv {
  iconv ??= require('iconv-lite') as Iconv;
  return iconv;
}

/** Seven-bit text, of which what stands between `on` and `off` is that of an eight-bit charset without the eighth bit. */
function shifted(on: string, off: string, charset: string, dropped: string): Decoder {
  return (bytes) => {
    const [start = '', ...parts] = bytes.replaceAll(dropped, '').split(on);
    const rest = parts.map((part) => {
      const [inside = '', ...outside] = part.split(off);
      const raised = inside.replace(/[!-~]/g, (char) => String.fromCharCode(char.charCodeAt(0) | 0x80));
      return raised + outside.join('');
    });
    return decoderOf(charset)?.(start + rest.join('')) ?? bytes;
  };
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

function singleByteDecoder(name: string): Decoder | undefined {
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
  return (bytes) => bytes.replace(/[\x80-\xff]/g, (byte) => table[byte.charCodeAt(0) - 128] ?? byte);
}

function bufferOf(bytes: string): Buffer {
  return Buffer.from(bytes, 'latin1');
}

function utf8Of(text: string): string {
  return Buffer.from(text).toString('latin1');
}
