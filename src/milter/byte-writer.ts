/**
 * Builds one packet: length, command byte, payload.
 *
 * What cannot go on the wire (a NUL inside a string, a character that is no byte, a number out of range, a payload over
 * the limit) is a RangeError: our own mistake, since callers validate what scripts say. bufferpack fills the fixed
 * layouts; it would clamp silently, so ranges are checked here.
 */
import bufferpack, { type FixedLayout } from 'bufferpack';
import { MILTER_LEN_BYTES, MILTER_MAX_DATA_SIZE } from './constants.ts';

/** The largest value of a bufferpack letter. */
const LARGEST: Readonly<Record<string, number>> = { B: 0xff, H: 0xffff, I: 0xffff_ffff };

/** One packet in the making; `subject` names it in error messages. */
export class ByteWriter {
  readonly #subject: string;
  readonly #command: number;
  readonly #parts: (string | Buffer)[] = [];
  #payloadBytes = 0;

  constructor(subject: string, command: number) {
    this.#subject = subject;
    this.#command = command;
  }

  /**
   * Adds the unsigned integers of a fixed layout, one for each of its letters.
   * @throws RangeError when their number or one of them does not fit the layout.
   */
  fixed(layout: FixedLayout, values: readonly number[]): this {
    const letters = layout.slice(1);
    for (const [index, value] of values.entries()) {
      const largest = LARGEST[letters.charAt(index)] ?? -1;
      if (!Number.isInteger(value) || value < 0 || value > largest) {
        throw new RangeError(`${this.#subject}: number out of range: ${value}`);
      }
    }
    const bytes = Buffer.alloc(bufferpack.calcLength(layout, values));
    if (bufferpack.packTo(layout, bytes, 0, values) === false) {
      throw new RangeError(`${this.#subject}: ${values.length} numbers for layout ${layout}`);
    }
    return this.bytes(bytes);
  }

  /**
   * Adds latin1 text and its NUL.
   * @throws RangeError when a character is NUL or above 0xFF.
   */
  cString(text: string): this {
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code === 0 || code > 0xff) {
        throw new RangeError(`${this.#subject}: character not allowed in a string: 0x${code.toString(16)}`);
      }
    }
    this.#parts.push(text);
    this.#payloadBytes += text.length + 1;
    return this;
  }

  /** Adds bytes as they are. */
  bytes(bytes: Buffer): this {
    this.#parts.push(bytes);
    this.#payloadBytes += bytes.length;
    return this;
  }

  /**
   * The whole packet.
   * @throws RangeError when the payload is over MILTER_MAX_DATA_SIZE, the most that any MTA must take.
   */
  packet(): Buffer {
    if (this.#payloadBytes > MILTER_MAX_DATA_SIZE) {
      throw new RangeError(
        `${this.#subject}: payload over ${MILTER_MAX_DATA_SIZE} bytes: ${this.#payloadBytes}`,
      );
    }
    const packet = Buffer.allocUnsafe(MILTER_LEN_BYTES + 1 + this.#payloadBytes);
    let offset = packet.writeUInt32BE(1 + this.#payloadBytes, 0);
    offset = packet.writeUInt8(this.#command, offset);
    for (const part of this.#parts) {
      if (typeof part === 'string') {
        offset += packet.write(part, offset, 'latin1');
        offset = packet.writeUInt8(0, offset);
      } else {
        offset += part.copy(packet, offset);
      }
    }
    return packet;
  }
}
