/**
 * A banner in the text that a reader sees: in the first text/plain and the first text/html that are no attachments.
 *
 * The bytes of the text stay; the banner is put between them, in their charset where that has all its letters. Else the
 * part becomes UTF-8. The transfer encoding stays where it can.
 */
import { createHash } from 'node:crypto';
import type { Slices } from './byte-source.ts';
import { decodedBytes } from './decode.ts';
import {
  base64Lines,
  isSevenBit,
  type MimeEdits,
  type Obstacle,
  obstacleTo,
  quotedPrintable,
  type Replacement,
} from './edit.ts';
import type { Defect, Part } from './part.ts';

/** Text is UTF-8 in bytes. */
export interface Banner {
  readonly text: Buffer;
  readonly html: Buffer;
  readonly at: 'top' | 'end';
  /** Whether one that is there already is enough. */
  readonly once: boolean;
  /** What it is found again by: letters, digits, `-` and `_`. */
  readonly mark: string;
}

/** How text is turned from and into UTF-8. */
export interface Charsets {
  /** Undefined for a charset that nobody knows. */
  toUtf8(bytes: Buffer, charset: string): Buffer | undefined;
  /** Undefined where the charset does not have all its letters. */
  fromUtf8(text: Buffer, charset: string): Buffer | undefined;
}

export type BannerResult = 'put' | 'present' | 'no text part' | 'too large' | Exclude<Obstacle, 'encoded'>;

/** Bytes of a text that a banner is put into. */
const MAX_TEXT = 1024 * 1024;
/** Tells which banner a message has. */
export const MARK_HEADER = 'X-Policy-Banner';

/** The mark of a banner that has none of its own. */
export function markOf(text: Buffer): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** @param parts of the message as it came, depth first */
export function* putBanner(
  parts: readonly Part[],
  edits: MimeEdits,
  banner: Banner,
  charsets: Charsets,
): Slices<BannerResult> {
  const texts = ['text/plain', 'text/html'].flatMap(
    (type) => parts.find((part) => isShown(part, type)) ?? [],
  );
  if (texts.length === 0) return wholeObstacle(parts) ?? 'no text part';
  for (const part of texts) {
    const obstacle = obstacleTo(part);
    if (obstacle === 'encoded') return 'no text part';
    if (obstacle !== undefined) return obstacle;
  }
  const marks = parts[0]?.headers.lines.filter(({ name }) => name === MARK_HEADER.toLowerCase()) ?? [];
  if (banner.once && marks.some(({ value }) => value.trim() === banner.mark)) return 'present';
  const bodies: Buffer[] = [];
  for (const part of texts) {
    const body = yield* decodedBytes(part, MAX_TEXT, new Set<Defect>());
    if (body === undefined) return 'too large';
    if (banner.once && hasBanner(part, body, banner, charsets)) return 'present';
    bodies.push(body);
    yield;
  }
  for (const [i, part] of texts.entries()) {
    yield* putInto(part, bodies[i] ?? Buffer.alloc(0), edits, banner, charsets);
    yield;
  }
  return 'put';
}

/** Whether mail programs show this part as the text of the message. */
function isShown(part: Part, type: string): boolean {
  if (part.type !== type || part.isUuencoded || part.disposition?.value === 'attachment') return false;
  if (part.names.length > 0) return false;
  for (let around = part.parent; around; around = around.parent) {
    if (!around.type.startsWith('multipart/')) return false;
  }
  return true;
}

function wholeObstacle(parts: readonly Part[]): 'signed' | 'encrypted' | undefined {
  const types = parts.map(({ type }) => type);
  if (types.includes('multipart/encrypted')) return 'encrypted';
  const sealed = parts.find((part) => obstacleTo(part) === 'encrypted' || obstacleTo(part) === 'signed');
  const obstacle = sealed && obstacleTo(sealed);
  return obstacle === 'encoded' ? undefined : obstacle;
}

const charsetOf = (part: Part) =>
  (part.contentType.parameters.get('charset')?.[0]?.text ?? 'us-ascii').toLowerCase();

function hasBanner(part: Part, body: Buffer, banner: Banner, charsets: Charsets): boolean {
  if (part.type === 'text/html') return body.includes(commentOf(banner.mark));
  const charset = charsetOf(part);
  // As it stands in a reply: quoted, and wrapped anew.
  const plain = (text: Buffer) => text.toString('latin1').replace(/[>\s]+/g, '');
  const text = charsets.toUtf8(body, charset) ?? body;
  const wanted = plain(banner.text);
  return wanted !== '' && plain(text).includes(wanted);
}

const commentOf = (mark: string) => `<!-- banner ${mark} -->`;

function* putInto(
  part: Part,
  body: Buffer,
  edits: MimeEdits,
  banner: Banner,
  charsets: Charsets,
): Slices<void> {
  const isHtml = part.type === 'text/html';
  const own = charsetOf(part);
  const lines = Buffer.from(
    isHtml ? `${commentOf(banner.mark)}${latin1(banner.html)}\r\n` : plainLines(part, banner.text),
    'latin1',
  );
  const isAscii = lines.every((byte) => byte < 128);
  const inOwn = isAsciiBased(own, charsets) ? (isAscii ? lines : charsets.fromUtf8(lines, own)) : undefined;
  const isKept = inOwn !== undefined;
  const text = isKept ? body : (charsets.toUtf8(body, own) ?? body);
  yield;
  const at = isHtml ? placeInHtml(text.toString('latin1'), banner.at) : banner.at === 'top' ? 0 : text.length;
  const needsBreak = !isHtml && at > 0 && text[at - 1] !== 10;
  const result = Buffer.concat([
    text.subarray(0, at),
    Buffer.from(needsBreak ? '\r\n' : ''),
    inOwn ?? lines,
    text.subarray(at),
  ]);
  // What was UTF-8 or nothing but ASCII may be called UTF-8.
  const charset = isKept && !(own === 'us-ascii' && !isAscii) ? undefined : 'utf-8';
  yield;
  edits.replace(part, yield* reencoded(part, result, charset));
}

const latin1 = (bytes: Buffer) => bytes.toString('latin1');

/** Whether the bytes of ASCII text mean that text in the charset, wherever they stand. */
function isAsciiBased(charset: string, charsets: Charsets): boolean {
  if (/^(?:iso-2022|hz|utf-7|utf-?16|utf-?32|ucs)/.test(charset)) return false;
  const probe = Buffer.from('<body>~\\ {}');
  return charsets.toUtf8(probe, charset)?.equals(probe) ?? false;
}

/** With CR LF, and in the form of format=flowed (RFC 3676) where the text has that. */
function plainLines(part: Part, text: Buffer): string {
  const isFlowed = part.contentType.parameters.get('format')?.[0]?.text.toLowerCase() === 'flowed';
  const lines = latin1(text)
    .replace(/(?:\r?\n|\r)$/, '')
    .split(/\r?\n|\r/);
  const written = isFlowed ? lines.map((line) => line.trimEnd().replace(/^(?=[> ]|From )/, ' ')) : lines;
  return written.map((line) => `${line}\r\n`).join('');
}

/** Behind `<body ...>` or before `</body>`, or where a browser would have them. @param html latin1 */
function placeInHtml(html: string, at: 'top' | 'end'): number {
  const lower = html.toLowerCase();
  if (at === 'end') {
    const body = lower.lastIndexOf('</body');
    if (body >= 0) return body;
    const end = lower.lastIndexOf('</html');
    return end >= 0 ? end : html.length;
  }
  for (const tag of ['<body', '</head', '<html', '<!doctype']) {
    const start = lower.indexOf(tag);
    if (start >= 0) return endOfTag(html, start);
  }
  return 0;
}

/** Behind the `>` that ends the tag at `start`; one in quotes does not. */
function endOfTag(html: string, start: number): number {
  let quote = '';
  for (let at = start; at < html.length; at++) {
    const character = html[at] ?? '';
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '>') return at + 1;
  }
  return start;
}

/** The part with other bytes: its headers stay but for those that must change. */
function* reencoded(part: Part, bytes: Buffer, charset: string | undefined): Slices<Replacement> {
  const isKept = part.encoding === 'identity' && (isSevenBit(bytes) || isEightBit(part));
  const encoding = part.encoding === 'base64' ? 'base64' : isKept ? undefined : 'quoted-printable';
  const body =
    encoding === undefined
      ? bytes
      : encoding === 'base64'
        ? yield* base64Lines(bytes)
        : yield* quotedPrintable(bytes);
  const changed = new Map<string, string>();
  if (charset !== undefined) changed.set('content-type', `Content-Type: ${withCharset(part, charset)}`);
  if (encoding !== undefined && encoding !== part.encoding) {
    changed.set('content-transfer-encoding', `Content-Transfer-Encoding: ${encoding}`);
  }
  if (part.depth === 0) {
    return { headers: [...changed.values()], body, keepsOthers: true };
  }
  const kept = part.headers.lines.filter(({ name }) => !changed.has(name));
  return { headers: [...kept.map(({ text }) => text), ...changed.values()], body };
}

const isEightBit = (part: Part) =>
  part.headers.lines.some(
    ({ name, value }) => name === 'content-transfer-encoding' && /8bit|binary/i.test(value),
  );

function withCharset(part: Part, charset: string): string {
  const kept = [...part.contentType.parameters].filter(([name]) => name !== 'charset');
  const written = kept.flatMap(([name, values]) =>
    values.slice(0, 1).map(({ text }) => `; ${name}="${text.replace(/["\\]/g, '\\$&')}"`),
  );
  return `${part.type}; charset=${charset}${written.join('')}`;
}
