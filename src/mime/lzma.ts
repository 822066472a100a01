/**
 * LZMA as 7z archives have it, without a header of its own (Igor Pavlov's "LZMA specification").
 *
 * For the directories of archives, which are small: packages that unpack it hold the thread until they are done, and take
 * what the packed bytes say for how much memory they need.
 */
import type { Slices } from './byte-source.ts';

export interface Unpacked {
  readonly bytes: Buffer;
  /** Whether these are as many bytes as were asked for. */
  readonly isWhole: boolean;
}

/** Bits that are decoded between two yields, one millisecond or so; more at first. */
const BATCH = 20_000;

const STATES = 12;
const POSITIONS = 16;
/** Where the probabilities of each kind of bit begin in the one array that has them all. */
const MATCH = 0;
const REP = MATCH + STATES * POSITIONS;
const REP0 = REP + STATES;
const REP1 = REP0 + STATES;
const REP2 = REP1 + STATES;
const REP0_LONG = REP2 + STATES;
const SLOT = REP0_LONG + STATES * POSITIONS;
const SPECIAL = SLOT + 4 * 64;
const ALIGN = SPECIAL + 128;
const LENGTH = ALIGN + 16;
/** Two bits of choice, short and middle lengths by position, long ones. */
const LENGTH_SIZE = 2 + 2 * POSITIONS * 8 + 256;
const REP_LENGTH = LENGTH + LENGTH_SIZE;
const LITERAL = REP_LENGTH + LENGTH_SIZE;
const MIN_MATCH = 2;
const EVEN = 1024;

/** Bits of a range coder, each with the probability that it was given. */
class Bits {
  readonly #packed: Buffer;
  readonly #odds: Uint16Array;
  #range = 0xffffffff;
  #code: number;
  #at = 5;
  count = 0;

  constructor(packed: Buffer, odds: Uint16Array) {
    this.#packed = packed;
    this.#odds = odds;
    this.#code = packed.length >= 5 ? packed.readUInt32BE(1) : 0;
  }

  /** Whether bits were taken from behind the end. */
  get isOver(): boolean {
    return this.#at > this.#packed.length;
  }

  one(index: number): 0 | 1 {
    const odds = this.#odds[index] as number;
    const bound = (this.#range >>> 11) * odds;
    this.count += 1;
    if (this.#code < bound) {
      this.#range = bound;
      this.#odds[index] = odds + ((2048 - odds) >>> 5);
      this.#fill();
      return 0;
    }
    this.#range -= bound;
    this.#code -= bound;
    this.#odds[index] = odds - (odds >>> 5);
    this.#fill();
    return 1;
  }

  #fill(): void {
    if (this.#range >= 0x1000000) return;
    this.#range = (this.#range << 8) >>> 0;
    this.#code = ((this.#code << 8) | (this.#packed[this.#at++] ?? 0)) >>> 0;
  }

  /** The highest bit first. */
  tree(first: number, bits: number): number {
    let node = 1;
    for (let i = 0; i < bits; i++) node = (node << 1) | this.one(first + node);
    return node - (1 << bits);
  }

  /** The lowest bit first. */
  reverseTree(first: number, bits: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < bits; i++) {
      const bit = this.one(first + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  /** Bits that are as often 0 as 1. */
  direct(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++) {
      this.#range >>>= 1;
      const bit = this.#code >= this.#range ? 1 : 0;
      if (bit === 1) this.#code -= this.#range;
      value = ((value << 1) | bit) >>> 0;
      this.#fill();
    }
    return value;
  }

  length(first: number, position: number): number {
    if (this.one(first) === 0) return this.tree(first + 2 + position * 8, 3);
    if (this.one(first + 1) === 0) return 8 + this.tree(first + 2 + (POSITIONS + position) * 8, 3);
    return 16 + this.tree(first + 2 + 2 * POSITIONS * 8, 8);
  }
}

/**
 * @param properties the byte that says how contexts are made, first
 * @param size bytes to unpack; fewer come where the packed ones are damaged, cut off or at their end
 */
export function* unpackLzma(packed: Buffer, properties: number, size: number): Slices<Unpacked> {
  const literalBits = properties % 9;
  const literalPositionBits = Math.floor(properties / 9) % 5;
  const positionBits = Math.floor(properties / 45);
  // The first byte of a stream is always 0.
  if (positionBits > 4 || packed[0] !== 0) return { bytes: Buffer.alloc(0), isWhole: size === 0 };
  const odds = new Uint16Array(LITERAL + (0x300 << (literalBits + literalPositionBits))).fill(EVEN);
  const bits = new Bits(packed, odds);
  const out = Buffer.alloc(size);
  let at = 0;
  let state = 0;
  const recent = [0, 0, 0, 0] as [number, number, number, number];
  let seen = 0;
  while (at < size && !bits.isOver) {
    if (bits.count - seen > BATCH) {
      seen = bits.count;
      yield;
    }
    const position = at & ((1 << positionBits) - 1);
    if (bits.one(MATCH + state * POSITIONS + position) === 0) {
      const before = at === 0 ? 0 : (out[at - 1] as number);
      const context =
        ((at & ((1 << literalPositionBits) - 1)) << literalBits) + (before >> (8 - literalBits));
      const first = LITERAL + 0x300 * context;
      out[at] = state < 7 ? literal(bits, first) : matchedLiteral(bits, first, out[at - recent[0] - 1] ?? 0);
      at += 1;
      state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      continue;
    }
    let length: number;
    if (bits.one(REP + state) === 1) {
      if (bits.one(REP0 + state) === 0) {
        if (bits.one(REP0_LONG + state * POSITIONS + position) === 0) {
          if (recent[0] >= at) break;
          out[at] = out[at - recent[0] - 1] as number;
          at += 1;
          state = state < 7 ? 9 : 11;
          continue;
        }
      } else {
        const which = bits.one(REP1 + state) === 0 ? 1 : bits.one(REP2 + state) === 0 ? 2 : 3;
        const distance = recent[which];
        recent.copyWithin(1, 0, which);
        recent[0] = distance;
      }
      length = bits.length(REP_LENGTH, position) + MIN_MATCH;
      state = state < 7 ? 8 : 11;
    } else {
      recent.copyWithin(1, 0, 3);
      length = bits.length(LENGTH, position) + MIN_MATCH;
      state = state < 7 ? 7 : 10;
      recent[0] = distanceOf(bits, length);
    }
    // The end is marked by the largest distance.
    if (recent[0] >= at) break;
    const from = at - recent[0] - 1;
    const count = Math.min(length, size - at);
    for (let i = 0; i < count; i++) out[at + i] = out[from + i] as number;
    at += count;
  }
  return { bytes: out.subarray(0, at), isWhole: at === size };
}

function literal(bits: Bits, first: number): number {
  let symbol = 1;
  while (symbol < 0x100) symbol = (symbol << 1) | bits.one(first + symbol);
  return symbol & 0xff;
}

/** Behind a match: the byte that would have gone on with it says what is likely. */
function matchedLiteral(bits: Bits, first: number, given: number): number {
  let symbol = 1;
  let match = given;
  while (symbol < 0x100) {
    const expected = (match >> 7) & 1;
    match <<= 1;
    const bit = bits.one(first + ((1 + expected) << 8) + symbol);
    symbol = (symbol << 1) | bit;
    if (bit !== expected) {
      while (symbol < 0x100) symbol = (symbol << 1) | bits.one(first + symbol);
    }
  }
  return symbol & 0xff;
}

function distanceOf(bits: Bits, length: number): number {
  const slot = bits.tree(SLOT + Math.min(length - MIN_MATCH, 3) * 64, 6);
  if (slot < 4) return slot;
  const low = (slot >> 1) - 1;
  const high = ((2 | (slot & 1)) << low) >>> 0;
  if (slot < 14) return high + bits.reverseTree(SPECIAL + high - slot, low);
  return high + bits.direct(low - 4) * 16 + bits.reverseTree(ALIGN, 4);
}
