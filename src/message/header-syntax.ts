/**
 * What a script may put into a header: neither MTA looks at names or values, so a line end too many would be a header
 * of its own.
 *
 * Text is latin1. The form of a value here and in modifications: everything after the colon, the leading space
 * included, folds as LF and white space.
 */

/** RFC 5322, 2.1.1. Sendmail cannot take lines of 2048 bytes. */
const MAX_LINE_BYTES = 998;
/** Name and value must fit into one packet of the milter protocol, which also holds an index and two NULs. */
export const MAX_HEADER_BYTES = 65_000;
/**
 * Of a draft: what is beyond is left out. More than a header of a message can become when it is decoded, of which Postfix
 * shows 60,000 bytes and Sendmail 32,768: three bytes for each of 45,000 in base64.
 */
const MAX_DRAFT_BYTES = 4 * MAX_HEADER_BYTES;

/** Bytes of a header as a script gives it that are looked at: one that is longer is refused. */
const MAX_TEXT_BYTES = 2 * MAX_HEADER_BYTES;
/** So many bytes of a longer line show that it is. */
export const ENOUGH_OF_LINE = MAX_TEXT_BYTES + MAX_LINE_BYTES + 2;

export interface HeaderField {
  readonly name: string;
  readonly value: string;
}

/** Why the text is no header; in words that go behind "bad argument". */
export interface Complaint {
  readonly complaint: string;
}

/** Why `name` is no header name (RFC 5322, 3.6.8); undefined when it is one. */
export function nameComplaint(name: string): string | undefined {
  if (name === '') return 'empty header name';
  if (name.length > MAX_LINE_BYTES) return TOO_LONG.complaint;
  return /^[!-9;-~]+$/.test(name)
    ? undefined
    : 'header name with a blank, a colon or a byte outside 33 to 126';
}

/** A header of which name and value are given apart: one space is put after the colon. `name` has been looked at. */
export function fieldOf(name: string, value: string): HeaderField | Complaint {
  return value.length > MAX_DRAFT_BYTES ? TOO_BIG : whole(draftOf(name, value));
}

/** A header given as a line, `Name:value`: what stands after the colon is kept byte for byte. */
export function fieldOfLine(line: string): HeaderField | Complaint {
  return line.length > MAX_DRAFT_BYTES ? TOO_BIG : whole(draftOfLine(line));
}

/** As fieldOf, but it and its lines may be too long: what goes through withShortLines afterwards. */
export function draftOf(name: string, value: string): HeaderField | Complaint {
  return checkedText(name, ` ${value}`);
}

/** As fieldOfLine, but it and its lines may be too long. */
export function draftOfLine(line: string): HeaderField | Complaint {
  const colon = line.indexOf(':');
  if (colon < 0) return { complaint: 'header line without a colon' };
  const name = line.slice(0, colon);
  const complaint = nameComplaint(name);
  if (complaint !== undefined) return { complaint };
  // An empty value would delete on the wire.
  return checkedText(name, line.slice(colon + 1) || ' ');
}

function whole(draft: HeaderField | Complaint): HeaderField | Complaint {
  return 'complaint' in draft ? draft : withShortLines(draft);
}

/** What could be another header is refused; line ends become LF. */
function checkedText(name: string, text: string): HeaderField | Complaint {
  // Before it is looked at: a script can make millions of lines.
  if (text.length > MAX_TEXT_BYTES) return TOO_BIG;
  if (text.includes('\0')) return { complaint: 'NUL byte in a header' };
  const value = text.replaceAll('\r\n', '\n');
  if (value.includes('\r')) return { complaint: 'CR without LF in a header' };
  for (const line of value.split('\n').slice(1)) {
    if (!/^[ \t]/.test(line)) return { complaint: 'line end in a header that no blank follows' };
    if (!hasText(line)) return { complaint: 'blank continuation line in a header' };
  }
  return { name, value };
}

/**
 * Folds lines that are too long before a blank, which unfolding gives back: a value that a script took from the message,
 * where it stood on several lines, must not be refused.
 *
 * @param cut whether a line without a blank is folded too, where it is full, as Postfix does when it delivers; of blanks
 *   that fill a line, which must not have them alone, one is left
 */
export function withShortLines({ name, value: written }: HeaderField, cut = false): HeaderField | Complaint {
  const room = MAX_LINE_BYTES - name.length - 1;
  const lines = written
    .split('\n')
    .flatMap((line, index) => foldLine(line, index === 0 ? room : MAX_LINE_BYTES, cut));
  const [first = '', ...continuations] = lines;
  if (first.length > room || continuations.some((line) => line.length > MAX_LINE_BYTES)) return TOO_LONG;
  const value = lines.join('\n');
  return name.length + value.length > MAX_HEADER_BYTES ? TOO_BIG : { name, value };
}

function foldLine(line: string, room: number, cut: boolean): string[] {
  const parts: string[] = [];
  let rest = line;
  let space = room;
  while (rest.length > space) {
    const head = rest.slice(0, space + 1);
    const blank = Math.max(head.lastIndexOf(' '), head.lastIndexOf('\t'));
    // A fold must leave something on both lines.
    const fits = blank > 0 && hasText(rest.slice(0, blank)) && hasText(rest.slice(blank));
    if (!fits && !cut) break;
    if (!fits && !hasText(rest.slice(0, space))) {
      const shorter = ` ${rest.slice(space).replace(/^[ \t]+/, '')}`;
      // Beside a name that fills the line there is no room for a blank and text.
      if (shorter.length >= rest.length) break;
      rest = shorter;
    } else if (!fits && !hasText(rest.slice(space))) {
      rest = rest.slice(0, space);
    } else {
      parts.push(rest.slice(0, fits ? blank : space));
      rest = fits ? rest.slice(blank) : ` ${rest.slice(space)}`;
      space = MAX_LINE_BYTES;
    }
  }
  return [...parts, rest];
}

function hasText(line: string): boolean {
  return /[^ \t]/.test(line);
}

const TOO_BIG: Complaint = { complaint: `header of more than ${MAX_HEADER_BYTES} bytes` };
const TOO_LONG: Complaint = { complaint: `header line of more than ${MAX_LINE_BYTES} bytes` };
