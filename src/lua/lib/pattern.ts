/**
 * Lua patterns, compiled: one step per item of the pattern, with its set of bytes as a table.
 *
 * A malformed pattern is an error only when matching gets to the place that is wrong, as in C Lua; so the compiler puts
 * a step there that raises it. Which captures are open at a place depends on the pattern alone, never on the subject.
 */

import { latin1Of } from '../engine/engine.ts';

export const MATCH = 0;
export const BYTE = 1;
export const SET = 2;
/** As many of the set as possible, at least `least`. */
export const MOST = 3;
/** As few of the set as possible. */
export const FEWEST = 4;
export const OPTIONAL = 5;
export const OPEN = 6;
export const CLOSE = 7;
export const POSITION = 8;
export const BACK_REFERENCE = 9;
export const BALANCED = 10;
export const FRONTIER = 11;
export const END_OF_SUBJECT = 12;
export const MALFORMED = 13;

/** All fields are always there: the matcher's code is compiled for steps of one shape. */
export class Step {
  readonly op: number;
  /** 256 flags: the bytes that SET, MOST, FEWEST, OPTIONAL and FRONTIER take. */
  readonly set: Uint8Array;
  /** The byte of BYTE, the opening byte of BALANCED. */
  byte = 0;
  /** The closing byte of BALANCED. */
  closing = 0;
  least = 0;
  /** Number of the capture, from 0. */
  capture = 0;
  /** What MALFORMED raises. */
  message = '';
  /** The byte that must come next, behind MOST and FEWEST; -1 when it may be any. */
  next = -1;

  constructor(op: number, set: Uint8Array) {
    this.op = op;
    this.set = set;
  }
}

export interface Pattern {
  readonly steps: readonly Step[];
  readonly captures: number;
  /** Whether the capture of that number ever ends. */
  readonly closed: readonly boolean[];
  /** The bytes that a match can begin with, or null when a match may be empty or begin with any. */
  readonly first: Uint8Array | null;
  /** The only byte that a match can begin with, or -1. */
  readonly firstByte: number;
}

const MAX_CAPTURES = 32;
const ESCAPE = 0x25;
const NO_BYTES = new Uint8Array(256);
const ALL_BYTES = new Uint8Array(256).fill(1);
/** Characters with a meaning of their own; a pattern without them is plain text. */
const SPECIALS = setOf((byte) => '^$*+?.([%-'.includes(String.fromCharCode(byte)));

function setOf(holds: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (holds(byte) ? 1 : 0));
}

function complement(set: Uint8Array): Uint8Array {
  return set.map((flag) => 1 - flag);
}

const isPrintable = (byte: number): boolean => byte > 32 && byte < 127;

/** The classes by letter, as C's ctype.h has them in the C locale. */
const CLASSES = new Map<number, Uint8Array>();
for (const [letter, expression] of [
  ['a', /[A-Za-z]/],
  ['d', /[0-9]/],
  ['l', /[a-z]/],
  ['s', /[ \t-\r]/],
  ['u', /[A-Z]/],
  ['w', /[A-Za-z0-9]/],
  ['x', /[0-9A-Fa-f]/],
] as const) {
  defineClass(
    letter,
    setOf((byte) => expression.test(String.fromCharCode(byte))),
  );
}
defineClass(
  'c',
  setOf((byte) => byte < 32 || byte === 127),
);
defineClass('g', setOf(isPrintable));
defineClass(
  'p',
  setOf((byte) => isPrintable(byte) && !/[A-Za-z0-9]/.test(String.fromCharCode(byte))),
);
defineClass(
  'z',
  setOf((byte) => byte === 0),
);

function defineClass(letter: string, set: Uint8Array): void {
  CLASSES.set(letter.charCodeAt(0), set);
  CLASSES.set(letter.toUpperCase().charCodeAt(0), complement(set));
}

const singles: Uint8Array[] = [];

/** The set that holds one byte. */
function single(byte: number): Uint8Array {
  let set = singles[byte];
  if (set === undefined) {
    set = new Uint8Array(256);
    set[byte] = 1;
    singles[byte] = set;
  }
  return set;
}

/** Sets in brackets by what stands in them, which is much the same in the patterns of a policy. */
const bracketSets = new Map<string, Uint8Array>();
const MOST_SETS = 500;
const LONGEST_SET = 32;

/** Whether `text` has no character with a meaning in patterns. */
export function isPlain(text: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (SPECIALS[text[i] ?? 0] === 1) return false;
  return true;
}

/** Patterns in scripts are constants, so the same bytes come again and again: with an anchor taken off, or as they are. */
const compiledWhole = new WeakMap<Uint8Array, Pattern>();
const compiledBehindAnchor = new WeakMap<Uint8Array, Pattern>();

/** Those that a script puts together come as new strings each time. */
const compiledTexts = new Map<string, Pattern>();
const MOST_KEPT = 500;
const LONGEST_KEPT = 128;

/** The compiled form of pattern `bytes`, as compilePattern gives it, if it is at hand. */
export function compiledPattern(bytes: Uint8Array, anchored: boolean): Pattern | undefined {
  return (anchored ? compiledBehindAnchor : compiledWhole).get(bytes);
}

/** The compiled form of pattern `bytes`; without its first byte, which is an anchor, when `anchored`. */
export function compilePattern(bytes: Uint8Array, anchored: boolean): Pattern {
  const text = bytes.length > LONGEST_KEPT ? undefined : `${anchored ? '^' : ''}${latin1Of(bytes)}`;
  let pattern = text === undefined ? undefined : compiledTexts.get(text);
  pattern ??= new Compiler(bytes, anchored ? 1 : 0).compile();
  (anchored ? compiledBehindAnchor : compiledWhole).set(bytes, pattern);
  if (text !== undefined) {
    if (compiledTexts.size >= MOST_KEPT) compiledTexts.clear();
    compiledTexts.set(text, pattern);
  }
  return pattern;
}

class Malformed extends Error {}

class Compiler {
  readonly #bytes: Uint8Array;
  #at: number;
  readonly #steps: Step[] = [];
  readonly #closed: boolean[] = [];

  constructor(bytes: Uint8Array, skip: number) {
    this.#bytes = bytes;
    this.#at = skip;
  }

  compile(): Pattern {
    const steps = this.#steps;
    try {
      while (this.#at < this.#bytes.length) this.#item();
      this.#add(MATCH);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#add(MALFORMED).message = error.message;
    }
    let at = 0;
    while (steps[at]?.op === OPEN || steps[at]?.op === POSITION) at++;
    const head = steps[at];
    const certain = head?.op === BYTE || head?.op === SET || (head?.op === MOST && head.least === 1);
    const first = certain ? (head?.set ?? null) : null;
    const firstByte = first !== null && first.indexOf(1) === first.lastIndexOf(1) ? first.indexOf(1) : -1;
    return { steps, captures: this.#closed.length, closed: this.#closed, first, firstByte };
  }

  #add(op: number, set: Uint8Array = NO_BYTES): Step {
    const step = new Step(op, set);
    this.#steps.push(step);
    return step;
  }

  #item(): void {
    const byte = this.#bytes[this.#at];
    const following = this.#bytes[this.#at + 1];
    if (byte === 0x28) this.#open(following === 0x29);
    else if (byte === 0x29) this.#close();
    else if (byte === 0x24 && following === undefined) {
      this.#add(END_OF_SUBJECT);
      this.#at++;
    } else if (byte === ESCAPE && following === 0x62) this.#balanced();
    else if (byte === ESCAPE && following === 0x66) this.#frontier();
    else if (byte === ESCAPE && following !== undefined && following >= 0x30 && following <= 0x39) {
      this.#backReference(following - 0x31);
    } else this.#single();
  }

  #open(position: boolean): void {
    const capture = this.#closed.length;
    if (capture >= MAX_CAPTURES) throw new Malformed('too many captures');
    this.#closed.push(position);
    this.#add(position ? POSITION : OPEN).capture = capture;
    this.#at += position ? 2 : 1;
  }

  #close(): void {
    const capture = this.#closed.lastIndexOf(false);
    if (capture < 0) throw new Malformed('invalid pattern capture');
    this.#closed[capture] = true;
    this.#add(CLOSE).capture = capture;
    this.#at++;
  }

  #balanced(): void {
    const byte = this.#bytes[this.#at + 2];
    const closing = this.#bytes[this.#at + 3];
    if (byte === undefined || closing === undefined) {
      throw new Malformed("malformed pattern (missing arguments to '%b')");
    }
    const step = this.#add(BALANCED);
    step.byte = byte;
    step.closing = closing;
    this.#at += 4;
  }

  #frontier(): void {
    this.#at += 2;
    if (this.#bytes[this.#at] !== 0x5b) throw new Malformed("missing '[' after '%f' in pattern");
    this.#add(FRONTIER, this.#set());
  }

  #backReference(capture: number): void {
    if (this.#closed[capture] !== true) throw new Malformed(`invalid capture index %${capture + 1}`);
    this.#add(BACK_REFERENCE).capture = capture;
    this.#at += 2;
  }

  /** One byte of a set, with a suffix perhaps. */
  #single(): void {
    const set = this.#set();
    switch (this.#bytes[this.#at]) {
      case 0x2a: // *
        this.#add(MOST, set);
        break;
      case 0x2b: // +
        this.#add(MOST, set).least = 1;
        break;
      case 0x2d: // -
        this.#add(FEWEST, set);
        break;
      case 0x3f: // ?
        this.#add(OPTIONAL, set);
        break;
      default: {
        // A character stands for itself, also behind an escape.
        const byte = this.#bytes[this.#at - 1] ?? 0;
        if (singles[byte] !== set) {
          this.#add(SET, set);
          return;
        }
        const before = this.#steps.at(-1);
        if (before !== undefined) before.next = byte;
        this.#add(BYTE, set).byte = byte;
        return;
      }
    }
    this.#at++;
  }

  /** Reads a character, an escape or a set in brackets. */
  #set(): Uint8Array {
    const byte = this.#bytes[this.#at++] ?? 0;
    if (byte === 0x2e) return ALL_BYTES;
    if (byte === 0x5b) return this.#brackets();
    if (byte !== ESCAPE) return single(byte);
    const escaped = this.#bytes[this.#at++];
    if (escaped === undefined) throw new Malformed("malformed pattern (ends with '%')");
    return CLASSES.get(escaped) ?? single(escaped);
  }

  #brackets(): Uint8Array {
    const begin = this.#at;
    const end = this.#closingBracket();
    this.#at = end + 1;
    if (end - begin > LONGEST_SET) return this.#members(begin, end);
    const text = latin1Of(this.#bytes.subarray(begin, end));
    let set = bracketSets.get(text);
    if (set === undefined) {
      set = this.#members(begin, end);
      if (bracketSets.size >= MOST_SETS) bracketSets.clear();
      bracketSets.set(text, set);
    }
    return set;
  }

  /** The set of what stands in brackets, from `begin` to before `end`. */
  #members(begin: number, end: number): Uint8Array {
    const negated = this.#bytes[begin] === 0x5e;
    const set = new Uint8Array(256);
    for (let i = begin + (negated ? 1 : 0); i < end; i++) {
      const byte = this.#bytes[i] ?? 0;
      const last = this.#bytes[i + 2];
      if (byte === ESCAPE) {
        i++;
        const escaped = this.#bytes[i] ?? 0;
        const members = CLASSES.get(escaped) ?? single(escaped);
        for (let j = 0; j < 256; j++) if (members[j] === 1) set[j] = 1;
      } else if (this.#bytes[i + 1] === 0x2d && i + 2 < end && last !== undefined) {
        if (byte <= last) set.fill(1, byte, last + 1);
        i += 2;
      } else {
        set[byte] = 1;
      }
    }
    return negated ? complement(set) : set;
  }

  /** Where the set ends that begins here; the first character of a set is never its end. */
  #closingBracket(): number {
    let at = this.#at;
    if (this.#bytes[at] === 0x5e) at++;
    do {
      if (at >= this.#bytes.length) throw new Malformed("malformed pattern (missing ']')");
      if (this.#bytes[at++] === ESCAPE && at < this.#bytes.length) at++;
    } while (this.#bytes[at] !== 0x5d);
    return at;
  }
}
