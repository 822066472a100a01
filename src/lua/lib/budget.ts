/**
 * The bounds on what one call of a library function may do: work and size that the VM's own count hook does not see.
 */
import type { LuaState } from 'fengari';
import { lua, throwMemoryError } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { pushOwnedBytes } from '../engine/values.ts';

/** Raises Lua's own memory error when a string of `bytes` would be longer than a script may make. Call it before allocating. */
export function checkLength(L: LuaState, bytes: number): void {
  if (bytes > hostOf(L).limits.stringBytes) throwMemoryError(L);
}

/** From here on a Buffer has memory of its own, and copying takes its time, which is charged. */
const LONG = 65_536;

/** Room behind what is added, for what is added next. */
const SPARE = 64;

/** Collects bytes for one string, never more than a script's strings may have. */
export class ByteBuilder {
  readonly #L: LuaState;
  #bytes: Buffer;
  #length = 0;

  /** `expected` is a first guess of the size in bytes. */
  constructor(L: LuaState, expected = 64) {
    this.#L = L;
    this.#bytes = Buffer.allocUnsafe(Math.min(expected, hostOf(L).limits.stringBytes));
  }

  get length(): number {
    return this.#length;
  }

  addByte(byte: number): void {
    this.#reserve(1);
    this.#bytes[this.#length++] = byte;
  }

  addBytes(bytes: Uint8Array): void {
    if (bytes.length >= LONG) this.#charge(bytes.length);
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  /** Adds bytes [start, end) of `bytes`. */
  addSlice(bytes: Uint8Array, start: number, end: number): void {
    if (end - start > 16) {
      this.addBytes(bytes.subarray(start, end));
      return;
    }
    this.#reserve(end - start);
    for (let i = start; i < end; i++) this.#bytes[this.#length++] = bytes[i] ?? 0;
  }

  /** Adds latin1 text, one byte per character. */
  addText(latin1: string): void {
    this.#reserve(latin1.length);
    this.#length += this.#bytes.write(latin1, this.#length, 'latin1');
  }

  addFill(byte: number, count: number): void {
    this.#reserve(count);
    if (count >= LONG) this.#charge(count);
    this.#bytes.fill(byte, this.#length, this.#length + count);
    this.#length += count;
  }

  /** What was collected; valid until the next addition. */
  bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Pushes what was collected as a Lua string; nothing can be added any more. */
  push(): void {
    // A long one is not copied unless it would keep much more memory than its own.
    if (this.#length < LONG || this.#length < this.#bytes.length * 0.75) {
      lua.lua_pushstring(this.#L, this.bytes());
    } else {
      pushOwnedBytes(this.#L, this.bytes());
    }
  }

  #charge(bytes: number): void {
    hostOf(this.#L).charge(this.#L, bytes >> 3);
  }

  #reserve(more: number): void {
    const needed = this.#length + more;
    if (needed <= this.#bytes.length) return;
    checkLength(this.#L, needed);
    if (this.#length >= LONG) this.#charge(this.#length);
    // No more than a string may have, but for a few bytes behind a long one.
    const most = Math.max(needed, hostOf(this.#L).limits.stringBytes);
    const grown = Buffer.allocUnsafe(Math.min(most, Math.max(needed + SPARE, this.#bytes.length * 2)));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
