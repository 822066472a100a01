/** A message made of headers and a text: whatever stands in them, no header comes of it that was not named. */
import { randomBytes } from 'node:crypto';
import { encodeHeader } from '../../message/header-encoding.ts';
import { fieldOf, nameComplaint, withShortLines } from '../../message/header-syntax.ts';
import { finish } from '../../message/slices.ts';
import { finish as finishPart } from '../../mime/byte-source.ts';
import { textPart } from '../../mime/edit.ts';

/** Bytes of a value that are kept. */
export const MAX_VALUE = 2000;
export const MAX_HEADERS = 50;
/** They say how the text is encoded. */
const OURS = ['mime-version', 'content-type', 'content-transfer-encoding'];
/** Those that are looked for first stand first. */
const FIRST = ['from', 'sender', 'reply-to', 'to', 'cc', 'subject'];

export interface TextMessage {
  /** Values by name; UTF-8 in latin1. */
  readonly headers: ReadonlyMap<string, string>;
  /** UTF-8. */
  readonly text: Buffer;
}

/** Why these are no headers of a message; undefined where they are. ASCII */
export function headersComplaint(names: readonly string[]): string | undefined {
  if (names.length > MAX_HEADERS) return `at most ${MAX_HEADERS} headers expected`;
  const seen = new Set<string>();
  for (const name of names) {
    const complaint = nameComplaint(name);
    if (complaint !== undefined) return complaint;
    const key = name.toLowerCase();
    if (OURS.includes(key)) return `header ${name} is made by smtp.send`;
    if (seen.has(key)) return `two headers ${name}`;
    seen.add(key);
  }
  return seen.has('from') ? undefined : 'a header From expected';
}

/** @param now milliseconds since 1970 @param host for the Message-ID */
export function composed({ headers, text }: TextMessage, now: number, host: string): Buffer {
  const domain = /^[\w.-]{1,200}$/.test(host) ? host : 'localhost';
  const usual = new Map([
    ['Date', new Date(now).toUTCString().replace('GMT', '+0000')],
    ['Message-ID', `<${randomBytes(12).toString('hex')}@${domain}>`],
    ['Auto-Submitted', 'auto-generated'],
  ]);
  const given = new Set([...headers.keys()].map((name) => name.toLowerCase()));
  const all = [...headers, ...[...usual].filter(([name]) => !given.has(name.toLowerCase()))];
  const lines = all
    .sort(([one], [other]) => rank(one) - rank(other))
    .map(([name, value]) => lineOf(name, value));
  const part = finishPart(textPart('text/plain', text, undefined));
  const head = [...lines, 'MIME-Version: 1.0', ...part.headers, '', ''].join('\r\n');
  return Buffer.concat([Buffer.from(head, 'latin1'), part.body]);
}

function rank(name: string): number {
  const place = FIRST.indexOf(name.toLowerCase());
  return place < 0 ? FIRST.length : place;
}

function lineOf(name: string, value: string): string {
  const text = beginningOf(value.replace(/[\0\r\n]+/g, ' ').trim());
  const encoded = finish(encodeHeader(name, ` ${text}`, { utf8: false, line: false }));
  const field = withShortLines({ name, value: encoded }, true);
  // What is still too long has no place in mail.
  const fitting = 'complaint' in field ? fieldOf(name, '') : field;
  const written = 'complaint' in fitting ? '' : fitting.value;
  return `${name}:${written.replaceAll('\n', '\r\n')}`;
}

/** Not in the middle of a character. */
function beginningOf(value: string): string {
  if (value.length <= MAX_VALUE) return value;
  return value.slice(0, MAX_VALUE).replace(/[\xc2-\xf4][\x80-\xbf]*$/, '');
}
