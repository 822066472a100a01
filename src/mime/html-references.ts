/** Character references of HTML, such as `&amp;` and `&#228;`, as browsers take them. */

/** Names of the signs of ASCII. */
const ASCII: Readonly<Record<string, string>> = {
  '\t': 'Tab',
  '\n': 'NewLine',
  '!': 'excl',
  '"': 'quot QUOT',
  '#': 'num',
  $: 'dollar',
  '%': 'percnt',
  '&': 'amp AMP',
  "'": 'apos',
  '(': 'lpar',
  ')': 'rpar',
  '*': 'ast midast',
  '+': 'plus',
  ',': 'comma',
  '.': 'period',
  '/': 'sol',
  ':': 'colon',
  ';': 'semi',
  '<': 'lt LT',
  '=': 'equals',
  '>': 'gt GT',
  '?': 'quest',
  '@': 'commat',
  '[': 'lsqb lbrack',
  '\\': 'bsol',
  ']': 'rsqb rbrack',
  '^': 'Hat',
  _: 'lowbar UnderBar',
  '`': 'grave DiacriticalGrave',
  '{': 'lcub lbrace',
  '|': 'verbar vert VerticalLine',
  '}': 'rcub rbrace',
};
/** Names of the characters 160 to 255, in their order (HTML 4). */
const LATIN_1 = (
  'nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 sup3 acute micro para ' +
  'middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute ' +
  'Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave Uacute Ucirc Uuml ' +
  'Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml igrave iacute icirc iuml ' +
  'eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml'
).split(' ');
const OTHERS: Readonly<Record<string, number>> = {
  OElig: 0x152,
  oelig: 0x153,
  Scaron: 0x160,
  scaron: 0x161,
  Yuml: 0x178,
  fnof: 0x192,
  circ: 0x2c6,
  tilde: 0x2dc,
  ensp: 0x2002,
  emsp: 0x2003,
  thinsp: 0x2009,
  ZeroWidthSpace: 0x200b,
  zwnj: 0x200c,
  zwj: 0x200d,
  lrm: 0x200e,
  rlm: 0x200f,
  ndash: 0x2013,
  mdash: 0x2014,
  lsquo: 0x2018,
  rsquo: 0x2019,
  sbquo: 0x201a,
  ldquo: 0x201c,
  rdquo: 0x201d,
  bdquo: 0x201e,
  dagger: 0x2020,
  bull: 0x2022,
  hellip: 0x2026,
  permil: 0x2030,
  prime: 0x2032,
  hyphen: 0x2010,
  NoBreak: 0x2060,
  lsaquo: 0x2039,
  rsaquo: 0x203a,
  euro: 0x20ac,
  trade: 0x2122,
  larr: 0x2190,
  uarr: 0x2191,
  rarr: 0x2192,
  darr: 0x2193,
  minus: 0x2212,
};

const utf8 = (code: number) => Buffer.from(String.fromCodePoint(code)).toString('latin1');

const NAMED = new Map<string, string>([
  ...Object.entries(ASCII).flatMap(([sign, names]) =>
    names.split(' ').map((name): [string, string] => [name, sign]),
  ),
  ...LATIN_1.map((name, i): [string, string] => [name, utf8(160 + i)]),
  ...Object.entries(OTHERS).map(([name, code]): [string, string] => [name, utf8(code)]),
]);

/** Numbers may have zeros in front. A `;` is missed now and then. */
const REFERENCE = /&(?:#0{0,20}(\d{1,7})|#[xX]0{0,20}([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,19}));?/g;
/** Bytes that a reference has at most. */
export const LONGEST_REFERENCE = 31;
/** What numbers from 128 to 159 mean: bytes of windows-1252. */
const WINDOWS = [...'€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ'].map(
  (letter) => letter.codePointAt(0) ?? 0,
);

/** Names that are references without `;` too. */
const OLD_NAMES = new Set([...LATIN_1, ...'amp AMP lt LT gt GT quot QUOT'.split(' ')]);

/** With characters in the place of references. Text is UTF-8 in latin1. */
export function withoutReferences(html: string, isAttribute = false): string {
  if (!html.includes('&')) return html;
  return html.replace(REFERENCE, (whole, decimal, hex, name, at: number) => {
    if (name === undefined)
      return numbered(decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal));
    const isWhole = whole.endsWith(';');
    if (!isWhole && !OLD_NAMES.has(name)) return whole;
    // In addresses `&copy=1` is a field of a form.
    if (!isWhole && isAttribute && html[at + whole.length] === '=') return whole;
    return NAMED.get(name) ?? whole;
  });
}

function numbered(code: number): string {
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return utf8(0xfffd);
  return utf8(WINDOWS[code - 128] ?? code);
}
