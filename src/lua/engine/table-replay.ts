/**
 * The order in which C Lua 5.3 traverses a table whose keys are numbers and booleans: they are put into a model of C
 * Lua's table (ltable.c), an array for the keys from 1 and a hash table for the others. (Of strings and objects the order
 * changes from run to run in C Lua itself.)
 */

export type PlainKey = number | boolean;

const MOST_BITS = 31;
const FREE = -1;

/** How many bits it takes to count up to `n`, which is at least 1: ceil(log2(n)). */
function bitsFor(n: number): number {
  return n === 1 ? 0 : 32 - Math.clz32(n - 1);
}

export function isArrayIndex(key: unknown): key is number {
  return typeof key === 'number' && Number.isInteger(key) && key > 0 && key <= 2 ** MOST_BITS;
}

/**
 * How long C Lua makes the array part for these keys: the largest power of two of which more than half is in use
 * (computesizes).
 */
export function arraySizeFor(keys: readonly unknown[]): number {
  const slices = new Array<number>(MOST_BITS + 1).fill(0);
  for (const key of keys) {
    if (!isArrayIndex(key)) continue;
    const bits = bitsFor(key);
    slices[bits] = (slices[bits] ?? 0) + 1;
  }
  let size = 0;
  let seen = 0;
  for (let bits = 0; bits <= MOST_BITS; bits++) {
    seen += slices[bits] ?? 0;
    if (seen > 2 ** bits / 2) size = 2 ** bits;
  }
  return size;
}

/** Keys are named by their indices in `#keys`. How places are chained does not show in a traversal and is left out. */
class Model {
  readonly #keys: readonly PlainKey[];
  #arraySize: number;
  #array: number[] = [];
  #places: number[] = [];
  /** All places from here on have been in use (`lastfree`). */
  #lastFree = 0;

  constructor(keys: readonly PlainKey[], arraySize: number, hashed: number) {
    this.#keys = keys;
    this.#arraySize = arraySize;
    this.#setPlaces(hashed);
  }

  order(): number[] {
    const keyOf = (index: number): number => Number(this.#keys[index]);
    const array = this.#array.sort((a, b) => keyOf(a) - keyOf(b));
    return array.concat(this.#places.filter((index) => index !== FREE));
  }

  insert(index: number): void {
    const key = this.#keys[index] ?? 0;
    if (isArrayIndex(key) && key <= this.#arraySize) {
      this.#array.push(index);
      return;
    }
    const main = this.#mainPlace(key);
    const there = this.#places[main];
    if (there === FREE) {
      this.#places[main] = index;
      return;
    }
    const free = this.#freePlace();
    if (there === undefined || free === FREE) {
      this.#rehash(index);
      this.insert(index);
      return;
    }
    // The one that is there makes way when it is not where it belongs.
    const makesWay = this.#mainPlace(this.#keys[there] ?? 0) !== main;
    this.#places[free] = makesWay ? there : index;
    if (makesWay) this.#places[main] = index;
  }

  #setPlaces(count: number): void {
    this.#places = count === 0 ? [] : new Array<number>(2 ** bitsFor(count)).fill(FREE);
    this.#lastFree = this.#places.length;
  }

  #freePlace(): number {
    while (this.#lastFree > 0) if (this.#places[--this.#lastFree] === FREE) return this.#lastFree;
    return FREE;
  }

  #rehash(added: number): void {
    const array = this.#array;
    const old = this.#places;
    const all = [...array, ...old.filter((index) => index !== FREE), added].map((i) => this.#keys[i]);
    this.#arraySize = arraySizeFor(all);
    this.#array = [];
    this.#setPlaces(all.filter((key) => !(isArrayIndex(key) && key <= this.#arraySize)).length);
    const keyOf = (index: number): number => Number(this.#keys[index]);
    for (const index of array.sort((a, b) => keyOf(a) - keyOf(b))) this.insert(index);
    for (let i = old.length - 1; i >= 0; i--) {
      const index = old[i] ?? FREE;
      if (index !== FREE) this.insert(index);
    }
  }

  #mainPlace(key: PlainKey): number {
    const size = this.#places.length;
    if (size === 0) return 0;
    if (typeof key === 'boolean') return Number(key) & (size - 1);
    if (Number.isInteger(key) && Math.abs(key) < 2 ** 63) return ((key % size) + size) % size;
    return floatHash(key) % ((size - 1) | 1);
  }
}

/** l_hashfloat: from the fraction in [0.5, 1) and the exponent. */
function floatHash(value: number): number {
  if (!Number.isFinite(value)) return 0;
  let exponent = Math.max(-1074, Math.floor(Math.log2(Math.abs(value))) + 1);
  let fraction = value / 2 ** exponent;
  if (Math.abs(fraction) >= 1) {
    fraction /= 2;
    exponent++;
  } else if (Math.abs(fraction) < 0.5) {
    fraction *= 2;
    exponent--;
  }
  const sum = (exponent + Math.trunc(fraction * 2 ** 31)) >>> 0;
  return sum <= 0x7fffffff ? sum : ~sum >>> 0;
}

/**
 * C Lua's order of the keys of a table.
 *
 * @param keys in the order in which they were added, each once
 * @param arraySize, hashed what the table was made for: so many items, so many other keys
 * @returns the indices of `keys` in the order of a traversal
 */
export function traversalOrder(keys: readonly PlainKey[], arraySize: number, hashed: number): number[] {
  const model = new Model(keys, arraySize, hashed);
  for (let i = 0; i < keys.length; i++) model.insert(i);
  return model.order();
}
