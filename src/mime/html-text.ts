/**
 * The text of HTML as a reader sees it, more or less: without tags, comments, scripts and styles, with character
 * references decoded and a line for each block.
 *
 * Works piece by piece and looks at each byte once, whatever the HTML is: nothing is ever looked for again.
 */

/** Elements that begin and end a line. */
const BLOCKS = new Set(
  (
    'address article aside blockquote body br center dd details div dl dt fieldset figure footer form h1 h2 h3 h4 h5 h6 head ' +
    'header hr html li main nav ol option p pre section summary table tbody tfoot thead title tr ul'
  ).split(' '),
);
/** Elements whose content is no text. */
const RAW = new Set(['script', 'style', 'template', 'noembed', 'iframe', 'xmp']);
const RAW_SHOWN = new Set(['xmp']);

const BASIC: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
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
  lsaquo: 0x2039,
  rsaquo: 0x203a,
  euro: 0x20ac,
  trade: 0x2122,
  larr: 0x2190,
  uarr: 0x2191,
  rarr: 0x2192,
  darr: 0x2193,
  minus: 0x2212,
  colon: 0x3a,
  comma: 0x2c,
  period: 0x2e,
  sol: 0x2f,
  commat: 0x40,
  lpar: 0x28,
  rpar: 0x29,
  lowbar: 0x5f,
  num: 0x23,
  percnt: 0x25,
  equals: 0x3d,
  quest: 0x3f,
  excl: 0x21,
  dollar: 0x24,
  NewLine: 0x0a,
  Tab: 0x09,
};

const utf8 = (code: number) => Buffer.from(String.fromCodePoint(code)).toString('latin1');

const NAMED = new Map<string, string>([
  ...Object.entries(BASIC),
  ...LATIN_1.map((name, i): [string, string] => [name, utf8(160 + i)]),
  ...Object.entries(OTHERS).map(([name, code]): [string, string] => [name, utf8(code)]),
]);

const REFERENCE = /&(?:#(\d{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,10}));?/g;
/** Bytes that a character reference has at most. */
const LONGEST_REFERENCE = 13;
const LONGEST_NAME = 32;

type State = 'text' | 'tag' | 'double' | 'single' | 'comment' | 'declaration' | 'raw';

export class HtmlText {
  #state: State = 'text';
  /** What has come and cannot be understood before more comes: a few bytes. */
  #rest = '';
  /** The element whose content is skipped. */
  #raw = '';
  /** Of the tag that is being read. */
  #name = '';
  #out: string[] = [];
  #isLineStart = true;
  /** Whether white space has come since the last word. */
  #hasBlank = false;

  /** Takes the next piece, UTF-8 in latin1, and gives the text that it adds, likewise. */
  take(piece: string): string {
    return this.#run(this.#rest + piece, false);
  }

  end(): string {
    return this.#run(this.#rest, true);
  }

  #run(html: string, isEnd: boolean): string {
    this.#out = [];
    let at = 0;
    while (at >= 0 && at < html.length) {
      const next = this.#step(html, at, isEnd);
      if (next < 0) break;
      at = next;
    }
    this.#rest = html.slice(at);
    return this.#out.join('');
  }

  /** Looks at what stands at `at`. @returns where to go on; -1 where more must come first */
  #step(html: string, at: number, isEnd: boolean): number {
    switch (this.#state) {
      case 'text':
        return this.#inText(html, at, isEnd);
      case 'tag':
        return this.#inTag(html, at);
      case 'double':
        return this.#until('"', html, at, 'tag');
      case 'single':
        return this.#until("'", html, at, 'tag');
      case 'declaration':
        return this.#until('>', html, at, 'text');
      case 'comment':
        return this.#until('-->', html, at, 'text');
      case 'raw':
        return this.#inRaw(html, at, isEnd);
    }
  }

  /** Skips what stands before `end`, and that. */
  #until(end: string, html: string, at: number, state: State): number {
    const found = html.indexOf(end, at);
    // A part of the end may stand at the end of this piece.
    if (found < 0) return keptFrom(html, at, end.length - 1);
    this.#state = state;
    return found + end.length;
  }

  #inText(html: string, at: number, isEnd: boolean): number {
    const tag = html.indexOf('<', at);
    if (tag !== at) {
      const end = tag < 0 ? html.length : tag;
      let cut = end;
      if (tag < 0 && !isEnd) {
        const reference = html.lastIndexOf('&');
        if (reference >= at && html.length - reference < LONGEST_REFERENCE) cut = reference;
      }
      if (cut > at) this.#put(html.slice(at, cut));
      return cut > at ? cut : -1;
    }
    if (html.length - at < LONGEST_NAME + 2 && !isEnd && !/^<\/?[a-zA-Z][^\s/>]*[\s/>]/.test(html.slice(at)))
      return -1;
    if (html.startsWith('<!--', at)) {
      this.#state = 'comment';
      // `<!-->` is a whole comment.
      return at + 2;
    }
    const next = html[at + 1] ?? '';
    if (next === '!' || next === '?') {
      this.#state = 'declaration';
      return at + 2;
    }
    const name = /^\/?([a-zA-Z][^\s/>]*)/.exec(html.slice(at + 1, at + 1 + LONGEST_NAME))?.[0];
    if (name === undefined) {
      this.#put('<');
      return at + 1;
    }
    this.#name = name.toLowerCase();
    this.#state = 'tag';
    return at + 1 + name.length;
  }

  #inTag(html: string, at: number): number {
    const end = indexOfAny(html, at);
    if (end < 0) return html.length;
    const sign = html[end];
    if (sign === '"') this.#state = 'double';
    else if (sign === "'") this.#state = 'single';
    else {
      const isEnd = this.#name.startsWith('/');
      const name = isEnd ? this.#name.slice(1) : this.#name;
      if (BLOCKS.has(name)) this.#break();
      else if (name === 'td' || name === 'th' || name === 'img') this.#put(' ');
      this.#state = !isEnd && RAW.has(name) ? 'raw' : 'text';
      this.#raw = name;
    }
    return end + 1;
  }

  /** To the end tag of the element. */
  #inRaw(html: string, at: number, isEnd: boolean): number {
    const tag = html.indexOf('</', at);
    const isShown = RAW_SHOWN.has(this.#raw);
    if (tag < 0) {
      const end = isEnd ? html.length : keptFrom(html, at, 1);
      if (isShown && end > at) this.#put(html.slice(at, end));
      return end;
    }
    const { length } = this.#raw;
    if (tag + 2 + length > html.length && !isEnd) {
      if (isShown) this.#put(html.slice(at, tag));
      return tag > at ? tag : -1;
    }
    if (isShown) this.#put(html.slice(at, tag));
    if (html.slice(tag + 2, tag + 2 + length).toLowerCase() !== this.#raw) return tag + 2;
    this.#name = `/${this.#raw}`;
    this.#state = 'tag';
    return tag + 2 + length;
  }

  #put(html: string): void {
    const text = html.includes('&') ? html.replace(REFERENCE, decoded) : html;
    const words = text.replace(/[ \t\r\n\f]+/g, ' ');
    if (words.startsWith(' ')) this.#hasBlank = true;
    const shown = words.replace(/^ | $/g, '');
    if (shown === '') return;
    if (this.#hasBlank && !this.#isLineStart) this.#out.push(' ');
    this.#out.push(shown);
    this.#isLineStart = false;
    this.#hasBlank = words.endsWith(' ');
  }

  #break(): void {
    if (!this.#isLineStart) this.#out.push('\n');
    this.#isLineStart = true;
    this.#hasBlank = false;
  }
}

/** Where the piece may be cut so that `most` bytes of it wait; -1 where there are no more. */
function keptFrom(html: string, at: number, most: number): number {
  const cut = html.length - most;
  return cut > at ? cut : -1;
}

const SIGNS = /["'>]/g;

function indexOfAny(html: string, at: number): number {
  SIGNS.lastIndex = at;
  return SIGNS.exec(html)?.index ?? -1;
}

function decoded(
  whole: string,
  decimal: string | undefined,
  hex: string | undefined,
  name: string | undefined,
): string {
  if (name !== undefined) return NAMED.get(name) ?? whole;
  const code = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal);
  if (code === 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return utf8(0xfffd);
  return utf8(code);
}
