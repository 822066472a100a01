/**
 * A message -> its parts, by offsets: nothing is copied but headers.
 *
 * Mail that carries something harmful is often broken on purpose, so that a scanner and a mail program see different
 * parts. Where programs disagree, each part that a common one might show is listed: the parts of every boundary that is
 * named, both types where there are two, a message inside that is encoded against the rules, uuencoded files in text, and
 * parts after a final boundary. What was odd is named in the defects. What goes beyond a limit is one opaque part.
 */
import { type ByteSource, MemorySource, RangeSource, type Slices } from './byte-source.ts';
import { decodedBytes } from './decode.ts';
import { Entity } from './entity.ts';
import { eachLine, type LineTaker } from './lines.ts';
import { type Defect, isMessage, isMultipart, type MimeTree, type Part } from './part.ts';

export interface MimeLimits {
  readonly parts: number;
  readonly depth: number;
  /** Bytes of the header block of one part. */
  readonly headerBytes: number;
  /** Bytes of all messages that are decoded because they are encoded inside the message. */
  readonly decodedBytes: number;
}

export const MIME_LIMITS: MimeLimits = {
  parts: 1000,
  depth: 50,
  headerBytes: 64 * 1024,
  decodedBytes: 32 * 1024 * 1024,
};

/** @param source a whole message, headers first @throws what reading the source throws */
export function* readMime(source: ByteSource, limits: MimeLimits = MIME_LIMITS): Slices<MimeTree> {
  const state: State = { limits, defects: new Set(), parts: 0, decoded: 0 };
  const root = new Entity({
    source,
    isInMessage: true,
    delimiterStart: 0,
    headerStart: 0,
    parent: undefined,
    depth: 0,
  });
  yield* readEntity(root, 0, source.size, state);
  const parts: Part[] = [];
  list(root, parts);
  return { parts, defects: state.defects };
}

interface State {
  readonly limits: MimeLimits;
  readonly defects: Set<Defect>;
  parts: number;
  decoded: number;
}

/** Depth first. */
function list(part: Part, into: Part[]): void {
  into.push(part);
  for (const child of part.children) list(child, into);
}

/** Reads the part that begins at `start`, headers first, and all that is in it. */
function* readEntity(top: Entity, start: number, end: number, state: State): Slices<void> {
  const scan = new Scan(top, state);
  yield* eachLine(top.source, start, end, scan);
  scan.end(end);
  for (const entity of scan.entities) yield* readDecoded(entity, state);
}

/** A part that holds others which can be seen only when it is decoded. */
function* readDecoded(entity: Entity, state: State): Slices<void> {
  if (entity.children.length > 0 || entity.encoding === 'identity') return;
  const hasParts = isMultipart(entity.type);
  if (!hasParts && !isMessage(entity.type)) return;
  if (hasParts) state.defects.add('encoded multipart');
  if (entity.depth + 1 > state.limits.depth) {
    state.defects.add('depth');
    return;
  }
  const room = state.limits.decodedBytes - state.decoded;
  const bytes = yield* decodedBytes(entity, room, state.defects);
  if (bytes === undefined) {
    state.defects.add('size');
    return;
  }
  state.decoded += bytes.length;
  const source = new MemorySource(bytes);
  if (hasParts) {
    // Its own headers are in front of the parts, as they would be if it were not encoded.
    const inside = new Entity({ ...placeIn(entity, source, 0), depth: entity.depth });
    inside.contentType = entity.contentType;
    inside.boundaries = entity.boundaries;
    const scan = new Scan(inside, state, 'body');
    yield* eachLine(source, 0, source.size, scan);
    scan.end(source.size);
    for (const child of inside.children) entity.children.push(child);
    for (const child of scan.entities) if (child !== inside) yield* readDecoded(child, state);
    return;
  }
  if (!takeOne(state)) return;
  const inside = new Entity(placeIn(entity, source, 0));
  entity.children.push(inside);
  yield* readEntity(inside, 0, source.size, state);
}

function placeIn(parent: Entity, source: ByteSource, start: number) {
  return {
    source,
    isInMessage: parent.isInMessage && source === parent.source,
    delimiterStart: start,
    headerStart: start,
    parent,
    depth: parent.depth + 1,
  };
}

/** Whether one more part may be listed. */
function takeOne(state: State): boolean {
  state.parts += 1;
  if (state.parts <= state.limits.parts) return true;
  state.defects.add('parts');
  return false;
}

const DASH = 0x2d;
const LETTER_B = 0x62;
const UU_BEGIN = /^begin(?:-base64)? [0-7]{3,4} (.*\S)/s;
/** Of a line that may be a delimiter or begin a file. */
const MAX_LINE = 8200;

/** Takes the lines of one entity and of all that it holds. */
class Scan implements LineTaker {
  /** All that were read, the outermost first. */
  readonly entities: Entity[] = [];
  readonly #state: State;
  /** The parts around the line that comes next, the innermost last. */
  readonly #open: Entity[];
  /** Pieces of the header block that is being read; undefined in a body. */
  #header: string[] | undefined;
  #headerBytes = 0;
  /** A uuencoded file that is being read: where its first line begins, and its name. */
  #file: { readonly start: number; readonly body: number; readonly name: string } | undefined;

  constructor(top: Entity, state: State, begin: 'header' | 'body' = 'header') {
    this.#state = state;
    this.#open = [top];
    this.entities.push(top);
    this.#header = begin === 'header' ? [] : undefined;
  }

  get isInBody(): boolean {
    return this.#header === undefined;
  }

  get isInBase64(): boolean {
    return this.#header === undefined && this.#file === undefined && this.#innermost.encoding === 'base64';
  }

  odd(what: 'bare CR' | 'bare LF' | 'NUL'): void {
    this.#state.defects.add(what);
  }

  line(bytes: Buffer, start: number, next: number, before: number): void {
    if (bytes[0] === DASH && bytes[1] === DASH && this.#delimiter(bytes, start, next, before)) return;
    if (this.#header) this.#headerLine(bytes, start, next);
    else if (this.#file || bytes[0] === LETTER_B) this.#fileLine(bytes, start, next);
  }

  end(at: number): void {
    this.#endFile(at, false);
    while (this.#header) this.#endHeader(at);
    this.#closeDownTo(0, at);
    const top = this.#open[0];
    if (top) this.#conclude(top, at);
  }

  get #innermost(): Entity {
    const entity = this.#open.at(-1);
    if (!entity) throw new Error('no part is open');
    return entity;
  }

  /** Whether the line delimits a part of one that is open; if so, it is done. */
  #delimiter(bytes: Buffer, start: number, next: number, before: number): boolean {
    const text = bytes.toString('latin1', 2, MAX_LINE).replace(/[ \t]+$/, '');
    if (text === '') return false;
    for (let level = this.#open.length - 1; level >= 0; level--) {
      const entity = this.#open[level];
      if (!entity) continue;
      const isFinal = entity.boundaries.some((boundary) => text === `${boundary}--`);
      if (!isFinal && !entity.boundaries.includes(text)) continue;
      // The line end before a delimiter is part of it.
      const { headerStart, bodyStart } = this.#innermost;
      const end = Math.max(start - before, this.#header ? headerStart : bodyStart);
      this.#endFile(end, false);
      // Behind the header of a message comes that of the message inside.
      while (this.#header) this.#endHeader(end);
      this.#closeDownTo(level, end);
      if (isFinal) entity.isClosed = true;
      else this.#begin(entity, end, next);
      return true;
    }
    const entity = this.#innermost;
    // Some programs take what looks like a delimiter where the header names none.
    if (isMultipart(entity.type) && entity.boundaries.length === 0 && !this.#header) {
      entity.boundaries = [text];
      this.#begin(entity, Math.max(start - before, entity.bodyStart), next);
      return true;
    }
    return false;
  }

  /** A part of `parent` begins behind its delimiter line. */
  #begin(parent: Entity, delimiterStart: number, headerStart: number): void {
    if (parent.isClosed) this.#state.defects.add('a part after the final boundary');
    const child = new Entity({ ...placeIn(parent, parent.source, headerStart), delimiterStart });
    this.#push(parent, child);
  }

  #push(parent: Entity, child: Entity): void {
    if (child.depth > this.#state.limits.depth) {
      this.#state.defects.add('depth');
      return;
    }
    if (!takeOne(this.#state)) return;
    parent.children.push(child);
    this.entities.push(child);
    this.#open.push(child);
    this.#header = [];
    this.#headerBytes = 0;
  }

  #headerLine(bytes: Buffer, start: number, next: number): void {
    if (bytes.length === 0) {
      // Some programs read on behind empty lines in front of the header of a message inside.
      const isInside = isMessage(this.#innermost.parent?.type ?? '');
      if (!isInside || (this.#header?.length ?? 0) > 0) this.#endHeader(next);
      return;
    }
    const size = next - start;
    this.#headerBytes += size;
    if (this.#headerBytes <= this.#state.limits.headerBytes) this.#header?.push(bytes.toString('latin1'));
    else this.#state.defects.add('long header');
  }

  #endHeader(bodyStart: number): void {
    const entity = this.#innermost;
    const text = (this.#header ?? []).join('\n');
    this.#header = undefined;
    entity.takeHeaders(text, bodyStart, this.#state.defects);
    if (isMessage(entity.type) && entity.encoding === 'identity') {
      this.#push(entity, new Entity(placeIn(entity, entity.source, bodyStart)));
    }
  }

  #fileLine(bytes: Buffer, start: number, next: number): void {
    if (this.#file && bytes[0] !== LETTER_B) {
      if (bytes.length === 3 && bytes.toString('latin1') === 'end') this.#endFile(next, true);
      return;
    }
    if (this.#innermost.encoding === 'base64' || bytes.length > MAX_LINE) return;
    const name = UU_BEGIN.exec(bytes.toString('latin1'))?.[1];
    if (name === undefined) return;
    // No line of a file begins so: one that has no end is over.
    this.#endFile(start, false);
    this.#file = { start, body: next, name };
  }

  /** @param end behind its last line */
  #endFile(end: number, hasEnd: boolean): void {
    const file = this.#file;
    this.#file = undefined;
    if (!file) return;
    const holder = this.#innermost;
    if (!hasEnd) this.#state.defects.add('no end of uuencode');
    if (holder.encoding === 'uuencode') return;
    this.#state.defects.add('uuencode in text');
    if (!takeOne(this.#state)) return;
    const part = new Entity(placeIn(holder, holder.source, file.start));
    part.isUuencoded = true;
    part.contentType = { value: 'application/octet-stream', parameters: new Map() };
    part.encoding = 'uuencode';
    part.names = [{ text: file.name, charset: undefined }];
    part.bodyStart = file.start;
    part.end = end;
    holder.children.push(part);
  }

  #closeDownTo(level: number, at: number): void {
    while (this.#open.length > level + 1) {
      const entity = this.#open.pop();
      if (entity) this.#conclude(entity, at);
    }
  }

  #conclude(entity: Entity, at: number): void {
    const { defects } = this.#state;
    entity.end = Math.max(at, entity.bodyStart);
    if (isMultipart(entity.type) && entity.encoding === 'identity') {
      if (entity.children.length === 0) defects.add('no part');
      if (!entity.isClosed) defects.add('no final boundary');
    }
    for (const { value } of entity.otherTypes) {
      // Its parts are read already where another type than the first is multipart.
      if (isMultipart(value) || value === entity.type || !entity.parent || !takeOne(this.#state)) continue;
      const other = new Entity({
        ...placeIn(entity.parent, entity.source, entity.headerStart),
        isInMessage: false,
      });
      Object.assign(other, {
        headers: entity.headers,
        encoding: entity.encoding,
        names: entity.names,
        id: entity.id,
      });
      other.contentType = { value, parameters: new Map() };
      other.bodyStart = entity.bodyStart;
      other.end = entity.end;
      entity.parent.children.push(other);
    }
  }
}

/** The body of a part as it lies in its source, still encoded. */
export function encodedBody(part: Part): ByteSource {
  return new RangeSource(part.source, part.bodyStart, part.end);
}
