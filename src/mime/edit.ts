/**
 * Changes to the parts of a message, as splices: bytes outside the parts that are changed stay what they are.
 *
 * What is signed or encrypted stays as a whole: a change inside it would break it.
 */
import { randomBytes } from 'node:crypto';
import type { ByteSource, Slices } from './byte-source.ts';
import { WINDOW } from './byte-source.ts';
import { isMultipart, type Part } from './part.ts';

/** Why a part cannot be changed. */
export type Obstacle = 'signed' | 'encrypted' | 'encoded';

export interface Replacement {
  /** Header lines without line ends: Content-Type, Content-Transfer-Encoding, Content-Disposition. latin1 */
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** Of the message itself: whether its other Content- headers stay. */
  readonly keepsOthers?: boolean;
}

/** What the top of a message becomes when its own part is changed. */
export interface EditedMessage {
  /** Lines that take the place of the headers of these names, folded with CR LF; none where the top stays. */
  readonly headers: readonly string[];
  /** Names of headers that go, in lower case. */
  readonly dropped: readonly string[];
  readonly body: Buffer;
}

interface Splice {
  readonly start: number;
  readonly end: number;
  readonly put: Buffer;
}

/** Behind the last part of a multipart. */
interface Gap {
  readonly at: number;
  readonly boundary: string;
  /** Whether the final delimiter follows. */
  readonly isClosed: boolean;
}

/** Bytes of a new body: those given, or a stretch of the message. */
type Piece = Buffer | { readonly start: number; readonly end: number };

const CRLF = '\r\n';
/** Stands in the place of the last part of a multipart, which needs one. */
const EMPTY: Replacement = { headers: ['Content-Type: text/plain; charset=us-ascii'], body: Buffer.alloc(0) };

/** Why this part must stay as it is; undefined where it may be changed. */
export function obstacleTo(part: Part): Obstacle | undefined {
  for (let around = part.parent; around; around = around.parent) {
    if (around.type === 'multipart/signed') return 'signed';
    if (around.type === 'multipart/encrypted') return 'encrypted';
  }
  for (let inside: Part | undefined = part; inside; inside = inside.parent) {
    if (/^application\/(?:x-)?pkcs7-mime$/.test(inside.type)) return pkcs7Kind(inside);
  }
  return part.isInMessage ? undefined : 'encoded';
}

/** Why nothing can be added to a message. */
export function obstacleToAdding(root: Part): Exclude<Obstacle, 'encoded'> | undefined {
  if (root.type === 'multipart/signed') return 'signed';
  if (root.type === 'multipart/encrypted') return 'encrypted';
  const obstacle = obstacleTo(root);
  return obstacle === 'encoded' ? undefined : obstacle;
}

function pkcs7Kind(part: Part): Obstacle {
  const kind = part.contentType.parameters.get('smime-type')?.[0]?.text ?? '';
  return /^signed/i.test(kind) ? 'signed' : 'encrypted';
}

/** The changes to one message. Parts are those of one tree, and may be changed. */
export class MimeEdits {
  readonly #root: Part;
  readonly #source: ByteSource;
  readonly #changes = new Map<Part, Replacement | 'removed'>();
  readonly #added: Replacement[] = [];

  constructor(root: Part) {
    this.#root = root;
    this.#source = root.source;
  }

  get isEmpty(): boolean {
    return this.#changes.size === 0 && this.#added.length === 0;
  }

  /** The newest change of a part counts. A uuencoded file can only be removed. */
  replace(part: Part, replacement: Replacement): void {
    this.#changes.set(part, replacement);
  }

  /** A part goes with its delimiter; one that is the last of its multipart becomes an empty text. */
  remove(part: Part): void {
    this.#changes.set(part, 'removed');
  }

  /** A part is put behind the others; a message that is no multipart/mixed becomes the first part of one. */
  add(part: Replacement): void {
    this.#added.push(part);
  }

  /** What was put in the place of the part; undefined where it is as it came. */
  replacementOf(part: Part): Replacement | 'removed' | undefined {
    return this.#changes.get(part);
  }

  /** Parts with what was put in their places. */
  get changed(): [Part, Replacement][] {
    return [...this.#changes].flatMap(([part, change]) => (change === 'removed' ? [] : [[part, change]]));
  }

  /** Whether a part can be added without a change of the headers. */
  get hasRoom(): boolean {
    return !this.#changes.has(this.#root) && this.#gap() !== undefined;
  }

  /** The message with all changes. */
  *apply(): Slices<EditedMessage> {
    const top = this.#top();
    const { headers, dropped } = top;
    const gap = top.pieces || this.#added.length === 0 ? undefined : this.#gap();
    const pieces = top.pieces ?? this.#pieces(gap ? [this.#inGap(gap)] : []);
    if (this.#added.length > 0 && !gap) return yield* this.#around(top, pieces);
    return { headers: this.#withVersion(headers), dropped, body: yield* this.#filled(pieces) };
  }

  /** What its own change makes of the message; no pieces where it has none. */
  #top(): { headers: readonly string[]; dropped: readonly string[]; pieces?: Piece[] } {
    const change = this.#changes.get(this.#root);
    if (change === undefined) return { headers: [], dropped: [] };
    const { headers, body, keepsOthers = false } = change === 'removed' ? EMPTY : change;
    const named = headers.map(nameOf);
    const dropped = keepsOthers ? [] : this.#contentNames().filter((name) => !named.includes(name));
    return { headers, dropped, pieces: [body] };
  }

  #contentNames(): string[] {
    const names = this.#root.headers.lines.map(({ name }) => name);
    return [...new Set(names.filter((name) => name.startsWith('content-')))];
  }

  #withVersion(headers: readonly string[]): readonly string[] {
    const isThere =
      headers.length === 0 ||
      headers.some((line) => nameOf(line) === 'mime-version') ||
      this.#root.headers.lines.some(({ name }) => name === 'mime-version');
    return isThere ? headers : ['MIME-Version: 1.0', ...headers];
  }

  /** The message as the first part of a new one, and what is added behind it. */
  *#around(
    { headers, dropped }: { headers: readonly string[]; dropped: readonly string[] },
    pieces: readonly Piece[],
  ): Slices<EditedMessage> {
    const boundary = `=_${randomBytes(18).toString('hex')}`;
    const changed = [...headers.map(nameOf), ...dropped];
    const kept = this.#root.headers.lines.filter(
      ({ name }) => name.startsWith('content-') && !changed.includes(name),
    );
    const inner = [...kept.map(({ text }) => text), ...headers.filter(isContentLine)];
    // What is not encoded inside is not encoded outside.
    const encoding = inner.find((line) => /^content-transfer-encoding:\s*(?:8bit|binary)\s*$/i.test(line));
    const top = [
      ...headers.filter((line) => !isContentLine(line)),
      `Content-Type: multipart/mixed;${CRLF} boundary="${boundary}"`,
      ...(encoding === undefined ? [] : [encoding]),
    ];
    const body = yield* this.#filled([
      latin1(`--${boundary}${CRLF}${inner.map((line) => line + CRLF).join('')}${CRLF}`),
      ...pieces,
      ...this.#added.flatMap((part) => [latin1(`${CRLF}--${boundary}${CRLF}`), bytesOf(part)]),
      latin1(`${CRLF}--${boundary}--${CRLF}`),
    ]);
    const named = top.map(nameOf);
    return {
      headers: this.#withVersion(top),
      dropped: this.#contentNames().filter((name) => !named.includes(name)),
      body,
    };
  }

  /** Where parts can be put behind the last of a multipart/mixed; undefined where programs may differ about that place. */
  #gap(): Gap | undefined {
    const { type, encoding, contentType, children } = this.#root;
    const boundaries = contentType.parameters.get('boundary') ?? [];
    const last = children.filter((child) => child.isInMessage && !child.isUuencoded).at(-1);
    const boundary = boundaries[0]?.text.replace(/[ \t]+$/, '');
    if (type !== 'multipart/mixed' || encoding !== 'identity' || boundaries.length !== 1) return undefined;
    if (!last || !boundary) return undefined;
    const behind = this.#source.read(last.end, boundary.length + 8).toString('latin1');
    if (behind === '') return { at: last.end, boundary, isClosed: false };
    const isClosed = behind.replace(/^\r?\n/, '').startsWith(`--${boundary}--`);
    return isClosed ? { at: last.end, boundary, isClosed } : undefined;
  }

  #inGap({ at, boundary, isClosed }: Gap): Splice {
    const parts = this.#added.flatMap((part) => [latin1(`${CRLF}--${boundary}${CRLF}`), bytesOf(part)]);
    const end = isClosed ? [] : [latin1(`${CRLF}--${boundary}--${CRLF}`)];
    return { start: at, end: at, put: Buffer.concat([...parts, ...end]) };
  }

  /** The body with the changes in it. */
  #pieces(more: readonly Splice[]): Piece[] {
    const pieces: Piece[] = [];
    let position = this.#root.bodyStart;
    for (const { start, end, put } of this.#splices(more)) {
      pieces.push({ start: position, end: start }, put);
      position = end;
    }
    pieces.push({ start: position, end: this.#source.size });
    return pieces;
  }

  /** In their order; those inside a part that is changed itself are left out. */
  #splices(more: readonly Splice[]): Splice[] {
    const all = [...this.#changes].flatMap(([part, change]) => this.#spliceOf(part, change)).concat(more);
    all.sort((a, b) => a.start - b.start || b.end - a.end);
    const kept: Splice[] = [];
    for (const splice of all) {
      if (splice.start >= (kept.at(-1)?.end ?? 0)) kept.push(splice);
    }
    return kept;
  }

  #spliceOf(part: Part, change: Replacement | 'removed'): Splice[] {
    if (change !== 'removed') {
      return [{ start: part.headerStart, end: part.end, put: bytesOf(change) }];
    }
    if (part.isUuencoded) return [{ start: part.headerStart, end: part.end, put: Buffer.alloc(0) }];
    const { parent } = part;
    const isMessageInside = parent !== undefined && !isMultipart(parent.type);
    const siblings = parent?.children.filter((child) => child.isInMessage && !child.isUuencoded) ?? [];
    const isLast =
      siblings.every((sibling) => this.#changes.get(sibling) === 'removed') && siblings.at(-1) === part;
    if (isMessageInside || isLast) {
      return [{ start: part.headerStart, end: part.end, put: bytesOf(EMPTY) }];
    }
    return [{ start: part.delimiterStart, end: part.end, put: Buffer.alloc(0) }];
  }

  /** All bytes, written once to where they stay. */
  *#filled(pieces: readonly Piece[]): Slices<Buffer> {
    const sizeOf = (piece: Piece) => (Buffer.isBuffer(piece) ? piece.length : piece.end - piece.start);
    const out = Buffer.allocUnsafeSlow(pieces.reduce((size, piece) => size + sizeOf(piece), 0));
    let size = 0;
    for (const piece of pieces) {
      if (Buffer.isBuffer(piece)) {
        for (let at = 0; at < piece.length; at += WINDOW) {
          size += piece.copy(out, size, at, at + WINDOW);
          yield;
        }
        continue;
      }
      for (let at = piece.start; at < piece.end; ) {
        const window = this.#source.read(at, Math.min(WINDOW, piece.end - at));
        if (window.length === 0) break;
        size += window.copy(out, size);
        at += window.length;
        yield;
      }
    }
    return out.subarray(0, size);
  }
}

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const nameOf = (line: string) => line.slice(0, line.indexOf(':')).trim().toLowerCase();
const isContentLine = (line: string) => nameOf(line).startsWith('content-');

function bytesOf({ headers, body }: Replacement): Buffer {
  const head = headers.map((line) => line + CRLF).join('') + CRLF;
  return Buffer.concat([Buffer.from(head, 'latin1'), body]);
}

/** Header lines and body of a part that holds these bytes, in base64. @param name UTF-8 in latin1; '' for a file without one */
export function* binaryPart(type: string, data: Buffer, name: string | undefined): Slices<Replacement> {
  const body = yield* base64Lines(data);
  return {
    headers: [`Content-Type: ${type}`, 'Content-Transfer-Encoding: base64', ...dispositionOf(name)],
    body,
  };
}

/** As `binaryPart`, but for UTF-8 text that is to be shown, in quoted-printable where it needs that. */
export function* textPart(type: string, text: Buffer, name: string | undefined): Slices<Replacement> {
  const lines = Buffer.from(text.toString('latin1').replace(/\r?\n|\r/g, CRLF), 'latin1');
  // A line that begins so may be a delimiter of a multipart around it.
  const isPlain = isSevenBit(lines) && !/(?:^|\n)--/.test(lines.toString('latin1'));
  const body = isPlain ? lines : yield* quotedPrintable(lines);
  return {
    headers: [
      `Content-Type: ${type}; charset=utf-8`,
      `Content-Transfer-Encoding: ${isPlain ? '7bit' : 'quoted-printable'}`,
      ...dispositionOf(name),
    ],
    body,
  };
}

/** RFC 5322's 998 bytes a line; no byte above 127 and no NUL. */
export function isSevenBit(bytes: Buffer): boolean {
  const text = bytes.toString('latin1');
  if (/[\0\x80-\xff]/.test(text)) return false;
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf(CRLF, at);
    if ((end < 0 ? text.length : end) - at > 998) return false;
    at = end < 0 ? text.length : end + CRLF.length;
  }
  return true;
}

function dispositionOf(name: string | undefined): string[] {
  if (name === undefined) return [];
  return [`Content-Disposition: attachment${name === '' ? '' : `;${CRLF} ${fileName(name)}`}`];
}

/** RFC 2231 where RFC 2045 has no form for it. */
function fileName(name: string): string {
  const clean = name.replace(/[^\x20-\x7e\x80-\xff]/g, '_');
  if (/^[\x20-\x7e]*$/.test(clean) && clean.length <= 60)
    return `filename="${clean.replace(/["\\]/g, '\\$&')}"`;
  const encoded = clean.replace(
    /[^A-Za-z0-9!#$&+.^_`{|}~-]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
  const pieces: string[] = [];
  for (let at = 0; at < encoded.length; ) {
    let end = Math.min(encoded.length, at + 55);
    // Not through the middle of %XX.
    while (end < encoded.length && /%.?$/.test(encoded.slice(Math.max(at, end - 2), end))) end -= 1;
    pieces.push(encoded.slice(at, end));
    at = end;
  }
  if (pieces.length <= 1) return `filename*=utf-8''${encoded}`;
  return pieces.map((piece, i) => `filename*${i}*=${i === 0 ? "utf-8''" : ''}${piece}`).join(`;${CRLF} `);
}

/** Bytes of a line of base64, and those that are encoded between two yields. */
const LINE_BYTES = 57;
const AT_ONCE = LINE_BYTES * 1000;

/** Base64 in lines of 76 letters. */
export function* base64Lines(data: Buffer): Slices<Buffer> {
  const lines = Math.ceil(data.length / LINE_BYTES);
  const out = Buffer.allocUnsafeSlow(Math.ceil(data.length / 3) * 4 + lines * CRLF.length);
  let size = 0;
  for (let at = 0; at < data.length; at += LINE_BYTES) {
    size += out.write(data.toString('base64', at, at + LINE_BYTES) + CRLF, size, 'latin1');
    if (at % AT_ONCE === AT_ONCE - LINE_BYTES) yield;
  }
  return out;
}

const HEX = Buffer.from('0123456789ABCDEF');
/** Letters of a line, the `=` of a soft break included (RFC 2045, 6.7). */
const MOST = 76;
const LF = 10;
const CR = 13;
const EQUALS = 0x3d;
const DASH = 0x2d;

/** No line of it is a delimiter of a multipart, whatever the text is. @param text with CR LF at its line ends */
export function* quotedPrintable(text: Buffer): Slices<Buffer> {
  const out = Buffer.allocUnsafe(text.length * 3 + Math.ceil((text.length * 3) / (MOST - 3)) * 3 + 3);
  let size = 0;
  let column = 0;
  let pause = WINDOW;
  for (let at = 0; at < text.length; at++) {
    if (at >= pause) {
      pause = at + WINDOW;
      yield;
    }
    const byte = text[at] ?? 0;
    const next = text[at + 1];
    if (byte === CR && next === LF) {
      out[size++] = CR;
      out[size++] = LF;
      column = 0;
      at += 1;
      continue;
    }
    const endsLine = next === undefined || (next === CR && text[at + 2] === LF);
    const isBlank = byte === 0x20 || byte === 0x09;
    let isPlain = isBlank ? !endsLine : byte > 0x20 && byte < 0x7f && byte !== EQUALS;
    if (column + (isPlain ? 1 : 3) > (endsLine ? MOST : MOST - 1)) {
      out[size++] = EQUALS;
      out[size++] = CR;
      out[size++] = LF;
      column = 0;
    }
    if (column === 0 && byte === DASH && next === DASH) isPlain = false;
    if (isPlain) out[size++] = byte;
    else {
      out[size++] = EQUALS;
      out[size++] = HEX[byte >> 4] ?? 0;
      out[size++] = HEX[byte & 15] ?? 0;
    }
    column += isPlain ? 1 : 3;
  }
  return out.subarray(0, size);
}
