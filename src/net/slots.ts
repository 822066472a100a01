/**
 * What is there for as long as a session, and is told of its end.
 *
 * Each lies in a slot, which is used again. A Set that is added to and deleted from makes itself anew all the time, and V8
 * chains the copies: once an old one has come to be among the long-lived objects, its young successors, and with them whole
 * sessions that are over, look alive to each short collection, which then copies them.
 */
export class Slots<Item> implements Iterable<Item> {
  readonly #slots: (Item | undefined)[] = [];
  readonly #free: number[] = [];

  get size(): number {
    return this.#slots.length - this.#free.length;
  }

  /** @returns its slot, by which it is taken out once */
  add(item: Item): number {
    const slot = this.#free.pop() ?? this.#slots.length;
    this.#slots[slot] = item;
    return slot;
  }

  remove(slot: number): void {
    this.#slots[slot] = undefined;
    this.#free.push(slot);
  }

  /** In any order. */
  *[Symbol.iterator](): Iterator<Item> {
    for (const item of this.#slots) if (item !== undefined) yield item;
  }
}
