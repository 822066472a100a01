/**
 * Bytes of a message's body as they came from the network: in one piece, or in several, which are put together only for
 * those who look at them as one. Most policies count them at most, and a file takes pieces as well.
 *
 * They are views of network buffers, to which nobody writes any more: they may be kept.
 */
export type BodyBytes = Buffer | PiecedBytes;

export class PiecedBytes {
  readonly length: number;
  #pieces: readonly Buffer[];

  constructor(pieces: readonly Buffer[], length: number) {
    this.#pieces = pieces;
    this.length = length;
  }

  get pieces(): readonly Buffer[] {
    return this.#pieces;
  }

  /** All of them in one buffer, the same each time. */
  whole(): Buffer {
    const [first, second] = this.#pieces;
    if (first && !second) return first;
    const whole = Buffer.concat(this.#pieces, this.length);
    this.#pieces = [whole];
    return whole;
  }
}

export function wholeOf(bytes: BodyBytes): Buffer {
  return bytes instanceof PiecedBytes ? bytes.whole() : bytes;
}

export function piecesOf(bytes: BodyBytes): readonly Buffer[] {
  return bytes instanceof PiecedBytes ? bytes.pieces : [bytes];
}
