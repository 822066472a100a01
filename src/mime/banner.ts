/**
 * A banner in the text that a reader sees: in the first text/plain and the first text/html that are no attachments.
 *
 * The bytes of the text stay; the banner is put between them, in their charset where that has all its letters. Else the
 * part becomes UTF-8. The transfer encoding stays where it can.
 */
import { isAscii } from 'node:buffer';
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
import { endOfTag } from './html-tag.ts';
import { charsetLike } from './likely-charset.ts';
import { type Defect, isMultipart, type Part } from './part.ts';

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

/** The charset of a text. */
interface Named {
  /** What the headers say, in lower case; '' where they say nothing. */
  readonly given: string;
  /** What it is read in; for text whose charset is not named or not known, the likely one. */
  readonly read: string;
  /** Whether `read` is what is given. */
  readonly isGiven: boolean;
}

function charsetOf(part: Part, body: Buffer, charsets: Charsets): Named {
  const given = (part.contentType.parameters.get('charset')?.[0]?.text ?? '').toLowerCase();
  const isKnown = given !== '' && charsets.toUtf8(Buffer.alloc(0), given) !== undefined;
  // Programs that know no charset but ASCII call everything so.
  if (isKnown && !/^(?:us-)?ascii$/.test(given)) return { given, read: given, isGiven: true };
  return { given, read: isAscii(body) ? 'us-ascii' : charsetLike(body, false), isGiven: false };
}

function hasBanner(part: Part, body: Buffer, banner: Banner, charsets: Charsets): boolean {
  if (part.type === 'text/html') return body.includes(commentOf(banner.mark));
  // As it stands in a reply: quoted, and wrapped anew.
  const plain = (text: Buffer) => text.toString('latin1').replace(/[>\s]+/g, '');
  const text = charsets.toUtf8(body, charsetOf(part, body, charsets).read) ?? body;
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
  const { given, read, isGiven } = charsetOf(part, body, charsets);
  const html = isGiven ? latin1(banner.html) : withReferences(banner.html);
  const lines = Buffer.from(
    isHtml ? `${commentOf(banner.mark)}${html}\r\n` : plainLines(part, banner.text),
    'latin1',
  );
  const isPlain = isAscii(lines);
  let inOwn: Buffer | undefined;
  if (!isAsciiBased(given, charsets)) inOwn = undefined;
  else if (isPlain) inOwn = lines;
  else if (isGiven) inOwn = charsets.fromUtf8(lines, read);
  const isKept = inOwn !== undefined;
  // What is UTF-8 or nothing but ASCII may be called UTF-8 as it is.
  const isUtf8 = read === 'us-ascii' || read === 'utf-8';
  const text = isKept || isUtf8 ? body : (charsets.toUtf8(body, read) ?? body);
  yield;
  const at = isHtml
    ? yield* placeInHtml(text.toString('latin1'), banner.at)
    : banner.at === 'top'
      ? 0
      : text.length;
  const needsBreak = !isHtml && at > 0 && text[at - 1] !== 10;
  const result = Buffer.concat([
    text.subarray(0, at),
    Buffer.from(needsBreak ? '\r\n' : ''),
    inOwn ?? lines,
    text.subarray(at),
  ]);
  yield;
  edits.replace(part, yield* reencoded(part, result, isKept ? undefined : 'utf-8'));
}

const latin1 = (bytes: Buffer) => bytes.toString('latin1');

/** HTML in ASCII: what it shows does not depend on the charset. */
const withReferences = (html: Buffer) =>
  html.toString().replace(/[^\0-\x7f]/gu, (letter) => `&#${letter.codePointAt(0)};`);

/** Whether the bytes of ASCII text mean that text in the charset, wherever they stand; of one that is not known, most likely. */
function isAsciiBased(charset: string, charsets: Charsets): boolean {
  if (/2022|5022|hz|utf-?7|utf-?16|utf-?32|ucs|unicode|ebcdic/.test(charset)) return false;
  const probe = Buffer.from('<body>~\\ {}');
  return charsets.toUtf8(probe, charset)?.equals(probe) ?? true;
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

/** Elements whose content is no HTML: a tag in it is text. */
const OPAQUE = new Set(
  'script style title textarea template iframe noembed noframes xmp plaintext'.split(' '),
);
/** Where a banner goes, the best first. */
const BEGINNINGS = ['body', '/head', 'html', '!doctype'] as const;
const ENDS = ['/body', '/html'] as const;
const TAG_NAME = /[!/]?[a-z][a-z0-9]{0,20}/y;
/** What is behind a tag that Outlook does not see: it sees what is behind this. */
const HIDDEN_END = /\s{0,100}<!--\s{0,100}<!\[endif\]-->/iy;
/** Signs `<` that are looked at between two yields. */
const TAGS_AT_ONCE = 2000;

/** Behind `<body ...>` or before `</body>`, or where a browser would have them. @param html latin1 */
function* placeInHtml(html: string, at: 'top' | 'end'): Slices<number> {
  const first = new Map<string, number>();
  const last = new Map<string, number>();
  let count = 0;
  for (const { name, start, end } of tagsOf(html)) {
    if (!first.has(name)) first.set(name, end);
    last.set(name, start);
    if (at === 'top' && name === 'body') break;
    count += 1;
    if (count % TAGS_AT_ONCE === 0) yield;
  }
  if (at === 'end')
    return ENDS.map((name) => last.get(name)).find((place) => place !== undefined) ?? html.length;
  const place = BEGINNINGS.map((name) => first.get(name)).find((found) => found !== undefined) ?? 0;
  HIDDEN_END.lastIndex = place;
  return HIDDEN_END.test(html) ? HIDDEN_END.lastIndex : place;
}

interface Tag {
  /** In lower case: `body`, `/body`, `!doctype`; '' for what is no tag. */
  readonly name: string;
  readonly start: number;
  /** Behind its `>`. */
  readonly end: number;
}

/** The tags that a browser sees: none in comments, and none in scripts and the like. Looks at each byte once. */
function* tagsOf(html: string): Generator<Tag> {
  const lower = html.toLowerCase();
  for (let start = lower.indexOf('<'); start >= 0; ) {
    TAG_NAME.lastIndex = start + 1;
    const name = lower.startsWith('<!--', start) ? '' : (TAG_NAME.exec(lower)?.[0] ?? '');
    let end = endOfMarkup(lower, start, name);
    if (end < 0) return;
    yield { name, start, end };
    if (OPAQUE.has(name)) end = lower.indexOf(`</${name}`, end);
    if (end < 0) return;
    start = lower.indexOf('<', end);
  }
}

/** Behind what begins with the `<` at `start`; -1 where it has no end. */
function endOfMarkup(lower: string, start: number, name: string): number {
  if (lower.startsWith('<!--', start)) return endOfComment(lower, start);
  const next = lower[start + 1] ?? '';
  if (next === '!' || next === '?' || (next === '/' && name === '')) return behind(lower, '>', start);
  return name === '' ? start + 1 : endOfTag(lower, start);
}

/** Behind the first `what` from `at` on; -1 where there is none. */
function behind(text: string, what: string, at: number): number {
  const found = text.indexOf(what, at);
  return found < 0 ? -1 : found + what.length;
}

/** Behind a comment: `<!-->` and `<!--->` are whole ones, and `--!>` ends one too. */
function endOfComment(html: string, start: number): number {
  const short = /^<!---?>/.exec(html.slice(start, start + 6));
  if (short) return start + short[0].length;
  const end = /--!?>/g;
  end.lastIndex = start + 4;
  return end.test(html) ? end.lastIndex : -1;
}

/** The part with other bytes: its headers stay but for those that must change. */
function* reencoded(part: Part, bytes: Buffer, charset: string | undefined): Slices<Replacement> {
  const isKept =
    part.encoding === 'identity' &&
    (isSevenBit(bytes) || isEightBit(part)) &&
    !(yield* holdsDelimiter(part, bytes));
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

/**
 * Whether a line of the text would be taken for a delimiter of a multipart around it: what was decoded, or stood in the
 * middle of a line, can be one now.
 */
function* holdsDelimiter(part: Part, bytes: Buffer): Slices<boolean> {
  let begins: readonly string[] = [];
  for (let around = part.parent; around; around = around.parent) {
    const isNameless = isMultipart(around.type) && around.boundaries.length === 0;
    begins = begins.concat(isNameless ? [''] : around.boundaries);
  }
  if (begins.length === 0) return false;
  const text = latin1(bytes);
  for (const boundary of new Set(begins)) {
    const line = `--${boundary}`;
    if (text.startsWith(line) || text.includes(`\n${line}`) || text.includes(`\r${line}`)) return true;
    yield;
  }
  return false;
}

/** Of a parameter that is kept. Longer ones, and those that are not plain text, say nothing to programs. */
const PLAIN_PARAMETER = /^[\x20-\x7e]{0,200}$/;

function withCharset(part: Part, charset: string): string {
  const kept = [...part.contentType.parameters].filter(
    ([name]) => name !== 'charset' && /^[a-z0-9!#$&+.^_`{|}~-]{1,60}$/.test(name),
  );
  const written = kept.flatMap(([name, values]) =>
    values
      .slice(0, 1)
      .filter(({ text }) => PLAIN_PARAMETER.test(text))
      .map(({ text }) => `; ${name}="${text.replace(/["\\]/g, '\\$&')}"`),
  );
  return `${part.type}; charset=${charset}${written.join('')}`;
}
