/**
 * Cuts the byte stream of one MTA into frames, whatever chunks it arrives in.
 *
 *     length:u32be  command:u8  payload          length counts command and payload, so it is at least 1
 *
 * The length is judged before anything is buffered on its word: a TLS hello reads as 369 MB, `GET ` as 1.2 GB. A frame
 * that lies within one chunk is a view of it; one in pieces is gathered in a buffer that grows with the bytes received,
 * at most to four times their number, so that neither a huge announcement nor a sender of single bytes costs anything.
 * Of a body the pieces themselves are kept, the small ones joined or copied.
 */
import { type BodyBytes, PiecedBytes } from './body-bytes.ts';
import { MILTER_LEN_BYTES, MILTER_MAX_DATA_SIZE, SMFIC } from './constants.ts';
import { ProtocolError } from './protocol-error.ts';

/** `payload` may be a view of a network buffer. */
export interface Frame {
  /** The command byte. */
  readonly command: number;
  /** In pieces only where the command is SMFIC_BODY or SMFIC_BODYEOB. */
  readonly payload: BodyBytes;
}

const EMPTY = Buffer.alloc(0);
/** How much more room is made than there are bytes. */
const GROWTH = 4;
/** Pieces of a body shorter than this are joined. */
const SMALL_PIECE_BYTES = 2048;
/** How many times its own size a part of a body may keep in memory. */
const MOST_KEPT = 16;
/** Length and command byte: what a payload comes after. */
const HEAD_BYTES = MILTER_LEN_BYTES + 1;
/** Bytes of a foreign protocol that an error message shows. */
const SHOWN_BYTES = 24;

/**
 * Give it chunks with push(), take frames with next() until there is none. The consumer may stop in between for as long
 * as it likes; what was pushed waits.
 */
export class FrameDecoder {
  readonly #maxLength: number;
  #chunk: Buffer = EMPTY;
  #offset = 0;
  /** Chunks pushed while #chunk had bytes left. */
  #queue: Buffer[] = [];
  /** The beginning of a frame whose end has not come: #held bytes of it, from its length field on. */
  #partial: Buffer = EMPTY;
  /** What comes after its head, where it is of a body. */
  #pieces: Buffer[] = [];
  #held = 0;

  /** `maxPayloadBytes` is the largest payload accepted, the command byte not counted. */
  constructor(maxPayloadBytes: number = MILTER_MAX_DATA_SIZE) {
    this.#maxLength = maxPayloadBytes + 1;
  }

  /** True when, at the last next(), a frame had begun and not ended: the time to start a timer. */
  get midFrame(): boolean {
    return this.#held > 0;
  }

  /** Bytes pushed that no frame returned by next() holds yet. */
  get bufferedBytes(): number {
    const queued = this.#queue.reduce((sum, chunk) => sum + chunk.length, 0);
    return this.#held + this.#chunk.length - this.#offset + queued;
  }

  /** Takes over `chunk`: it must not be changed afterwards. */
  push(chunk: Buffer): void {
    if (this.#offset === this.#chunk.length) {
      this.#chunk = chunk;
      this.#offset = 0;
    } else {
      this.#queue.push(chunk);
    }
  }

  /**
   * The next whole frame; undefined when more bytes are needed.
   * @throws ProtocolError when a length is 0 or over the limit. The stream is lost then: every further call throws.
   */
  next(): Frame | undefined {
    for (;;) {
      const frame = this.#held === 0 ? this.#frameInChunk() : this.#completePartial();
      if (frame !== undefined) return frame;
      const chunk = this.#queue.shift();
      if (chunk === undefined) return undefined;
      this.#chunk = chunk;
      this.#offset = 0;
    }
  }

  /**
   * Whether a frame with this command byte waits whole or in part among what was pushed, before any wrong length: that
   * is for next() to tell. Walks all of it.
   */
  hasQueued(command: number): boolean {
    const bytes = Buffer.concat([
      this.#partial.subarray(0, this.#pieces.length > 0 ? HEAD_BYTES : this.#held),
      ...this.#pieces,
      this.#chunk.subarray(this.#offset),
      ...this.#queue,
    ]);
    for (let at = 0; at + HEAD_BYTES <= bytes.length; ) {
      const length = bytes.readUInt32BE(at);
      if (!this.#isLength(length)) return false;
      if (bytes[at + MILTER_LEN_BYTES] === command) return true;
      at += MILTER_LEN_BYTES + length;
    }
    return false;
  }

  #frameInChunk(): Frame | undefined {
    const chunk = this.#chunk;
    const start = this.#offset;
    if (start === chunk.length) return undefined;
    if (chunk.length - start >= HEAD_BYTES) {
      const length = this.#lengthAt(chunk, start);
      const end = start + MILTER_LEN_BYTES + length;
      if (end <= chunk.length) {
        this.#offset = end;
        const command = chunk.readUInt8(start + MILTER_LEN_BYTES);
        if (length === 1) return { command, payload: EMPTY };
        const payload = chunk.subarray(start + HEAD_BYTES, end);
        return { command, payload: isOfBody(command) ? detached(payload) : payload };
      }
    }
    return this.#completePartial();
  }

  #completePartial(): Frame | undefined {
    if (this.#held < MILTER_LEN_BYTES) {
      this.#gather(MILTER_LEN_BYTES);
      if (this.#held < MILTER_LEN_BYTES) return undefined;
    }
    const size = MILTER_LEN_BYTES + this.#lengthAt(this.#partial, 0);
    if (this.#held < HEAD_BYTES) this.#gather(HEAD_BYTES);
    if (this.#held < HEAD_BYTES) return undefined;
    const command = this.#partial.readUInt8(MILTER_LEN_BYTES);
    if (isOfBody(command)) this.#collect(size);
    else this.#gather(size);
    if (this.#held < size) return undefined;

    const pieces = this.#pieces;
    const payload =
      pieces.length > 0
        ? new PiecedBytes(pieces, size - HEAD_BYTES)
        : this.#partial.subarray(HEAD_BYTES, size);
    this.#partial = EMPTY;
    this.#pieces = [];
    this.#held = 0;
    return { command, payload };
  }

  /** Keeps bytes of the chunk as a piece of the partial frame until that has `size` bytes or the chunk is used up. */
  #collect(size: number): void {
    const end = Math.min(this.#chunk.length, this.#offset + size - this.#held);
    if (end === this.#offset) return;
    const piece = this.#chunk.subarray(this.#offset, end);
    const last = this.#pieces.at(-1);
    if (last && last.length + piece.length <= SMALL_PIECE_BYTES) {
      this.#pieces[this.#pieces.length - 1] = Buffer.concat([last, piece]);
    } else {
      this.#pieces.push(detached(piece));
    }
    this.#held += piece.length;
    this.#offset = end;
  }

  /** Moves bytes from the chunk to the partial frame until it has `size` bytes or the chunk is used up. */
  #gather(size: number): void {
    const end = Math.min(this.#chunk.length, this.#offset + size - this.#held);
    const needed = this.#held + end - this.#offset;
    if (needed > this.#partial.length) {
      const larger = Buffer.allocUnsafe(Math.min(size, GROWTH * needed));
      this.#partial.copy(larger, 0, 0, this.#held);
      this.#partial = larger;
    }
    this.#chunk.copy(this.#partial, this.#held, this.#offset, end);
    this.#held = needed;
    this.#offset = end;
  }

  #lengthAt(bytes: Buffer, offset: number): number {
    const length = bytes.readUInt32BE(offset);
    if (!this.#isLength(length)) {
      const known = bytes === this.#partial ? this.#held : bytes.length;
      throw lengthError(length, bytes.subarray(offset, Math.min(known, offset + SHOWN_BYTES)));
    }
    return length;
  }

  #isLength(length: number): boolean {
    return length > 0 && length <= this.#maxLength;
  }
}

function isOfBody(command: number): boolean {
  return command === SMFIC.BODY || command === SMFIC.BODYEOB;
}

/** Bytes of a body may be kept for long: a small part must not keep all of a large chunk in memory. */
function detached(part: Buffer): Buffer {
  return part.length * MOST_KEPT < part.buffer.byteLength ? Buffer.from(part) : part;
}

function lengthError(length: number, first: Buffer): ProtocolError {
  const protocol = foreignProtocol(first);
  const guess = protocol === undefined ? '' : `, somebody speaks ${protocol} to the milter port`;
  return new ProtocolError(`frame: length ${length}${guess}: ${readable(first)}`);
}

/** What the peer takes us for, by the four bytes that should have been a length. */
function foreignProtocol(first: Buffer): string | undefined {
  if (first[0] === 0x16 && first[1] === 0x03) return 'TLS'; // Handshake record, any version.
  const word = first.toString('latin1', 0, MILTER_LEN_BYTES).toUpperCase();
  if (/^(GET |HEAD|POST|PUT |DELE|CONN|OPTI|TRAC|PATC|PRI )/.test(word)) return 'HTTP';
  if (/^(220[ -]|EHLO|HELO|LHLO|MAIL|RCPT|RSET|NOOP|QUIT)/.test(word)) return 'SMTP';
  if (word === 'PROX' || word === '\r\n\r\n') return 'the PROXY protocol'; // HAProxy's, versions 1 and 2.
  if (word === 'SSH-') return 'SSH';
  return undefined;
}

/** Bytes in quotes: printable ASCII as it is, all else as `\xNN`. */
function readable(bytes: Buffer): string {
  let text = '';
  for (const byte of bytes) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    text += plain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return `"${text}"`;
}
