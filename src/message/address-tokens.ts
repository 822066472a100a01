/**
 * The tokens of structured header fields (RFC 5322, 3.2 and 4.1): every byte of the text is in one of them. Text is
 * latin1, without line ends.
 */
import { endOfEncodedWord } from './encoded-words.ts';

export interface Token {
  readonly kind: 'blank' | 'comment' | 'atom' | 'quoted' | 'literal' | Special;
  readonly text: string;
  /** It is not what the rules say: not closed, or with bytes that may not stand there. */
  readonly broken: boolean;
  /** Set by the reader of an address list: it is part of a display name or of a group's. */
  forPeople?: boolean;
}

type Special = '<' | '>' | ',' | ';' | ':' | '@' | '.' | ')' | '[' | ']';

const BLANKS = /[ \t\r\n]+/y;
/** Controls are taken in too, as broken. A backslash takes the byte after it. */
const ATOM_PART = /(?:[^ \t\r\n()<>[\]:;@\\,."=]|\\.?|=(?!\?))+/sy;
const NOT_IN_ATOMS = /[^ -~\x80-\xff]|\\/;
/** What would be other tokens, were it not in an encoded word: careless mailers leave it there. */
const NOT_IN_WORDS = /[^!-~\x80-\xff]|[()[\]:;\\,"]/;
/** With one of these inside, what looks like an encoded word could hide an address. */
const NEVER_IN_WORDS = /[@<>]/;
/** More than any address in brackets needs: far ahead is not looked, or a list of them would take long. */
const MAX_LITERAL = 256;

/** The token at `start`, which is below the length of the text. */
export function tokenAt(text: string, start: number): Token {
  const char = text.charAt(start);
  switch (char) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
      BLANKS.lastIndex = start;
      BLANKS.test(text);
      return { kind: 'blank', text: text.slice(start, BLANKS.lastIndex), broken: false };
    case '"':
      return quotedAt(text, start);
    case '(':
      return commentAt(text, start);
    case '[': {
      const ahead = text.slice(start, start + MAX_LITERAL);
      const length = ahead.indexOf(']') + 1;
      if (length === 0) return { kind: char, text: char, broken: true };
      return { kind: 'literal', text: ahead.slice(0, length), broken: /[[\\]/.test(ahead.slice(1, length)) };
    }
    case '<':
    case '>':
    case ',':
    case ';':
    case ':':
    case '@':
    case '.':
      return { kind: char, text: char, broken: false };
    case ')':
    case ']':
      return { kind: char, text: char, broken: true };
    default:
      return atomAt(text, start);
  }
}

/** All tokens of the text, in order. */
export function* tokensOf(text: string): Generator<Token, void, undefined> {
  for (let start = 0; start < text.length; ) {
    const token = tokenAt(text, start);
    yield token;
    start += token.text.length;
  }
}

/** Atoms and the encoded words in them. */
function atomAt(text: string, start: number): Token {
  let end = start;
  let broken = false;
  for (;;) {
    ATOM_PART.lastIndex = end;
    if (ATOM_PART.test(text)) {
      broken ||= NOT_IN_ATOMS.test(text.slice(end, ATOM_PART.lastIndex));
      end = ATOM_PART.lastIndex;
    }
    if (text[end] !== '=') break;
    const endOfWord = endOfEncodedWord(text, end);
    const word = text.slice(end, endOfWord);
    if (endOfWord < 0 || NEVER_IN_WORDS.test(word)) {
      end += 1;
    } else {
      broken ||= NOT_IN_WORDS.test(word);
      end = endOfWord;
    }
  }
  return { kind: 'atom', text: text.slice(start, end), broken };
}

/** A string without its second quote goes to the end. */
function quotedAt(text: string, start: number): Token {
  for (let i = start + 1; i < text.length; i++) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '"') return { kind: 'quoted', text: text.slice(start, i + 1), broken: false };
  }
  return { kind: 'quoted', text: text.slice(start), broken: true };
}

/** Comments nest; one that is not closed goes to the end. */
function commentAt(text: string, start: number): Token {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '\\') i += 1;
    else if (text[i] === '(') depth += 1;
    else if (text[i] === ')' && --depth === 0) {
      return { kind: 'comment', text: text.slice(start, i + 1), broken: false };
    }
  }
  return { kind: 'comment', text: text.slice(start), broken: true };
}

/** What a word says: quotes and backslashes are taken away. Of a comment, what stands in its parentheses. */
export function meaningOf({ kind, text, broken }: Token): string {
  if (kind === 'atom') return text.includes('\\') ? text.replace(/\\(.)/gs, '$1') : text;
  if (kind !== 'quoted' && kind !== 'comment') return text;
  const inner = text.slice(1, broken ? undefined : -1);
  return inner.includes('\\') ? inner.replace(/\\(.)/gs, '$1') : inner;
}

/** Not looked at by RFC 5322: blanks and comments, which may stand between any two tokens. */
export function isSpace({ kind }: Token): boolean {
  return kind === 'blank' || kind === 'comment';
}
