/**
 * Header values as people read them: encoded words decoded, addresses taken apart. The only user of postal-mime.
 *
 * postal-mime works on JavaScript strings. Bytes above 0x7F are given to it as lone surrogates (byte B as U+DC00 + B):
 * it neither decodes nor trims these, no charset decodes to them, and they become bytes again afterwards. As latin1 a
 * raw byte E9 could not be told from a decoded é, and byte A0 would be trimmed as white space.
 *
 * Its address parser knows no nested comments, takes the quotes off a local part and parses what was inside an encoded
 * word: `a@b.example (x (y) c@d)` would be the address `c@d)`. So quoted strings, comments, domain literals and encoded
 * words are replaced by one character each before it sees the list, and put back after.
 */
import { addressParser, decodeWords } from 'postal-mime';

/** One mailbox of an address list. Text is latin1; `name` is decoded to UTF-8 bytes. */
export interface Mailbox {
  /** Display name, or a comment in its place. */
  readonly name: string;
  /** As written, without brackets, source route and comments; '' where there is none. */
  readonly addr: string;
  /** `addr` up to its last `@`. */
  readonly user: string;
  /** `addr` after its last `@`, in lower case. */
  readonly domain: string;
}

/**
 * A header value on one line, without white space at its ends, its encoded words (RFC 2047) decoded. An unknown charset
 * is taken for windows-1252. Bytes above 0x7F that are not encoded pass as they are. Line ends and NULs that were hidden
 * in encoded words become blanks: what is returned may be put into a header.
 *
 * @param value latin1, folds as LF or CR LF and white space
 * @returns bytes as latin1
 */
export function decodeHeader(value: string): string {
  return trim(decoded(trim(unfold(value))));
}

/** Of a list, parsed at a time: some 0.5 ms of work. */
const PART_CHARS = 1024;

/**
 * The mailboxes of an address list such as From or To, members of groups included; those of some addresses at a time.
 *
 * @param value as for decodeHeader
 * @param partChars length above which a list is cut
 */
export function* parseMailboxes(
  value: string,
  partChars = PART_CHARS,
): Generator<Mailbox[], void, undefined> {
  const hidden = new Shield();
  for (const part of hidden.shield(escapeBytes(unfold(value)), partChars)) {
    yield addressParser(part, { flatten: true }).map(({ name, address = '' }) => {
      const addr = unescapeBytes(hidden.reveal(address.replace(/^@[^:]*:/, ''), 'raw'));
      const at = addr.lastIndexOf('@');
      return {
        name: trim(decoded(unescapeBytes(hidden.reveal(name, 'meant')))),
        addr,
        user: at < 0 ? addr : addr.slice(0, at),
        domain: at < 0 ? '' : addr.slice(at + 1).replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
      };
    });
  }
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

function decoded(text: string): string {
  if (!text.includes('=?')) return text;
  // In a Q word decodeWords would take an escaped byte for a character.
  const words = text.replace(Q_WORD, (word) =>
    word.replace(/[\x80-\xff]/g, (byte) => `=${byte.charCodeAt(0).toString(16).toUpperCase()}`),
  );
  return unescapeBytes(decodeWords(escapeBytes(words))).replace(/[\r\n\0]/g, ' ');
}

const Q_WORD = /=\?[^?\s]+\?[Qq]\?[^?]*\?=/g;

function escapeBytes(latin1: string): string {
  if (!/[\x80-\xff]/.test(latin1)) return latin1;
  const units = Buffer.from(latin1, 'utf16le');
  for (let i = 0; i < units.length; i += 2) if ((units[i] ?? 0) >= 0x80) units[i + 1] = 0xdc;
  return units.toString('utf16le');
}

/** UTF-8 bytes, as latin1, with lone surrogates turned back into the bytes they stand for. */
function unescapeBytes(text: string): string {
  if (!/[^\0-\x7f\udc80-\udcff]/.test(text)) return bytesBehind(text);
  return text.replace(/[^\0-\x7f]+/g, (run) =>
    run
      .split(/([\udc80-\udcff]+)/u) // With the flag u, halves of a pair do not match.
      .map((part, i) => (i % 2 === 0 ? Buffer.from(part).toString('latin1') : bytesBehind(part)))
      .join(''),
  );
}

/** Of text in which nothing but ASCII and lone surrogates stands. */
function bytesBehind(text: string): string {
  if (!/[^\0-\x7f]/.test(text)) return text;
  const units = Buffer.from(text, 'utf16le');
  for (let i = 1; i < units.length; i += 2) units[i] = 0;
  return units.toString('utf16le');
}

/** What stands for the first hidden piece, the second, ...: characters that escaped bytes never are. */
const FIRST_STAND_IN = 0x3400;
const LAST_STAND_IN = 0xd7ff;

interface Piece {
  /** As written. */
  readonly raw: string;
  /** Without quotes and parentheses. */
  readonly meant: string;
}

class Shield {
  readonly #pieces: Piece[] = [];

  /**
   * The list with a stand-in for each piece that the parser is not to look into, in parts that are lists themselves: a
   * long one is cut between two addresses or groups. Pieces are known until the next part is asked for.
   */
  *shield(list: string, partChars: number): Generator<string, void, undefined> {
    let out: string[] = [];
    let inAngle = false;
    let inGroup = false;
    for (let i = 0; i < list.length; ) {
      const char = list.charAt(i);
      const end = endOfPiece(list, i, inAngle, list[i - 1] === '@');
      if (end > i) {
        const raw = list.slice(i, end);
        i = end;
        if (char !== '(') out.push(this.#hide(raw, char === '"' ? unquoted(raw) : raw));
        else if (!inAngle) out.push('(', this.#hide(raw, unquoted(raw)), ')');
        continue;
      }
      i += 1;
      if (char === '<') inAngle = true;
      else if (char === '>') inAngle = false;
      else if (char === ';') inGroup = false;
      if ((char === ',' || char === ';') && !inAngle && !inGroup && out.length > partChars) {
        if (char === ';') out.push(char); // The end of a group, perhaps.
        yield out.join('');
        out = [];
        this.#pieces.length = 0;
      } else if (char === ':' && !inAngle) {
        // Groups do not nest; the parser would follow them to any depth.
        out.push(inGroup ? ' ' : char);
        inGroup = true;
      } else if (!(inAngle && isBlank(char))) {
        out.push(char);
      }
    }
    yield out.join('');
  }

  /** `text` with the pieces in the place of their stand-ins. */
  reveal(text: string, as: keyof Piece): string {
    return text.replace(/[\u3400-\ud7ff]/g, (standIn) => {
      return this.#pieces[standIn.charCodeAt(0) - FIRST_STAND_IN]?.[as] ?? '';
    });
  }

  #hide(raw: string, meant: string): string {
    const code = FIRST_STAND_IN + this.#pieces.length;
    if (code > LAST_STAND_IN) return ''; // Tens of thousands: not a list that anybody wrote.
    this.#pieces.push({ raw, meant });
    return String.fromCharCode(code);
  }
}

/** Where the piece that begins at `start` ends; `start` when none begins there. */
function endOfPiece(list: string, start: number, inAngle: boolean, afterAt: boolean): number {
  switch (list[start]) {
    case '"':
      return endOfQuoted(list, start);
    case '(':
      return endOfComment(list, start);
    case '[':
      return afterAt ? start + list.slice(start, start + MAX_LITERAL).indexOf(']') + 1 : start;
    case '=': {
      if (inAngle) return start;
      ENCODED_WORD.lastIndex = start;
      return ENCODED_WORD.test(list) ? ENCODED_WORD.lastIndex : start;
    }
    default:
      return start;
  }
}

/** More than any address in brackets needs: far ahead is not looked, or a list of them would take long. */
const MAX_LITERAL = 80;
const ENCODED_WORD = /=\?[^?\s]+\?[QqBb]\?[^?]*\?=/y;

/** A string without its second quote goes to the end. */
function endOfQuoted(list: string, start: number): number {
  for (let i = start + 1; i < list.length; i++) {
    if (list[i] === '\\') i += 1;
    else if (list[i] === '"') return i + 1;
  }
  return list.length;
}

/** Comments nest; one that is not closed goes to the end. */
function endOfComment(list: string, start: number): number {
  let depth = 0;
  for (let i = start; i < list.length; i++) {
    if (list[i] === '\\') i += 1;
    else if (list[i] === '(') depth += 1;
    else if (list[i] === ')' && --depth === 0) return i + 1;
  }
  return list.length;
}

/** What a quoted string or a comment says. */
function unquoted(raw: string): string {
  const closed = raw.length > 1 && (raw.endsWith('"') || raw.endsWith(')'));
  return raw.slice(1, closed ? -1 : undefined).replace(/\\(.)/gs, '$1');
}
