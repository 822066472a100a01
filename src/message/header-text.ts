/**
 * Header values as people read them, encoded words decoded, in a form that header-encoding.ts writes back: what a word
 * of a display name, a comment or a parameter decodes to is quoted where it would be read as something else, so a
 * stranger's comma or `<` stays text.
 */
import { elementsOf, type Mailbox } from './address-list.ts';
import { type Token, tokensOf } from './address-tokens.ts';
import { decodeInSlices, decodeWords } from './encoded-words.ts';
import { type HeaderKind, headerKind } from './header-kind.ts';
import type { Slices } from './slices.ts';

/**
 * A header value on one line, without white space at its ends, its encoded words (RFC 2047) decoded where the header may
 * have any. Bytes above 0x7F that are not encoded pass as they are.
 *
 * @param name of the header
 * @param value latin1, folds as LF or CR LF and white space
 * @returns bytes as latin1
 */
export function* decodeHeader(name: string, value: string): Slices<string> {
  const text = trim(unfold(value));
  return text.includes('=?') ? trim(yield* decoded(headerKind(name), text)) : text;
}

function decoded(kind: HeaderKind, text: string): Slices<string> {
  switch (kind) {
    case 'text':
      return decodeInSlices(text);
    case 'addresses':
      return decodedAddresses(text);
    case 'parameters':
      return decodedParameters(text);
    case 'tokens':
      return decodedTokens(text);
    default:
      return kind satisfies never;
  }
}

/** Of a list, parsed at a time: some 0.5 ms of work. */
const PART_CHARS = 1024;

/**
 * The mailboxes of an address list such as From or To, members of groups included, names decoded; those of some
 * addresses at a time.
 *
 * @param value as for decodeHeader
 */
export function* parseMailboxes(value: string): Generator<Mailbox[], void, undefined> {
  let part: Mailbox[] = [];
  let chars = 0;
  for (const { tokens, mailboxes } of elementsOf(unfold(value))) {
    for (const mailbox of mailboxes) part.push({ ...mailbox, name: trim(decodeWords(mailbox.name)) });
    for (const { text } of tokens) chars += text.length;
    if (chars < PART_CHARS) continue;
    yield part;
    part = [];
    chars = 0;
  }
  yield part;
}

/** What would be no plain word, or another one, in a display name. */
const NEEDS_QUOTES = /[^ -~\x80-\xff]|[()<>[\]:;@\\,."]|=\?|^ | $| {2}|^$/;

function* decodedAddresses(list: string): Slices<string> {
  const out: string[] = [];
  let words = ''; // Encoded words one after the other are one text.
  let blanks = '';
  const end = (): void => {
    if (words !== '') {
      const text = decodeWords(words);
      out.push(NEEDS_QUOTES.test(text) ? `"${escaped(text)}"` : text);
    }
    out.push(blanks);
    words = '';
    blanks = '';
  };
  for (const { tokens } of elementsOf(list)) {
    for (const token of tokens) {
      if (token.kind === 'blank') {
        blanks += token.text;
      } else if (token.forPeople && token.kind === 'atom' && token.text.includes('=?')) {
        if (words === '') end();
        words += blanks + token.text;
        blanks = '';
      } else {
        end();
        out.push(token.forPeople && token.kind === 'quoted' ? decodedQuoted(token) : decodedComment(token));
      }
    }
    yield 'pause';
  }
  end();
  return out.join('');
}

/** Parameters that are text: in others, such as boundary, what looks like an encoded word is none. */
const TEXT_PARAMETER = /^(name|filename)=(.*)$/i;

function* decodedParameters(text: string): Slices<string> {
  const out: string[] = [];
  let isText = false;
  for (const token of tokensOf(text)) {
    const [, attribute, value = ''] = (token.kind === 'atom' && TEXT_PARAMETER.exec(token.text)) || [];
    if (value.includes('=?')) out.push(`${attribute}="${escaped(decodeWords(value))}"`);
    else out.push(isText && token.kind === 'quoted' ? decodedQuoted(token) : decodedComment(token));
    isText = attribute !== undefined && value === '';
    yield 'pause';
  }
  return out.join('');
}

function* decodedTokens(text: string): Slices<string> {
  const out: string[] = [];
  for (const token of tokensOf(text)) {
    out.push(decodedComment(token));
    yield 'pause';
  }
  return out.join('');
}

/** Mailers put encoded words into quotes, where they should not be, and decode them there. */
function decodedQuoted({ text }: Token): string {
  return decodeWords(withPlainWords(text), escaped);
}

function decodedComment({ kind, text }: Token): string {
  if (kind !== 'comment') return text;
  return decodeWords(withPlainWords(text), (words) => words.replace(/[()\\]/g, '\\$&'));
}

/** Without backslashes before `=`: one would take away that of what a word decodes to. */
function withPlainWords(text: string): string {
  return text.replace(/\\(.)/gs, (pair, char: string) => (char === '=' ? char : pair));
}

function escaped(text: string): string {
  return text.replace(/["\\]/g, '\\$&');
}

function unfold(value: string): string {
  return value.replace(/\r?\n/g, '');
}

function trim(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text[start])) start++;
  while (end > start && isBlank(text[end - 1])) end--;
  return text.slice(start, end);
}

function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\t';
}
