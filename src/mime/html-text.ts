/**
 * The text of HTML as a reader sees it, more or less: without tags, comments, scripts and styles, with character
 * references decoded and a line for each block.
 *
 * Works piece by piece and looks at each byte once, whatever the HTML is: nothing is ever looked for again.
 */
import { LONGEST_REFERENCE, withoutReferences } from './html-references.ts';
import { type InTag, inTag } from './html-tag.ts';

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
/** Bytes of the name of an element that are looked at. */
const LONGEST_NAME = 32;

const COMMENT_END = /--!?>/g;

type State = 'text' | 'tag' | 'comment' | 'declaration' | 'raw';

export class HtmlText {
  #state: State = 'text';
  /** What has come and cannot be understood before more comes: a few bytes. */
  #rest = '';
  /** The element whose content is skipped. */
  #raw = '';
  /** Of the tag that is being read, and where in it. */
  #name = '';
  #place: InTag = 'tag';
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
      case 'declaration':
        return this.#until('>', html, at, 'text');
      case 'comment':
        return this.#inComment(html, at);
      case 'raw':
        return this.#inRaw(html, at, isEnd);
    }
  }

  #inComment(html: string, at: number): number {
    COMMENT_END.lastIndex = at;
    if (!COMMENT_END.test(html)) return keptFrom(html, at, '--!'.length);
    this.#state = 'text';
    return COMMENT_END.lastIndex;
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
    this.#beginTag();
    return at + 1 + name.length;
  }

  #inTag(html: string, from: number): number {
    for (let at = from; at < html.length; at++) {
      const place = this.#place;
      const letter = html[at] ?? '';
      if (place === '"' || place === "'") {
        const quote = html.indexOf(place, at);
        if (quote < 0) return html.length;
        at = quote;
        this.#place = 'gap';
      } else if (letter === '>') {
        this.#endTag();
        return at + 1;
      } else this.#place = inTag(place, letter);
    }
    return html.length;
  }

  #beginTag(): void {
    this.#state = 'tag';
    this.#place = 'tag';
  }

  #endTag(): void {
    const isEnd = this.#name.startsWith('/');
    const name = isEnd ? this.#name.slice(1) : this.#name;
    if (BLOCKS.has(name)) this.#break();
    else if (name === 'td' || name === 'th' || name === 'img') this.#put(' ');
    this.#state = !isEnd && RAW.has(name) ? 'raw' : 'text';
    this.#raw = name;
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
    this.#beginTag();
    return tag + 2 + length;
  }

  #put(html: string): void {
    const text = withoutReferences(html);
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
