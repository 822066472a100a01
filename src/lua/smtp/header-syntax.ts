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
const MAX_HEADER_BYTES = 65_000;

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
  return checkedField(name, ` ${value}`);
}

/** A header given as a line, `Name:value`: what stands after the colon is kept byte for byte. */
export function fieldOfLine(line: string): HeaderField | Complaint {
  const colon = line.indexOf(':');
  if (colon < 0) return { complaint: 'header line without a colon' };
  const name = line.slice(0, colon);
  const complaint = nameComplaint(name);
  if (complaint !== undefined) return { complaint };
  // An empty value would delete on the wire.
  return checkedField(name, line.slice(colon + 1) || ' ');
}

function checkedField(name: string, text: string): HeaderField | Complaint {
  // Before it is looked at: a script can make millions of lines.
  if (text.length > 2 * MAX_HEADER_BYTES) return TOO_BIG;
  if (text.includes('\0')) return { complaint: 'NUL byte in a header' };
  const value = withShortLines(text.replaceAll('\r\n', '\n'), MAX_LINE_BYTES - name.length - 1);
  if (value.includes('\r')) return { complaint: 'CR without LF in a header' };
  if (name.length + value.length > MAX_HEADER_BYTES) return TOO_BIG;
  const [first = '', ...continuations] = value.split('\n');
  if (name.length + 1 + first.length > MAX_LINE_BYTES) return TOO_LONG;
  for (const line of continuations) {
    if (!/^[ \t]/.test(line)) return { complaint: 'line end in a header that no blank follows' };
    if (!/[^ \t]/.test(line)) return { complaint: 'blank continuation line in a header' };
    if (line.length > MAX_LINE_BYTES) return TOO_LONG;
  }
  return { name, value };
}

/**
 * Folds lines that are too long before a blank, which unfolding gives back: a value that a script took from the message,
 * where it stood on several lines, must not be refused. The first line has `room` bytes.
 */
function withShortLines(value: string, room: number): string {
  if (value.length <= room) return value;
  const lines = value
    .split('\n')
    .flatMap((line, index) => foldLine(line, index === 0 ? room : MAX_LINE_BYTES));
  return lines.join('\n');
}

function foldLine(line: string, room: number): string[] {
  const parts: string[] = [];
  let rest = line;
  for (let space = room; rest.length > space; space = MAX_LINE_BYTES) {
    const head = rest.slice(0, space + 1);
    const blank = Math.max(head.lastIndexOf(' '), head.lastIndexOf('\t'));
    // A fold must leave something on both lines.
    if (blank <= 0 || !/[^ \t]/.test(rest.slice(0, blank)) || !/[^ \t]/.test(rest.slice(blank))) break;
    parts.push(rest.slice(0, blank));
    rest = rest.slice(blank);
  }
  return [...parts, rest];
}

const TOO_BIG: Complaint = { complaint: `header of more than ${MAX_HEADER_BYTES} bytes` };
const TOO_LONG: Complaint = { complaint: `header line of more than ${MAX_LINE_BYTES} bytes` };
