/**
 * Bounded reads inside one payload: nothing is ever read beyond its end.
 *
 * Whatever is cut short is a ProtocolError that names the command. Text comes out as latin1, one character per byte.
 * bufferpack takes apart the fixed layouts; NULs are found by the engine's own search, because bufferpack's never ends
 * when there is none.
 */
import bufferpack, { type FixedLayout } from 'bufferpack';
import { ProtocolError } from './protocol-error.ts';

/** A cursor over the payload of the command called `subject` in error messages. */
export class ByteReader {
  readonly #subject: string;
  readonly #payload: Buffer;
  #offset = 0;

  constructor(subject: string, payload: Buffer) {
    this.#subject = subject;
    this.#payload = payload;
  }

  /** Bytes not read yet. */
  get remaining(): number {
    return this.#payload.length - this.#offset;
  }

  /**
   * The unsigned integers of a fixed layout, as many as it has letters.
   * @throws ProtocolError when the payload is too short.
   */
  fixed(layout: FixedLayout): number[] {
    const values = bufferpack.unpack(layout, this.#payload, this.#offset);
    if (values === undefined) {
      throw new ProtocolError(`${this.#subject}: ${this.#payload.length} bytes are too few`);
    }
    this.#offset += bufferpack.calcLength(layout, values);
    return values;
  }

  /** @throws ProtocolError when the payload is too short. */
  u8(): number {
    this.#require(1);
    return this.#payload.readUInt8(this.#offset++);
  }

  /** @throws ProtocolError when the payload is too short. */
  u16be(): number {
    this.#require(2);
    this.#offset += 2;
    return this.#payload.readUInt16BE(this.#offset - 2);
  }

  /**
   * Text up to the next NUL, which is read too.
   * @throws ProtocolError when there is no NUL.
   */
  cString(): string {
    const end = this.#payload.indexOf(0, this.#offset);
    if (end < 0) throw new ProtocolError(`${this.#subject}: no NUL after string`);
    const text = this.#payload.toString('latin1', this.#offset, end);
    this.#offset = end + 1;
    return text;
  }

  /** @throws ProtocolError when anything is left. */
  end(): void {
    if (this.remaining > 0)
      throw new ProtocolError(`${this.#subject}: ${this.remaining} bytes after last NUL`);
  }

  #require(bytes: number): void {
    if (this.remaining < bytes) {
      throw new ProtocolError(`${this.#subject}: ${this.#payload.length} bytes are too few`);
    }
  }
}

/**
 * All strings of a payload from `start` on, as one text with a NUL between each two: the last one's NUL is checked and
 * taken off. One call into the engine instead of one per string.
 *
 * @throws ProtocolError when the payload has no byte there or does not end in a NUL.
 */
export function readStrings(subject: string, payload: Buffer, start: number): string {
  const last = payload.length - 1;
  if (last < start) throw new ProtocolError(`${subject}: payload of ${payload.length} bytes`);
  if (payload[last] !== 0) {
    const after = last - payload.lastIndexOf(0);
    throw new ProtocolError(
      after > last - start ? `${subject}: no NUL after string` : `${subject}: ${after} bytes after last NUL`,
    );
  }
  return payload.toString('latin1', start, last);
}
