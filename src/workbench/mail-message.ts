/**
 * A message as bytes, and as the MTAs show it to a filter: headers one by one, and the body.
 */

/** `value` is everything after the colon, folds as LF and white space. Text is latin1. */
export interface MailHeader {
  readonly name: string;
  readonly value: string;
}

export interface MailMessage {
  readonly headers: readonly MailHeader[];
  /** Lines end in CRLF. */
  readonly body: Buffer;
}

/** A name of printable characters, then maybe white space, then a colon: what both MTAs take for a header. */
const HEADER = /^([!-9;-~]+)[ \t]*:/;

/**
 * Takes a message apart. Lines may end in LF or CRLF; the last one is ended if it is not; a first line `From ` of an mbox
 * is left out. What follows the headers without an empty line is body, as both MTAs take it.
 */
export function parseMessage(bytes: Buffer): MailMessage {
  const text = bytes.toString('latin1');
  const headers: MailHeader[] = [];
  let at = text.startsWith('From ') ? endOfLine(text, 0).next : 0;
  while (at < text.length) {
    const { end, next } = endOfLine(text, at);
    const line = text.slice(at, end);
    const last = headers.at(-1);
    if (/^[ \t]/.test(line) && last) {
      headers[headers.length - 1] = { name: last.name, value: `${last.value}\n${line}` };
    } else {
      const [field, name] = HEADER.exec(line) ?? [];
      if (field === undefined || name === undefined) {
        if (line === '') at = next;
        break;
      }
      headers.push({ name, value: line.slice(field.length) });
    }
    at = next;
  }
  return { headers, body: Buffer.from(withLineEnds(text.slice(at)), 'latin1') };
}

/** The message with CRLF line ends. */
export function formatMessage({ headers, body }: MailMessage): Buffer {
  return Buffer.concat([Buffer.from(`${formatHeaders(headers)}\r\n`, 'latin1'), body]);
}

/** Header lines with CRLF line ends, the empty line not included. */
export function formatHeaders(headers: readonly MailHeader[]): string {
  return headers.map(({ name, value }) => `${name}:${value.replaceAll('\n', '\r\n')}\r\n`).join('');
}

/** CRLF in place of LF alone, and at the end. */
export function withLineEnds(text: string): string {
  const lines = text.replace(/\r?\n/g, '\r\n');
  return lines === '' || lines.endsWith('\r\n') ? lines : `${lines}\r\n`;
}

/** Where the line that begins at `start` ends, and where the next one begins. */
function endOfLine(text: string, start: number): { readonly end: number; readonly next: number } {
  const feed = text.indexOf('\n', start);
  if (feed < 0) return { end: text.length, next: text.length };
  return { end: text[feed - 1] === '\r' && feed > start ? feed - 1 : feed, next: feed + 1 };
}
