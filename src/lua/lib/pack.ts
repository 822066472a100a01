/**
 * string.pack, packsize and unpack. Sizes are those of C on 64-bit Linux, so `l`, `j` and `T` are 8 bytes; integers that
 * fengari's 32 bits do not hold are floats, exact up to 2^53.
 */
import type { LuaState, LuaString } from 'fengari';
import { ascii, lauxlib, lua } from '../engine/engine.ts';
import { hostOf } from '../engine/host.ts';
import { argumentError, checkInteger, hasZero, optInteger, pushInteger, raise } from './arguments.ts';
import { ByteBuilder } from './budget.ts';
import { pushSlice } from './captures.ts';
import { startIndex } from './search.ts';
import { runSteps, type Steps } from './steps.ts';

const MAX_INTEGER_SIZE = 16;
const MAX_ALIGNMENT = 8;
const LUA_INTEGER_SIZE = 8;
const MAX_SIZE = 0x7fffffff;

/** Bytes of items that are long enough for a pause after them. */
const LONG_ITEMS = 65_536;
/** Items of a format between two pauses, and what each costs in steps of Host.charge(). */
const BATCH = 256;
const STEPS_PER_ITEM = 50;

type Kind = 'int' | 'uint' | 'float' | 'char' | 'string' | 'zstring' | 'padding' | 'align' | 'none';

interface Item {
  readonly kind: Kind;
  /** Bytes of the item itself, without those in front that align it. */
  readonly size: number;
  readonly padding: number;
}

/** Reads a format string option by option. */
class Format {
  readonly #L: LuaState;
  readonly #text: LuaString;
  #at = 0;
  #maxAlignment = 1;
  #items = 0;
  little = true;

  constructor(L: LuaState, text: LuaString) {
    this.#L = L;
    this.#text = text;
  }

  get done(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Whether others should have their turn before the next item: now and then in a long format, which is charged for. */
  pauses(): boolean {
    if (++this.#items % BATCH !== 0) return false;
    hostOf(this.#L).charge(this.#L, BATCH * STEPS_PER_ITEM);
    return true;
  }

  /** The next item, when `offset` bytes come before it. */
  next(offset: number): Item {
    const { kind, size } = this.#option();
    let alignment = size;
    if (kind === 'align') {
      if (this.done) argumentError(this.#L, 1, "invalid next option for option 'X'");
      const following = this.#option();
      alignment = following.size;
      if (following.kind === 'char' || alignment === 0) {
        argumentError(this.#L, 1, "invalid next option for option 'X'");
      }
    }
    if (alignment <= 1 || kind === 'char') return { kind, size, padding: 0 };
    alignment = Math.min(alignment, this.#maxAlignment);
    if ((alignment & (alignment - 1)) !== 0) {
      argumentError(this.#L, 1, 'format asks for alignment not power of 2');
    }
    return { kind, size, padding: (alignment - (offset & (alignment - 1))) & (alignment - 1) };
  }

  #option(): { kind: Kind; size: number } {
    const letter = String.fromCharCode(this.#text[this.#at++] ?? 0);
    switch (letter) {
      case 'b':
        return { kind: 'int', size: 1 };
      case 'B':
        return { kind: 'uint', size: 1 };
      case 'h':
        return { kind: 'int', size: 2 };
      case 'H':
        return { kind: 'uint', size: 2 };
      case 'l':
      case 'j':
        return { kind: 'int', size: 8 };
      case 'L':
      case 'J':
      case 'T':
        return { kind: 'uint', size: 8 };
      case 'f':
        return { kind: 'float', size: 4 };
      case 'd':
      case 'n':
        return { kind: 'float', size: 8 };
      case 'i':
        return { kind: 'int', size: this.#limited(4) };
      case 'I':
        return { kind: 'uint', size: this.#limited(4) };
      case 's':
        return { kind: 'string', size: this.#limited(8) };
      case 'c': {
        const size = this.#number();
        return { kind: 'char', size: size ?? raise(this.#L, "missing size for format option 'c'") };
      }
      case 'z':
        return { kind: 'zstring', size: 0 };
      case 'x':
        return { kind: 'padding', size: 1 };
      case 'X':
        return { kind: 'align', size: 0 };
      case '<':
      case '=':
        this.little = true;
        break;
      case '>':
        this.little = false;
        break;
      case '!':
        this.#maxAlignment = this.#limited(MAX_ALIGNMENT);
        break;
      case ' ':
        break;
      default:
        raise(this.#L, `invalid format option '${letter}'`);
    }
    return { kind: 'none', size: 0 };
  }

  #number(): number | null {
    let value: number | null = null;
    for (;;) {
      const byte = this.#text[this.#at];
      if (byte === undefined || byte < 48 || byte > 57) return value;
      if (value !== null && value > (MAX_SIZE - 9) / 10) return value;
      value = (value ?? 0) * 10 + byte - 48;
      this.#at++;
    }
  }

  #limited(absent: number): number {
    const size = this.#number() ?? absent;
    if (size <= 0 || size > MAX_INTEGER_SIZE) {
      raise(this.#L, `integral size (${size}) out of limits [1,${MAX_INTEGER_SIZE}]`);
    }
    return size;
  }
}

/** Adds `value` as a two's complement number of `size` bytes. */
function addInteger(out: ByteBuilder, value: number, size: number, little: boolean): void {
  let rest = BigInt(value);
  const bytes: number[] = [];
  for (let i = 0; i < size; i++) {
    bytes.push(Number(rest & 0xffn));
    rest >>= 8n;
  }
  if (!little) bytes.reverse();
  for (const byte of bytes) out.addByte(byte);
}

const floats = Buffer.alloc(8);

function addFloat(out: ByteBuilder, value: number, size: number, little: boolean): void {
  if (size === 4) little ? floats.writeFloatLE(value) : floats.writeFloatBE(value);
  else little ? floats.writeDoubleLE(value) : floats.writeDoubleBE(value);
  out.addSlice(floats, 0, size);
}

export function string_pack(L: LuaState): number {
  return runSteps(L, pack(L, new Format(L, lauxlib.luaL_checkstring(L, 1))));
}

function* pack(L: LuaState, format: Format): Steps {
  const out = new ByteBuilder(L);
  lua.lua_pushnil(L); // As in C, where it parts the arguments from a buffer: a missing one counts as nil.
  let arg = 1;
  let paused = 0;
  while (!format.done) {
    if (format.pauses() || out.length - paused > LONG_ITEMS) {
      paused = out.length;
      yield 'pause';
    }
    const { kind, size, padding } = format.next(out.length);
    out.addFill(0, padding);
    switch (kind) {
      case 'int':
        addInteger(out, checkFits(L, ++arg, size, true), size, format.little);
        break;
      case 'uint':
        addInteger(out, checkFits(L, ++arg, size, false), size, format.little);
        break;
      case 'float':
        addFloat(out, lauxlib.luaL_checknumber(L, ++arg), size, format.little);
        break;
      case 'char': {
        const text = lauxlib.luaL_checkstring(L, ++arg);
        if (text.length > size) argumentError(L, arg, 'string longer than given size');
        out.addBytes(text);
        out.addFill(0, size - text.length);
        break;
      }
      case 'string': {
        const text = lauxlib.luaL_checkstring(L, ++arg);
        if (size < 4 && text.length >= 2 ** (size * 8)) {
          argumentError(L, arg, 'string length does not fit in given size');
        }
        addInteger(out, text.length, size, format.little);
        out.addBytes(text);
        break;
      }
      case 'zstring': {
        const text = lauxlib.luaL_checkstring(L, ++arg);
        hostOf(L).charge(L, text.length >> 4);
        if (hasZero(text)) argumentError(L, arg, 'string contains zeros');
        out.addBytes(text);
        out.addByte(0);
        break;
      }
      case 'padding':
        out.addByte(0);
        break;
      case 'align':
      case 'none':
        break;
    }
  }
  out.push();
  return 1;
}

/** Integer argument `arg`, if it fits in `size` bytes; integers of Lua's own size and more always do. */
function checkFits(L: LuaState, arg: number, size: number, signed: boolean): number {
  const value = checkInteger(L, arg);
  if (size >= LUA_INTEGER_SIZE) return value;
  const range = 2 ** (size * 8);
  if (signed && (value < -range / 2 || value >= range / 2)) argumentError(L, arg, 'integer overflow');
  // A negative integer of 32 bits is what an unsigned one above 2^31 becomes in Lua code.
  const small = size === 4 && value < 0 && (value | 0) === value;
  if (!signed && !small && (value < 0 || value >= range)) argumentError(L, arg, 'unsigned overflow');
  return value;
}

export function string_packsize(L: LuaState): number {
  return runSteps(L, packSize(L, new Format(L, lauxlib.luaL_checkstring(L, 1))));
}

function* packSize(L: LuaState, format: Format): Steps {
  let total = 0;
  while (!format.done) {
    if (format.pauses()) yield 'pause';
    const { kind, size, padding } = format.next(total);
    if (total > MAX_SIZE - size - padding) argumentError(L, 1, 'format result too large');
    total += size + padding;
    if (kind === 'string' || kind === 'zstring') argumentError(L, 1, 'variable-length format');
  }
  lua.lua_pushinteger(L, total);
  return 1;
}

/** The number at `at`, as a float when it is not exact in 32 bits; an error when it is not exact in a float. */
function readInteger(
  L: LuaState,
  data: LuaString,
  at: number,
  size: number,
  little: boolean,
  signed: boolean,
): number {
  let value = 0n;
  for (let i = 0; i < size; i++)
    value = (value << 8n) | BigInt(data[little ? at + size - 1 - i : at + i] ?? 0);
  if (size > LUA_INTEGER_SIZE) {
    const upper = value >> 64n;
    const negative = signed && BigInt.asIntN(64, value) < 0n;
    if (upper !== 0n && !(negative && upper === (1n << BigInt((size - 8) * 8)) - 1n)) {
      raise(L, `${size}-byte integer does not fit into Lua Integer`);
    }
  }
  const wide = signed || size >= LUA_INTEGER_SIZE ? BigInt.asIntN(Math.min(size, 8) * 8, value) : value;
  const result = Number(wide);
  if (!Number.isSafeInteger(result))
    raise(L, `${size}-byte integer is not exact in a Lua number here (over 2^53)`);
  return result;
}

export function string_unpack(L: LuaState): number {
  const format = new Format(L, lauxlib.luaL_checkstring(L, 1));
  const data = lauxlib.luaL_checkstring(L, 2);
  const position = optInteger(L, 3, 1);
  const at = position === 0 || -position > data.length ? -1 : startIndex(position, data.length);
  if (at < 0 || at > data.length) argumentError(L, 3, 'initial position out of string');
  return runSteps(L, unpack(L, format, data, at));
}

/** Reads the values that begin at `start`. */
function* unpack(L: LuaState, format: Format, data: LuaString, start: number): Steps {
  let at = start;
  let results = 0;
  let paused = start;
  while (!format.done) {
    if (format.pauses() || at - paused > LONG_ITEMS) {
      paused = at;
      yield 'pause';
    }
    const { kind, size, padding } = format.next(at);
    if (size + padding > data.length - at) argumentError(L, 2, 'data string too short');
    at += padding;
    lauxlib.luaL_checkstack(L, 2, ascii('too many results'));
    results++;
    switch (kind) {
      case 'int':
      case 'uint':
        pushInteger(L, readInteger(L, data, at, size, format.little, kind === 'int'));
        break;
      case 'float':
        lua.lua_pushnumber(L, readFloat(data, at, size, format.little));
        break;
      case 'char':
        pushSlice(L, data, at, at + size);
        break;
      case 'string': {
        const length = readInteger(L, data, at, size, format.little, false);
        if (length < 0 || length > data.length - at - size) argumentError(L, 2, 'data string too short');
        pushSlice(L, data, at + size, at + size + length);
        at += length;
        break;
      }
      case 'zstring': {
        const found = Buffer.prototype.indexOf.call(data, 0, at);
        const end = found < 0 ? data.length : found; // A Lua string in C ends with a NUL of its own.
        hostOf(L).charge(L, (end - at) >> 4);
        pushSlice(L, data, at, end);
        at = end + 1;
        break;
      }
      case 'padding':
      case 'align':
      case 'none':
        results--;
        break;
    }
    at += size;
  }
  lua.lua_pushinteger(L, at + 1);
  return results + 1;
}

function readFloat(data: LuaString, at: number, size: number, little: boolean): number {
  const view = new DataView(data.buffer, data.byteOffset + at, size);
  return size === 4 ? view.getFloat32(0, little) : view.getFloat64(0, little);
}
