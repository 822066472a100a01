/**
 * Which of many networks an address is in.
 *
 * For each length of prefix there is, the networks of that length lie in one array of numbers, sorted (IPv4) or by a hash
 * (IPv6): a look-up costs one search for each length, whether there are ten networks or a million.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** Work in slices; its return value is the result. */
export type Slices<Result> = Generator<void, Result, void>;

export interface Network {
  /** 4 bytes; 16 for IPv6. Bits behind the prefix may be set. */
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** Entries between two yields. */
const BATCH = 4096;

/** The bytes of an address; an IPv6 address that is a mapped IPv4 address has those of that. Undefined for none. */
export function addressBytes(text: string): Uint8Array | undefined {
  if (isIPv4(text)) return Uint8Array.from(text.split('.').map(Number));
  const plain = text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text;
  if (!isIPv6(plain) || plain.includes('%')) return undefined;
  const bytes = ipv6Bytes(plain);
  return isMapped(bytes) ? bytes.subarray(12) : bytes;
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

/** @param text an IPv6 address, as isIPv6 takes it, without zone */
function ipv6Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  let filled = 0;
  /** Where `::` stands. */
  let gap = -1;
  let group = 0;
  let isGroup = false;
  const put = (): void => {
    if (isGroup) {
      bytes[filled] = group >> 8;
      bytes[filled + 1] = group & 255;
      filled += 2;
    }
    group = 0;
    isGroup = false;
  };
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === COLON) {
      put();
      if (text.charCodeAt(i + 1) === COLON) {
        gap = filled;
        i += 1;
      }
    } else if (code === DOT) {
      // The last four bytes are written as an IPv4 address.
      const dotted = text.slice(text.lastIndexOf(':') + 1).split('.');
      for (const part of dotted) bytes[filled++] = Number(part);
      isGroup = false;
      break;
    } else {
      group = (group << 4) | hexDigit(code);
      isGroup = true;
    }
  }
  put();
  if (gap >= 0 && filled < 16) {
    bytes.copyWithin(16 - (filled - gap), gap, filled);
    bytes.fill(0, gap, 16 - (filled - gap));
  }
  return bytes;
}

const COLON = 0x3a;
const DOT = 0x2e;
const SLASH = 0x2f;

const hexDigit = (code: number) => (code <= 0x39 ? code - 0x30 : (code | 0x20) - 0x57);

/** A network as most are written; undefined for what must be looked at more closely. */
function plainIPv4(text: string): Network | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let value = 0;
  let digits = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : SLASH;
    if (code >= 0x30 && code <= 0x39) {
      if (digits > 0 && value === 0) return undefined;
      value = value * 10 + code - 0x30;
      digits += 1;
      if (digits > 3) return undefined;
      continue;
    }
    if (digits === 0 || value > 255) return undefined;
    bytes[part] = value;
    value = 0;
    digits = 0;
    if (code === DOT && part < 3) part += 1;
    else if (code === SLASH && part === 3) {
      if (i >= text.length) return { bytes, bits: 32 };
      const bits = text.slice(i + 1);
      return /^\d{1,2}$/.test(bits) && Number(bits) <= 32 ? { bytes, bits: Number(bits) } : undefined;
    } else return undefined;
  }
  return undefined;
}

/** `192.0.2.0/24`, `2001:db8::/32`, or one address. Undefined for anything else. */
export function parseNetwork(text: string): Network | undefined {
  const plain4 = plainIPv4(text);
  if (plain4 !== undefined) return plain4;
  const [address = '', length, ...rest] = text.split('/');
  if (rest.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return undefined;
  const plain = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address;
  if (isIPv4(plain)) return networkOf(Uint8Array.from(plain.split('.').map(Number)), length);
  if (!isIPv6(plain) || plain.includes('%')) return undefined;
  const bytes = ipv6Bytes(plain);
  if (!isMapped(bytes) || (length !== undefined && Number(length) < 96)) return networkOf(bytes, length);
  return networkOf(bytes.subarray(12), length === undefined ? undefined : String(Number(length) - 96));
}

function networkOf(bytes: Uint8Array, length: string | undefined): Network | undefined {
  const bits = length === undefined ? bytes.length * 8 : Number(length);
  return bits <= bytes.length * 8 ? { bytes, bits } : undefined;
}

/** Whether bits behind the prefix are set: Postfix calls that an error. */
export function hasHostBits({ bytes, bits }: Network): boolean {
  for (let at = bits >> 3; at < bytes.length; at++) {
    const kept = at === bits >> 3 ? bits & 7 : 0;
    if (((bytes[at] ?? 0) & (0xff >> kept)) !== 0) return true;
  }
  return false;
}

/** Four bytes as a number. */
function number(bytes: Uint8Array, at = 0): number {
  const [a, b, c, d] = [bytes[at] ?? 0, bytes[at + 1] ?? 0, bytes[at + 2] ?? 0, bytes[at + 3] ?? 0];
  return ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
}

/** Of one number. */
const maskOf = (bits: number) =>
  bits <= 0 ? 0 : bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0;

/** Networks in the order in which they were added, each with its number. */
export class Networks {
  /** By length of prefix; sorted when they are complete. */
  readonly #v4 = new Map<number, V4>();
  readonly #v6 = new Map<number, V6>();
  #count = 0;

  /** How many were added. */
  get count(): number {
    return this.#count;
  }

  add({ bytes, bits }: Network): void {
    const index = this.#count;
    this.#count += 1;
    if (bytes.length === 4) {
      let list = this.#v4.get(bits);
      if (list === undefined) {
        list = new V4();
        this.#v4.set(bits, list);
      }
      list.add((number(bytes) & maskOf(bits)) >>> 0, index);
      return;
    }
    let list = this.#v6.get(bits);
    if (list === undefined) {
      list = new V6(bits);
      this.#v6.set(bits, list);
    }
    list.add(bytes, index);
  }

  /** Must run before the first look-up. */
  *complete(): Slices<void> {
    for (const list of this.#v4.values()) yield* list.sort();
    for (const list of this.#v6.values()) yield* list.complete();
  }

  /** The lowest number of a network that the address is in; -1 where there is none. */
  first(address: Uint8Array): number {
    let best = -1;
    const better = (found: number) => {
      if (found >= 0 && (best < 0 || found < best)) best = found;
    };
    if (address.length === 4) {
      const value = number(address);
      for (const [bits, list] of this.#v4) better(list.find((value & maskOf(bits)) >>> 0));
    } else {
      for (const list of this.#v6.values()) better(list.find(address));
    }
    return best;
  }
}

/** IPv4 networks of one length. */
class V4 {
  #keys = new Uint32Array(16);
  #indexes = new Uint32Array(16);
  #size = 0;

  add(key: number, index: number): void {
    if (this.#size === this.#keys.length) {
      this.#keys = grown(this.#keys);
      this.#indexes = grown(this.#indexes);
    }
    this.#keys[this.#size] = key;
    this.#indexes[this.#size] = index;
    this.#size += 1;
  }

  /** By key; equal keys stay in their order (a radix sort, in slices). */
  *sort(): Slices<void> {
    let keys = this.#keys.slice(0, this.#size);
    let indexes = this.#indexes.slice(0, this.#size);
    for (let shift = 0; shift < 32; shift += 8) {
      const starts = new Uint32Array(257);
      for (let i = 0; i < keys.length; i++) {
        const digit = ((keys[i] ?? 0) >>> shift) & 255;
        starts[digit + 1] = (starts[digit + 1] ?? 0) + 1;
        if (i % BATCH === BATCH - 1) yield;
      }
      for (let digit = 0; digit < 256; digit++)
        starts[digit + 1] = (starts[digit + 1] ?? 0) + (starts[digit] ?? 0);
      const sortedKeys = new Uint32Array(keys.length);
      const sortedIndexes = new Uint32Array(keys.length);
      for (let i = 0; i < keys.length; i++) {
        const key = keys[i] ?? 0;
        const digit = (key >>> shift) & 255;
        const place = starts[digit] ?? 0;
        starts[digit] = place + 1;
        sortedKeys[place] = key;
        sortedIndexes[place] = indexes[i] ?? 0;
        if (i % BATCH === BATCH - 1) yield;
      }
      keys = sortedKeys;
      indexes = sortedIndexes;
    }
    this.#keys = keys;
    this.#indexes = indexes;
  }

  /** The index of the first of this key; -1 for none. */
  find(key: number): number {
    let low = 0;
    let high = this.#size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] ?? 0) < key) low = middle + 1;
      else high = middle;
    }
    return low < this.#size && this.#keys[low] === key ? (this.#indexes[low] ?? -1) : -1;
  }
}

/** IPv6 networks of one length: four numbers each, and their places by a hash of these. */
class V6 {
  readonly #masks: readonly [number, number, number, number];
  #words = new Uint32Array(64);
  #indexes = new Uint32Array(16);
  #size = 0;
  /** Places, plus 1; 0 is free. A power of two of them. */
  #slots = new Uint32Array(0);

  constructor(bits: number) {
    this.#masks = [maskOf(bits), maskOf(bits - 32), maskOf(bits - 64), maskOf(bits - 96)];
  }

  add(bytes: Uint8Array, index: number): void {
    if (this.#size === this.#indexes.length) {
      this.#words = grown(this.#words);
      this.#indexes = grown(this.#indexes);
    }
    const at = this.#size * 4;
    for (let i = 0; i < 4; i++) this.#words[at + i] = this.#word(bytes, i);
    this.#indexes[this.#size] = index;
    this.#size += 1;
  }

  *complete(): Slices<void> {
    yield;
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(Math.max(4, (this.#size * 3) / 2))));
    yield;
    const mask = this.#slots.length - 1;
    for (let place = 0; place < this.#size; place++) {
      const [a, b, c, d] = this.#wordsAt(place);
      let slot = hashOf(a, b, c, d) & mask;
      // Of equal ones the first counts: it is found first.
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = place + 1;
      if (place % BATCH === BATCH - 1) yield;
    }
  }

  /** The index of the first of the network that the address is in; -1 for none. */
  find(address: Uint8Array): number {
    const [a, b, c, d] = [
      this.#word(address, 0),
      this.#word(address, 1),
      this.#word(address, 2),
      this.#word(address, 3),
    ];
    const mask = this.#slots.length - 1;
    for (let slot = hashOf(a, b, c, d) & mask; ; slot = (slot + 1) & mask) {
      const place = (this.#slots[slot] ?? 0) - 1;
      if (place < 0) return -1;
      const [e, f, g, h] = this.#wordsAt(place);
      if (a === e && b === f && c === g && d === h) return this.#indexes[place] ?? -1;
    }
  }

  #word(bytes: Uint8Array, i: number): number {
    return (number(bytes, i * 4) & (this.#masks[i] ?? 0)) >>> 0;
  }

  #wordsAt(place: number): [number, number, number, number] {
    const at = place * 4;
    const words = this.#words;
    return [words[at] ?? 0, words[at + 1] ?? 0, words[at + 2] ?? 0, words[at + 3] ?? 0];
  }
}

function hashOf(a: number, b: number, c: number, d: number): number {
  let hash = Math.imul(a ^ (a >>> 15), 0x2c1b3c6d);
  for (const word of [b, c, d]) hash = Math.imul(hash ^ word ^ (hash >>> 13), 0x297a2d39);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function grown(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
