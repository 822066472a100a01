/**
 * White space as the relaxed form of a body has it (RFC 6376 section 3.4.4): a space in place of each run of blanks, and
 * none before a line end.
 *
 * To look at each byte in JavaScript takes three times as long as SHA-256 of them. So this is a program for WebAssembly,
 * which looks at 16 at a time; where there can be none (`--jitless`, a bound on address space) JavaScript does the same.
 */

// Node.js has it, and the types of ES2023 and of Node.js do not.
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: Readonly<Record<string, unknown>> };
};

const SPACE = 0x20;
const TAB = 0x09;
const CR = 0x0d;
const LF = 0x0a;

export type SingleBlanks = (text: Buffer) => Buffer;

/** In its memory: the text, with what is looked at behind its end; what becomes of it, with as much; two tables. */
const MOST_BYTES = 64 * 1024;
const MARGIN = 32;
const RESULT = MOST_BYTES + MARGIN;
const FIRST_LEFT = RESULT + MOST_BYTES + MARGIN;
const SECOND_LEFT = FIRST_LEFT + 256 * 8;
/** Of 64 KiB. */
const PAGES = 3;

let known: SingleBlanks | undefined;

/**
 * @param text does not end with a blank, nor with a CR that an LF may follow
 * @returns bytes that may change with the next call
 */
export function singleBlanks(text: Buffer): Buffer {
  known ??= wideSingleBlanks() ?? plainSingleBlanks;
  return known(text);
}

/** Byte by byte. */
export function plainSingleBlanks(text: Buffer): Buffer {
  const result = Buffer.allocUnsafe(text.length);
  let size = 0;
  let blank = false;
  for (let at = 0; at < text.length; at += 1) {
    const byte = text[at] as number;
    if (byte === SPACE || byte === TAB) {
      blank = true;
      continue;
    }
    if (blank) {
      blank = false;
      if (byte !== CR || text[at + 1] !== LF) result[size++] = SPACE;
    }
    result[size++] = byte;
  }
  return result.subarray(0, size);
}

/** @returns undefined where there is no WebAssembly */
export function wideSingleBlanks(): SingleBlanks | undefined {
  let memory: Buffer;
  let reduce: (end: number) => number;
  try {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(program()));
    memory = Buffer.from((exports['memory'] as { readonly buffer: ArrayBuffer }).buffer);
    reduce = exports['reduce'] as typeof reduce;
  } catch {
    return undefined;
  }
  for (let dropped = 0; dropped < 256; dropped += 1) {
    const left = [0, 1, 2, 3, 4, 5, 6, 7].filter((place) => (dropped & (1 << place)) === 0);
    memory.set(left, FIRST_LEFT + dropped * 8);
    memory.set(
      left.map((place) => place + 8),
      SECOND_LEFT + dropped * 8,
    );
  }
  return (text) => {
    if (text.length > MOST_BYTES) return plainSingleBlanks(text);
    memory.set(text);
    // What is no blank, so that none is found behind the end.
    memory.fill(0, text.length, text.length + MARGIN);
    return memory.subarray(RESULT, reduce(text.length));
  };
}

/** Instructions of WebAssembly, each after what it works on. */
const constant = (value: number) => [0x41, ...leb(value)]; // i32.const
const get = (local: number) => [0x20, local]; // local.get
const set = (local: number) => [0x21, local]; // local.set
const LOOP = [0x03, 0x40]; // loop
const BACK_IF = [0x0d, 0]; // br_if 0: to the beginning of the loop
const IF = [0x04, 0x40]; // if
const ELSE = 0x05; // else
const END = 0x0b; // end
const LESS = 0x49; // i32.lt_u
const COUNT_BITS = 0x69; // i32.popcnt
const ADD = 0x6a; // i32.add
const SUBTRACT = 0x6b; // i32.sub
const AND = 0x71; // i32.and
const LEFT = 0x74; // i32.shl
const RIGHT = 0x76; // i32.shr_u
/** On 16 bytes. */
const load = (offset: number) => [0xfd, 0x00, 0, offset]; // v128.load
const STORE = [0xfd, 0x0b, 0, 0]; // v128.store
const load8 = (offset: number) => [0xfd, 0x5d, 0, ...leb(offset)]; // v128.load64_zero
const PICK = [0xfd, 0x0e]; // i8x16.swizzle
const IN_EACH = [0xfd, 0x0f]; // i8x16.splat
const EACH_EQUAL = [0xfd, 0x23]; // i8x16.eq
const EACH_AT_MOST = [0xfd, 0x2a]; // i8x16.le_u
const EACH_AND = [0xfd, 0x4e]; // v128.and
const EACH_OR = [0xfd, 0x50]; // v128.or
const CHOOSE = [0xfd, 0x52]; // v128.bitselect
const ANY = [0xfd, 0x53]; // v128.any_true
const BIT_OF_EACH = [0xfd, 0x64]; // i8x16.bitmask

const I32 = 0x7f;
const V128 = 0x7b;
/** Local variables: `end` is the argument, those from `block` on have 16 bytes. */
const end = 0;
const from = 1;
const to = 2;
const dropped = 3;
const half = 4;
const block = 5;
const blanks = 6;
const next = 7;
const spaces = 8;
const tabs = 9;
const crs = 10;
const lfs = 11;

const inEach = (byte: number) => [...constant(byte), ...IN_EACH];
const isEach = (bytes: number, byte: number) => [...get(bytes), ...get(byte), ...EACH_EQUAL];
const isBlank = (bytes: number) => [...isEach(bytes, spaces), ...isEach(bytes, tabs), ...EACH_OR];
const add = (local: number, value: readonly number[]) => [...get(local), ...value, ADD, ...set(local)];

/** Those of eight bytes of the block that are not dropped, moved up. @param table which they are, for each set of them */
const storeLeft = (table: number) => [
  ...[...get(to), ...get(block), ...get(half), ...constant(3), LEFT, ...load8(table), ...PICK, ...STORE],
  ...add(to, [...constant(8), ...get(half), COUNT_BITS, SUBTRACT]),
];

/** Of the text from 0 to `end`. Returns the end of the result. */
const REDUCE = [
  ...[...constant(RESULT), ...set(to)],
  ...[...inEach(SPACE), ...set(spaces), ...inEach(TAB), ...set(tabs)],
  ...[...inEach(CR), ...set(crs), ...inEach(LF), ...set(lfs)],
  ...LOOP,
  ...[...get(from), ...load(0), ...set(block), ...get(from), ...load(1), ...set(next)],
  // Most blocks stay as they are: without a tab, and without a space before a blank or a control character.
  ...[...get(next), ...get(spaces), ...EACH_AT_MOST, ...isEach(block, spaces), ...EACH_AND],
  ...[...isEach(block, tabs), ...EACH_OR, ...ANY, ...IF],
  ...[...isBlank(block), ...set(blanks)],
  ...[...get(spaces), ...get(block), ...get(blanks), ...CHOOSE, ...set(block)],
  // Of a run the last one stays, unless a line end follows.
  ...[...isBlank(next), ...isEach(next, crs)],
  ...[...get(from), ...load(2), ...get(lfs), ...EACH_EQUAL, ...EACH_AND, ...EACH_OR],
  ...[...get(blanks), ...EACH_AND, ...BIT_OF_EACH, ...set(dropped)],
  ...[...get(dropped), ...constant(0xff), AND, ...set(half), ...storeLeft(FIRST_LEFT)],
  ...[...get(dropped), ...constant(8), RIGHT, ...set(half), ...storeLeft(SECOND_LEFT)],
  ELSE,
  ...[...get(to), ...get(block), ...STORE, ...add(to, constant(16))],
  END,
  ...add(from, constant(16)),
  ...[...get(from), ...get(end), LESS, ...BACK_IF],
  END,
  // Less what was taken over from behind the text.
  ...[...get(to), ...get(end), ADD, ...get(from), SUBTRACT],
  END,
];

/** The binary format of a module that exports its memory and the function. */
function program(): Uint8Array {
  const section = (id: number, content: readonly number[]) => [id, ...leb(content.length), ...content];
  const name = (text: string) => [text.length, ...Buffer.from(text)];
  const code = [2, 4, I32, 7, V128, ...REDUCE];
  return Uint8Array.from([
    ...[0, ...Buffer.from('asm'), 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, I32, 1, I32]),
    ...section(3, [1, 0]),
    ...section(5, [1, 1, PAGES, PAGES]),
    ...section(7, [2, ...name('memory'), 2, 0, ...name('reduce'), 0, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ]);
}

/** A number that is not negative, in LEB128. */
function leb(value: number): number[] {
  const low = value & 0x7f;
  return value < 0x40 ? [low] : [low | 0x80, ...leb(value >> 7)];
}
