/**
 * What stands under a key: its end, and bytes of which the first says what they are.
 *
 * In memory and in files the end stands before them, 8 bytes (a double, big-endian, milliseconds since the epoch); Redis
 * keeps it by itself.
 */

/** The end of what has none. */
export const FOREVER = Number.POSITIVE_INFINITY;

const EXPIRY_BYTES = 8;

export interface Stored {
  /** Milliseconds since the epoch. From then on it is absent, whether it has been swept or not. */
  readonly expires: number;
  /** The letter of its kind, see `KIND`, and what belongs to it. */
  readonly data: Buffer;
}

/** The first byte of what is stored. */
export const KIND = {
  string: 0x73, // s
  integer: 0x69, // i
  float: 0x66, // f
  boolean: 0x62, // b
  table: 0x74, // t
  /** A bucket of `rate`, see rate.ts. */
  bucket: 0x52, // R
  /** A first sight of `grey`, see grey.ts. */
  sight: 0x47, // G
  /** The passes of a client of `grey`. */
  passes: 0x43, // C
  /** The places of `limit`, see places.ts. */
  places: 0x4c, // L
} as const;

export function encodeStored({ expires, data }: Stored): Buffer {
  const bytes = Buffer.allocUnsafe(EXPIRY_BYTES + data.length);
  bytes.writeDoubleBE(expires, 0);
  data.copy(bytes, EXPIRY_BYTES);
  return bytes;
}

/** As it was read: a view of the data is made where somebody needs one. */
class Encoded implements Stored {
  readonly expires: number;
  readonly bytes: Buffer;

  constructor(expires: number, bytes: Buffer) {
    this.expires = expires;
    this.bytes = bytes;
  }

  get data(): Buffer {
    return this.bytes.subarray(EXPIRY_BYTES);
  }
}

/** What `encodeStored` made; undefined where it has ended by `now`, or is nothing of ours. */
export function decodeStored(bytes: Buffer | undefined, now: number): Stored | undefined {
  if (bytes === undefined || bytes.length <= EXPIRY_BYTES) return undefined;
  const expires = bytes.readDoubleBE(0);
  return expires > now ? new Encoded(expires, bytes) : undefined;
}

/** Bytes of a kind, with one number, or two. */
export function numberData(kind: number, value: number, second?: number): Buffer {
  const data = Buffer.allocUnsafe(second === undefined ? 9 : 17);
  data[0] = kind;
  data.writeDoubleBE(value, 1);
  if (second !== undefined) data.writeDoubleBE(second, 9);
  return data;
}

/** The first number in what `numberData` made; undefined for anything else. */
export function numberIn(kind: number, stored: Stored | undefined): number | undefined {
  if (stored === undefined) return undefined;
  return stored instanceof Encoded
    ? numberAt(kind, stored.bytes, EXPIRY_BYTES)
    : numberAt(kind, stored.data, 0);
}

function numberAt(kind: number, bytes: Buffer, at: number): number | undefined {
  if (bytes[at] !== kind) return undefined;
  const length = bytes.length - at;
  return length === 9 || length === 17 ? bytes.readDoubleBE(at + 1) : undefined;
}
